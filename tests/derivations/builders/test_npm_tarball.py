"""Unpacking npm's tarballs: as npm does it, and never what is hostile."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.derivations.builders import tree
from devenv.derivations.builders.npm_tarball import unpack_npm
from devenv.derivations.errors import ArchiveError
from devenv.store.tree import remove
from tests.derivations.archives import Entry, entry, listing, tar, tgz

MANIFEST = entry("package/package.json", b"{}")


def unpack(
    tmp_path: Path, data: bytes, executables: tuple[str, ...] = (), manifests: tuple[str, ...] = ()
) -> dict[str, tuple[str, bytes]]:
    archive, target = tmp_path / "x.tgz", tmp_path / "out"
    archive.write_bytes(data)
    unpack_npm(str(archive), str(target), executables, manifests)
    return listing(target)


@pytest.mark.parametrize(
    "format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["ustar", "gnu", "pax"]
)
@pytest.mark.parametrize("pack", [tar, tgz])
def test_files_of_all_formats_and_sizes_are_unpacked(
    tmp_path: Path, format: int, pack: Callable[..., bytes]
) -> None:
    long = "d" * 90 + "/" + "f" * 90
    files = {"a": b"", "b": b"x" * 511, "c": b"y" * 512, "d/e": os.urandom(700_000), long: b"long"}
    if format != tarfile.USTAR_FORMAT:
        files["ü" * 100 + "/" + "n" * 250] = b"longer"
    found = unpack(
        tmp_path, pack([entry(f"package/{name}", data) for name, data in files.items()], format=format)
    )
    assert found == {name: ("-", data) for name, data in files.items()}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([entry("node-v20/lib/a.js", b"1")], {"lib/a.js": "-"}, id="any top directory"),
        pytest.param([entry("a/x"), entry("b/y")], {"x": "-", "y": "-"}, id="several top directories"),
        pytest.param(
            [entry("./a.js"), entry("./lib/b.js")], {"a.js": "-", "lib/b.js": "-"}, id="a dot on top"
        ),
        pytest.param([entry("package//lib/./a.js")], {"lib/a.js": "-"}, id="empty and dot components"),
        pytest.param(
            [entry("top-level.txt"), MANIFEST], {"package.json": "-"}, id="files beside the top directory"
        ),
        pytest.param([entry("p/a", mode=0o755), entry("p/b", mode=0)], {"a": "x", "b": "-"}, id="junk modes"),
        pytest.param(
            [entry("p/a", mode=0o100755), entry("p/b", mode=0o77)], {"a": "x", "b": "-"}, id="type bits"
        ),
        pytest.param(
            [
                entry("p", kind=tarfile.DIRTYPE, mode=0o7777),
                entry("p/empty", kind=tarfile.DIRTYPE),
                entry("p/a"),
            ],
            {"a": "-"},
            id="directories only for files",
        ),
        pytest.param(
            [
                entry("p/l", kind=tarfile.SYMTYPE, link="/etc/passwd"),
                entry("p/h", kind=tarfile.LNKTYPE, link="p/a"),
                entry("p/a"),
            ],
            {"a": "-"},
            id="links ignored",
        ),
        pytest.param(
            [entry("p/l", kind=tarfile.SYMTYPE, link="x"), entry("p/l")], {"l": "-"}, id="file after link"
        ),
        pytest.param([entry("p/.gitignore")], {".npmignore": "-"}, id="gitignore renamed"),
        pytest.param([entry("p/d/.gitignore")], {"d/.npmignore": "-"}, id="gitignore renamed below"),
        pytest.param([entry("p/a\\b")], {"a\\b": "-"}, id="backslash"),
        pytest.param([entry("p/-\n\x1b[31m")], {"-\n\x1b[31m": "-"}, id="control characters"),
    ],
)
def test_names_and_modes_are_treated_as_npm_does(
    tmp_path: Path, entries: list[Entry], expected: dict[str, str]
) -> None:
    found = unpack(tmp_path, tgz(entries))
    assert {name: kind for name, (kind, _) in found.items()} == expected


def test_an_npmignore_before_a_gitignore_is_kept(tmp_path: Path) -> None:
    found = unpack(tmp_path, tgz([entry("p/.npmignore", b"npm"), entry("p/.gitignore", b"git")]))
    assert found == {".npmignore": ("-", b"npm")}


def test_a_later_member_of_the_same_name_wins(tmp_path: Path) -> None:
    found = unpack(tmp_path, tgz([entry("p/a", b"first", mode=0o755), entry("q/a", b"second")]))
    assert found == {"a": ("-", b"second")}


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    found = unpack(tmp_path, tgz([entry("p/\udcff\udc80")], format=tarfile.GNU_FORMAT))
    assert list(found) == ["\udcff\udc80"]


def test_left_out_links_are_counted(tmp_path: Path) -> None:
    links = [entry(f"p/{number}", kind=tarfile.SYMTYPE, link="a") for number in range(3)]
    (tmp_path / "x.tgz").write_bytes(tgz([*links, entry("p/a")]))
    (notice,) = unpack_npm(str(tmp_path / "x.tgz"), str(tmp_path / "out"), ())
    assert "3 links" in notice


def test_listed_executables_get_the_bit_and_a_line_that_the_kernel_can_read(tmp_path: Path) -> None:
    entries = [
        entry("p/unix", b"#!/usr/bin/env node\nx\r\n"),
        entry("p/bin/dos", b"#!/usr/bin/env node\r\nx\r\n" + b"y" * 5000),
        entry("p/later", b"#!/bin/sh\n\r\n"),
        entry("p/none", b"\r\nx"),
        entry("p/other", b"#!/bin/sh\r\n"),
    ]
    found = unpack(tmp_path, tgz(entries), ("unix", "./bin/dos", "later", "none", "missing", "bin"))
    assert found == {
        "unix": ("x", b"#!/usr/bin/env node\nx\r\n"),
        "bin/dos": ("x", b"#!/usr/bin/env node\nx\r\n" + b"y" * 5000),
        "later": ("x", b"#!/bin/sh\n\r\n"),
        "none": ("x", b"\r\nx"),
        "other": ("-", b"#!/bin/sh\r\n"),
    }


@pytest.mark.parametrize(
    ("manifest", "programs"),
    [
        (b'{"bin": {"a": "./x.js", "b": "/../lib/y.js", "c": "missing", "d": "lib"}}', {"x.js", "lib/y.js"}),
        (b'{"directories": {"bin": "lib"}}', {"lib/y.js"}),
        (b'{"directories": {"bin": "x.js"}}', set()),
        (b'{"directories": {"bin": "../../.."}}', set()),
        (b'{"bin": {"a": "../../etc/passwd", "b": 7}}', set()),
        (b'{"bin": {"a": "x.js\\u0000"}}', set()),
        (b"[" * 10_000, set()),
        (b"", set()),
    ],
    ids=["table", "directory", "file", "outside", "leaving", "nul", "deep", "empty"],
)
def test_commands_of_the_packages_own_manifest_become_programs(
    tmp_path: Path, manifest: bytes, programs: set[str]
) -> None:
    inner = "node_modules/@s/in"
    entries = [
        entry("p/package.json", manifest),
        entry("p/x.js"),
        entry("p/lib/y.js"),
        entry(f"p/{inner}/package.json", b'{"name": "@s/in", "bin": "run"}'),
        entry(f"p/{inner}/run"),
    ]
    found = unpack(tmp_path, tgz(entries), (), ("", inner, "node_modules/lost"))
    assert {name for name, (mode, _) in found.items() if mode == "x"} == {*programs, f"{inner}/run"}


def test_the_tree_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert unpack(tmp_path, tgz([entry("p/d/a", mode=0o755)]))["d/a"][0] == "x"
    finally:
        os.umask(before)


def test_a_gzip_file_of_several_members_with_rubbish_behind_is_read(tmp_path: Path) -> None:
    whole = tar([entry("p/a", b"a" * 3000), MANIFEST])
    data = gzip.compress(whole[:1000]) + gzip.compress(whole[1000:]) + b"rubbish"
    assert set(unpack(tmp_path, data)) == {"a", "package.json"}


def test_closing_blocks_may_be_missing(tmp_path: Path) -> None:
    whole = tar([MANIFEST])
    assert set(unpack(tmp_path, whole[: whole.rindex(b"{}") + 512])) == {"package.json"}


def hostile(name: str, **more: object) -> bytes:
    return tgz([MANIFEST, entry(name, b"x", **more)])  # type: ignore[arg-type]


def raw_header(change: Callable[[bytearray], None]) -> bytes:
    """One member whose header was changed, with a right checksum."""
    block = bytearray(tar([entry("p/a", b"data")]))
    change(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def put(at: int, data: bytes) -> Callable[[bytearray], None]:
    def change(block: bytearray) -> None:
        block[at : at + len(data)] = data

    return change


def pax(records: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = b"x", len(records)
    return tar([(info, records), MANIFEST], format=tarfile.USTAR_FORMAT)


HOSTILE = {
    "parent directory": (hostile("package/../../evil"), "'..'"),
    "parent directory first": (hostile("../evil"), "'..'"),
    "parent directory inside": (hostile("package/a/../b"), "'..'"),
    "absolute": (hostile("/package/evil"), "absolute"),
    "setuid": (hostile("package/su", mode=0o4755), "setuid"),
    "character device": (hostile("package/tty", kind=tarfile.CHRTYPE), "character device"),
    "block device": (hostile("package/sda", kind=tarfile.BLKTYPE), "block device"),
    "fifo": (hostile("package/pipe", kind=tarfile.FIFOTYPE), "named pipe"),
    "sparse": (hostile("package/sparse", kind=tarfile.GNUTYPE_SPARSE), "sparse"),
    "unknown type": (hostile("package/odd", kind=b"V"), "unsupported type"),
    "below a link": (
        tgz([MANIFEST, entry("p/l", kind=tarfile.SYMTYPE, link="/tmp"), entry("p/l/evil", b"x")]),
        "'l' to be a directory, which is a symbolic link",
    ),
    "far below a link": (
        tgz([MANIFEST, entry("p/l", kind=tarfile.SYMTYPE, link=".."), entry("p/l/a/b/evil", b"x")]),
        "'l' to be a directory, which is a symbolic link",
    ),
    "below a file": (
        tgz([entry("p/a", b"x"), entry("p/a/b", b"y")]),
        "'a' to be a directory, which is a file",
    ),
    "file over directory": (tgz([entry("p/a/b", b"y"), entry("p/a", b"x")]), "directory"),
    "file over named directory": (tgz([entry("p/a", kind=tarfile.DIRTYPE), entry("p/a", b"x")]), "directory"),
    "directory over file": (tgz([entry("p/a", b"x"), entry("p/a", kind=tarfile.DIRTYPE)]), "a file"),
    "component too long": (hostile("package/" + "x" * 256), "too long"),
    "too deep": (hostile("package/" + "d/" * 300 + "x"), "too deep"),
    "NUL in a pax name": (pax(b"20 path=package/a\0b\n"), "NUL"),
    "absolute pax name": (pax(b"20 path=/etc/passwd\n"), "absolute"),
    "pax without a length": (pax(b"path=package/a\n"), "extended header"),
    "pax of length zero": (pax(b"0 path=package/a\n"), "extended header"),
    "pax too long": (pax(b"99999 path=package/a\n"), "extended header"),
    "pax negative": (pax(b"-5 path=package/a\n"), "extended header"),
    "pax size": (pax(b"14 size=-12345\n"), "extended header"),
    "pax bad size": (pax(b"12 size=1e9\n"), "bad size"),
    "pax sparse": (pax(b"22 GNU.sparse.major=1\n"), "sparse"),
    "header too large": (
        raw_header(lambda block: (put(156, b"x")(block), put(124, b"77777777777 ")(block))[0]),
        "damaged",
    ),
    "size no number": (raw_header(put(124, b"1_000")), "octal"),
    "size with sign": (raw_header(put(124, b"-0000000001")), "octal"),
    "size negative": (raw_header(put(124, b"\xff" * 12)), "negative"),
    "size beyond all": (raw_header(put(124, b"\x80" + b"\x7f" * 11)), "far too much"),
    "checksum": (b"\1" + tar([MANIFEST])[1:], "checksum"),
    "cut off in data": (tar([entry("p/a", b"x" * 5000)])[:3000], "cut off"),
    "cut off in header": (tar([entry("p/a", b"x" * 512)])[:700], "cut off"),
    "gzip cut off": (tgz([entry("p/a", os.urandom(5000))])[:2000], "cut off"),
    "gzip damaged": (b"\x1f\x8b\x08" + b"\xff" * 100, "damaged"),
    "empty file": (b"", "no file"),
    "empty archive": (tgz([]), "no file"),
    "only directories": (tgz([entry("p/a", kind=tarfile.DIRTYPE)]), "no file"),
    "an error page": (b"<html>404</html>" * 100, "checksum"),
}


@pytest.mark.parametrize(("data", "finding"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_tarball_is_one_error_and_writes_nothing_outside(
    tmp_path: Path, data: bytes, finding: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path / "in", data)
    assert finding in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["in"]
    assert not (set(os.listdir(tmp_path / "in")) - {"out", "x.tgz"})
    for place, directories, files in os.walk(tmp_path / "in" / "out"):
        assert not any(os.path.islink(os.path.join(place, name)) for name in [*directories, *files])


def test_a_bomb_stops_at_the_member_that_bursts_the_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "CEILING_BASE", 1 << 20)
    with pytest.raises(ArchiveError, match="far too much") as caught:
        unpack(tmp_path, tgz([entry("p/a", bytes(1 << 19)), entry("p/b", bytes(1 << 21))]))
    assert caught.value.member == "b"
    assert os.listdir(tmp_path / "out") == ["a"]


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MEMBERS_BASE", 10)
    with pytest.raises(ArchiveError, match="far too many"):
        unpack(tmp_path, tgz(entry(f"p/{number}") for number in range(1000)))


names = st.text(st.sampled_from("ab./\\é\n"), min_size=1, max_size=12)
members = st.builds(
    entry,
    names.map("package/".__add__) | names,
    st.binary(max_size=600),
    mode=st.integers(0, 0o777),
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(members, max_size=6), st.data())
def test_whatever_comes_is_our_error_or_a_tree(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry], data: st.DataObject
) -> None:
    entries = [(info, content if info.isreg() else b"") for info, content in entries]
    for info, content in entries:
        info.size = len(content)
    whole = bytearray(tar(entries))
    for _ in range(data.draw(st.integers(0, 2))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("fuzz")
    with contextlib.suppress(ArchiveError):
        unpack(place, bytes(whole))
    assert sorted(os.listdir(place)) in (["out", "x.tgz"], ["x.tgz"])
    remove(str(place))


def test_npm_itself_unpacks_the_same(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    entries = [
        entry("odd-top/package.json", b'{"name":"demo","version":"1.0.0","bin":{"demo":"bin/run.js"}}'),
        entry("odd-top/bin/run.js", b"#!/usr/bin/env node\r\nconsole.log(1)\r\n"),
        entry("odd-top/lib", kind=tarfile.DIRTYPE),
        entry("odd-top/lib/.gitignore", b"x"),
        entry("odd-top/lib/script.sh", b"#!/bin/sh\n", mode=0o755),
        entry("odd-top/empty", kind=tarfile.DIRTYPE),
        entry("odd-top/link", kind=tarfile.SYMTYPE, link="lib"),
        entry("other/" + "n" * 120 + "/a", b"long"),
        entry("other/lib/twice", b"1"),
        entry("other/lib/twice", b"2"),
    ]
    ours = unpack(tmp_path, tgz(entries), ("bin/run.js",))
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text("{}")
    subprocess.run(
        [
            npm,
            "install",
            "--offline",
            "--no-audit",
            "--no-fund",
            "--cache",
            tmp_path / "cache",
            tmp_path / "x.tgz",
        ],
        cwd=project,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = {}
    installed = project / "node_modules" / "demo"
    for path in installed.rglob("*"):
        if path.is_file():
            theirs[str(path.relative_to(installed))] = (
                "x" if path.stat().st_mode & 0o100 else "-",
                path.read_bytes(),
            )
    assert ours == theirs


def test_reading_does_not_hold_more_than_a_few_chunks(tmp_path: Path) -> None:
    import tracemalloc

    data = tgz([entry("p/a", bytes(40 << 20))])
    (tmp_path / "x.tgz").write_bytes(data)
    tracemalloc.start()
    unpack_npm(str(tmp_path / "x.tgz"), str(tmp_path / "out"), ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
