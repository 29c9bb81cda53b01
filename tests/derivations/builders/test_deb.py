"""Unpacking Debian packages: as they lie in a root with /usr merged, and never what is hostile."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import posixpath
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.derivations.builders import deb as builder
from devenv.derivations.builders import tree
from devenv.derivations.builders.deb import fold, refold, unpack_deb
from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.derivations.errors import ArchiveError, BuildError
from devenv.formats.errors import FormatError
from devenv.store.compression import CompressionError
from devenv.store.tree import remove
from tests.derivations.archives import Entry, ar, control_text, deb, directory, entry, link, listing, tar

INFO = "var/lib/dpkg/info"
REFUSED = (ArchiveError, CompressionError, FormatError)


def unpack(tmp_path: Path, data: bytes) -> dict[str, tuple[str, bytes]]:
    archive, target = tmp_path / "x.deb", tmp_path / "out"
    archive.write_bytes(data)
    unpack_deb(str(archive), str(target))
    return listing(target)


def payload(tmp_path: Path, entries: list[Entry]) -> dict[str, tuple[str, bytes]]:
    """The files of a package `p`, without dpkg's own."""
    found = unpack(tmp_path, deb("p", entries))
    return {path: what for path, what in found.items() if not path.startswith(f"{INFO}/p.")}


def plain(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize(
    ("pack", "extension"),
    [
        pytest.param(plain, "", id="not compressed"),
        pytest.param(gzip.compress, ".gz", id="gzip"),
        pytest.param(lzma.compress, ".xz", id="xz"),
        pytest.param(zstandard.compress, ".zst", id="zstd"),
    ],
)
def test_packages_of_all_compressions_are_unpacked(
    tmp_path: Path, pack: Callable[[bytes], bytes], extension: str
) -> None:
    files = {
        "usr/bin/a": b"",
        "usr/share/b": b"x" * 513,
        "opt/c": os.urandom(700_001),
        "d" * 90 + "/" + "e" * 90: b"long",
    }
    entries = [entry(f"./{name}", data) for name, data in files.items()]
    found = unpack(tmp_path, deb("p", entries, pack=pack, extension=extension))
    assert {path: found[path] for path in files} == {name: ("-", data) for name, data in files.items()}
    assert found[f"{INFO}/p.control"] == ("-", control_text("p"))
    assert set(found) == {*files, f"{INFO}/p.control", f"{INFO}/p.list"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([entry("./bin/sh", b"s", mode=0o755)], {"usr/bin/sh": ("x", b"s")}, id="bin is in usr"),
        pytest.param(
            [entry("./lib64/ld.so"), entry("./libx32/y"), entry("./sbin/z")],
            {"usr/lib64/ld.so": ("-", b""), "usr/libx32/y": ("-", b""), "usr/sbin/z": ("-", b"")},
            id="lib and its kin as well",
        ),
        pytest.param(
            [entry("./library/a"), entry("./opt/bin/b")],
            {"library/a": ("-", b""), "opt/bin/b": ("-", b"")},
            id="nothing else is",
        ),
        pytest.param(
            [link("./bin", "usr/bin"), link("./lib64", "usr/lib64"), entry("./usr/bin/x")],
            {"usr/bin/x": ("-", b"")},
            id="the links of a merged root are left out",
        ),
        pytest.param(
            [entry("./bin/which", b"w"), link("./usr/bin/which", "/bin/which")],
            {"usr/bin/which": ("-", b"w")},
            id="a link to what is now itself gives way",
        ),
        pytest.param(
            [link("./usr/bin/which", "../../bin/which"), entry("./bin/which", b"w")],
            {"usr/bin/which": ("-", b"w")},
            id="also when it comes first",
        ),
        pytest.param(
            [
                link("./lib/x/up", "../../etc/y"),
                link("./usr/lib/z/up", "../../../etc/y"),
                link("./lib/same", "x/y"),
            ],
            {
                "usr/lib/x/up": ("l", b"/etc/y"),
                "usr/lib/z/up": ("l", b"../../../etc/y"),
                "usr/lib/same": ("l", b"x/y"),
            },
            id="a link that climbs out of a folded directory becomes absolute",
        ),
        pytest.param(
            [entry("./usr/bin/a", b"1", mode=0o755), link("./bin/b", "./usr/bin/a", hard=True)],
            {"usr/bin/a": ("x", b"1"), "usr/bin/b": ("x", b"1")},
            id="hard links",
        ),
        pytest.param(
            [
                entry("./usr/bin/su", b"s", mode=0o4755),
                entry("./usr/bin/r", mode=0o600),
                entry("./usr/bin/g", mode=0o654),
            ],
            {"usr/bin/su": ("x", b"s"), "usr/bin/r": ("-", b""), "usr/bin/g": ("-", b"")},
            id="modes are what a store has",
        ),
        pytest.param(
            [link("./usr/lib/x", "nowhere"), entry("./usr/lib/y"), link("./usr/lib/y", "z")],
            {"usr/lib/x": ("l", b"nowhere"), "usr/lib/y": ("l", b"z")},
            id="the last of a name counts",
        ),
        pytest.param(
            [entry("./etc/ünï/" + "n" * 200, b"1"), link("./l", "t" * 300)],
            {"etc/ünï/" + "n" * 200: ("-", b"1"), "l": ("l", b"t" * 300)},
            id="long names and targets",
        ),
    ],
)
def test_files_lie_where_a_merged_root_has_them(
    tmp_path: Path, entries: list[Entry], expected: dict[str, tuple[str, bytes]]
) -> None:
    assert payload(tmp_path, entries) == expected


def test_empty_directories_are_kept(tmp_path: Path) -> None:
    unpack(tmp_path, deb("p", [directory("./"), directory("./lib/"), directory("./var/lib/p/")]))
    assert os.listdir(tmp_path / "out/var/lib/p") == []
    assert os.listdir(tmp_path / "out/usr/lib") == []


def test_control_files_lie_where_dpkg_keeps_them(tmp_path: Path) -> None:
    entries = [
        directory("./"),
        directory("./etc/"),
        entry("./etc/p.conf", b"c"),
        entry("./bin/p"),
        entry("./usr/share/x/y"),
    ]
    found = unpack(
        tmp_path, deb("p", entries, scripts={"postinst": "#!/bin/sh\n"}, files={"conffiles": "/etc/p.conf\n"})
    )
    assert found[f"{INFO}/p.postinst"] == ("x", b"#!/bin/sh\n")
    assert found[f"{INFO}/p.conffiles"] == ("-", b"/etc/p.conf\n")
    assert found[f"{INFO}/p.list"] == (
        "-",
        b"/.\n/etc\n/etc/p.conf\n/usr\n/usr/bin\n/usr/bin/p\n/usr/share\n/usr/share/x\n/usr/share/x/y\n",
    )


def test_a_package_that_may_be_there_twice_has_its_architecture_in_their_names(tmp_path: Path) -> None:
    found = unpack(tmp_path, deb("libp", Multi_Arch="same", Architecture="i386"))
    assert set(found) == {f"{INFO}/libp:i386.control", f"{INFO}/libp:i386.list"}
    remove(str(tmp_path / "out"))
    assert f"{INFO}/libp.control" in unpack(tmp_path, deb("libp", Multi_Arch="foreign"))


OUTSIDE = [
    pytest.param([entry("../x")], "leaves", id="a name that climbs"),
    pytest.param([entry("./a/../../x")], "leaves", id="a name that climbs later"),
    pytest.param([entry("/etc/x")], "absolute", id="an absolute name"),
    pytest.param([link("./d", "/tmp"), entry("./d/x")], "symbolic link", id="through an absolute link"),
    pytest.param([link("./usr/d", ".."), entry("./usr/d/x")], "symbolic link", id="through a relative link"),
    pytest.param([link("./d", "/tmp"), link("./d/x", "y")], "symbolic link", id="a link through a link"),
    pytest.param([link("./d", "/"), directory("./d/x/")], "symbolic link", id="a directory through a link"),
    pytest.param(
        [link("./usr", "/tmp"), entry("./bin/x")], "symbolic link", id="a folded name through a link"
    ),
    pytest.param(
        [entry("./x", b"1"), link("./y", "../../x", hard=True)], "leaves", id="a hard link that climbs"
    ),
    pytest.param([link("./y", "/etc/passwd", hard=True)], "absolute", id="a hard link outside"),
    pytest.param([link("./y", "./z", hard=True)], "no file before it", id="a hard link to nothing"),
    pytest.param(
        [link("./l", "/etc/passwd"), link("./y", "./l", hard=True)],
        "no file before",
        id="a hard link to a link",
    ),
    pytest.param([entry("./x"), link("./x", "./x", hard=True)], "itself", id="a hard link to itself"),
    pytest.param([entry("./dev/sda", kind=tarfile.BLKTYPE)], "block device", id="a block device"),
    pytest.param([entry("./dev/null", kind=tarfile.CHRTYPE)], "character device", id="a character device"),
    pytest.param([entry("./run/x", kind=tarfile.FIFOTYPE)], "pipe", id="a pipe"),
    pytest.param([entry("./x"), entry("./x/y")], "directory", id="a file as a directory"),
    pytest.param([directory("./x/"), entry("./x")], "directory", id="a directory as a file"),
    pytest.param([entry("./x/y"), link("./x", "z")], "directory", id="a directory as a link"),
    pytest.param([link("./x", "")], "nowhere", id="a link to nothing"),
    pytest.param([entry(f"./{INFO}/p.postinst", b"evil")], "belongs to dpkg", id="a script of dpkg's own"),
    pytest.param([entry(f"./{INFO}/other.list", b"evil")], "belongs to dpkg", id="another package's list"),
    pytest.param([entry("./" + "x/" * 300 + "y")], "too long or too deep", id="very deep"),
    pytest.param([entry("./" + "x" * 256)], "too long", id="a name too long"),
]


@pytest.mark.parametrize(("entries", "said"), OUTSIDE)
def test_what_is_hostile_is_refused(tmp_path: Path, entries: list[Entry], said: str) -> None:
    with pytest.raises(ArchiveError, match=said):
        unpack(tmp_path, deb("p", entries))
    assert sorted(os.listdir(tmp_path)) == ["out", "x.deb"], "nothing was written elsewhere"


DATA = ("data.tar", tar([]))
CONTROL = ("control.tar", tar([entry("./control", control_text("p"))]))
VERSION = ("debian-binary", b"2.0\n")


def with_control(*entries: Entry) -> bytes:
    return ar([VERSION, ("control.tar", tar(entries)), DATA])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "no Debian package", id="nothing"),
        pytest.param(b"PK\x03\x04" + bytes(100), "no Debian package", id="something else"),
        pytest.param(b"!<arch>\n", "format 2", id="an empty archive"),
        pytest.param(ar([("debian-binary", b"3.0\n"), CONTROL, DATA]), "format 2", id="another format"),
        pytest.param(ar([CONTROL, DATA]), "format 2", id="no version"),
        pytest.param(ar([VERSION, DATA]), "control.tar", id="no control"),
        pytest.param(ar([VERSION, CONTROL]), "no data.tar", id="no data"),
        pytest.param(ar([VERSION, CONTROL, ("data.tar.lz4", b"")]), "compressed with", id="a compression that is none of these"),
        pytest.param(ar([VERSION, CONTROL, ("data.tar.bz2", bz2.compress(tar([])))]), "compressed with", id="an old compression"),
        pytest.param(ar([VERSION, CONTROL, ("data.tar.xz", b"\xfd7zXZ\x00 and then not")]), "damaged", id="bad xz"),
        pytest.param(ar([VERSION, CONTROL, ("data.tar.gz", gzip.compress(tar([]))[:-9])]), "too early", id="half of a gzip file"),
        pytest.param(
            ar([VERSION, CONTROL, ("data.tar", DATA[1] + bytes(2 << 20))]), "after its end", id="endless padding"
        ),
        pytest.param(ar([VERSION, CONTROL, DATA])[:-600], "cut off", id="cut off"),
        pytest.param(ar([VERSION, CONTROL]) + b"garbage", "cut off", id="half a header"),
        pytest.param(ar([VERSION, CONTROL]) + b"x" * 60, "something else", id="no header"),
        pytest.param(with_control(entry("./postinst")), "no control file", id="no control file"),
        pytest.param(with_control(entry("./control", b"Package: p\n")), "names itself", id="no architecture"),
        pytest.param(with_control(entry("./control", control_text("../../../x"))), "names itself", id="a name that climbs"),
        pytest.param(with_control(entry("./control", control_text("p", Architecture="a/b", Multi_Arch="same"))), "names itself", id="an architecture that climbs"),
        pytest.param(with_control(entry("./control", b"no field\n")), "no field", id="not a control file"),
        pytest.param(with_control(entry("./control", control_text("p")), entry("./list", b"/etc/x")), "control file", id="a list of its own"),
        pytest.param(with_control(entry("./control", control_text("p")), entry("./sub/dir")), "control file", id="a control file elsewhere"),
        pytest.param(with_control(entry("./control", control_text("p")), link("./postinst", "/bin/sh")), "control file", id="a linked script"),
        pytest.param(with_control(entry("./control", control_text("p") + b" x" * 600_000)), "too large", id="a huge control file"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(REFUSED, match=said):
        unpack(tmp_path, data)


def test_members_of_later_formats_are_passed_over(tmp_path: Path) -> None:
    unpack(tmp_path, ar([VERSION, ("_note", b"odd"), CONTROL, ("_more/", b""), DATA, ("_gpg", b"x")]))


@pytest.mark.parametrize("hard", [False, True], ids=["one large file", "many hard links"])
def test_bombs_do_not_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: bool) -> None:
    monkeypatch.setattr(tree, "CEILING_BASE", 1 << 20)
    zeros = [entry("./zeros", bytes(700_000))]
    more = [link("./again", "./zeros", hard=True)] if hard else [entry("./more", bytes(700_000))]
    with pytest.raises(ArchiveError, match="far too much"):
        unpack(tmp_path, deb("p", [*zeros, *more]))


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MEMBERS_BASE", 10)
    with pytest.raises(ArchiveError, match="far too many members"):
        unpack(tmp_path, deb("p", [entry(f"./{number}") for number in range(300)]))


def test_the_error_names_package_archive_and_member(tmp_path: Path) -> None:
    archive = tmp_path / "0123456789-p_1.0_amd64.deb"
    archive.write_bytes(deb("p", [entry("../x")]))
    job = Job(
        label="p 1.0",
        env={"src": str(archive)},
        target=str(tmp_path / "out"),
        pythons={},
        interpreters=Interpreters(),
    )
    with pytest.raises(BuildError) as raised:
        builder.build(job)
    assert str(raised.value) == (
        "cannot unpack p 1.0 from p_1.0_amd64.deb: its member '../x' leaves the package through '..'"
    )
    assert "devenv lock" in str(raised.value.hint)


GOOD = deb(
    "p",
    [directory("./usr/"), entry("./usr/bin/x", b"data" * 300, mode=0o755), link("./usr/y", "bin/x")],
    scripts={"postinst": "#!/bin/sh\n"},
    pack=plain,
    extension="",
)


@settings(deadline=None, max_examples=150)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.one_of(st.just(len(GOOD)), st.integers(0, len(GOOD))),
)
def test_damage_anywhere_is_our_error_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]], length: int
) -> None:
    place = tmp_path_factory.mktemp("damaged")
    data = bytearray(GOOD)
    for position, value in edits:
        data[position] = value
    with contextlib.suppress(*REFUSED):
        unpack(place, bytes(data[:length]))
    assert set(os.listdir(place)) <= {"out", "x.deb"}
    remove(str(place))


names = st.sampled_from(["bin", "lib", "lib64", "usr", "etc", "share", "x"])
paths = st.lists(names, min_size=2, max_size=5).map("/".join)
targets = st.builds(
    lambda up, down: "/".join([".."] * up + down) or ".", st.integers(0, 6), st.lists(names, max_size=3)
)


def merged(path: str) -> str:
    """Where an absolute path leads in a merged root, without links."""
    clean = posixpath.normpath("/" + path.lstrip("/")).lstrip("/")
    return "/" + fold(clean.encode()).decode()


@given(shipped=paths, target=targets)
def test_a_link_leads_to_the_same_place_after_folding(shipped: str, target: str) -> None:
    before = posixpath.join("/", posixpath.dirname(shipped), target)
    placed = fold(shipped.encode()).decode()
    text = refold(shipped.encode(), target.encode()).decode()
    after = posixpath.join("/", posixpath.dirname(placed), text)
    assert merged(after) == merged(before)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb to compare with")
def test_a_package_that_dpkg_made_is_unpacked_as_dpkg_does(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_bytes(control_text("p", Maintainer="nobody <nobody@example.test>"))
    for name, data in {
        "usr/bin/p": b"#!/bin/sh\n",
        "etc/p.conf": b"",
        "usr/share/" + "long" * 40: os.urandom(9999),
    }.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    (source / "usr/bin/p").chmod(0o755)
    (source / "usr/share/link").symlink_to("../bin/p")
    os.link(source / "etc/p.conf", source / "etc/q.conf")
    archive = tmp_path / "p.deb"
    build = ["dpkg-deb", "--root-owner-group", "--build", str(source), str(archive)]
    subprocess.run(build, check=True, capture_output=True)
    contents = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(archive)], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(contents)) as made:
        expected = {member.name.removeprefix("./") for member in made if not member.isdir()}
    found = unpack(tmp_path, archive.read_bytes())
    assert {path for path in found if not path.startswith(INFO)} == expected
    assert found["usr/bin/p"] == ("x", b"#!/bin/sh\n")
    assert found["usr/share/link"] == ("l", b"../bin/p")
    assert found["etc/q.conf"] == ("-", b"")
