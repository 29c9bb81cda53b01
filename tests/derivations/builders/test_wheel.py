"""Unpacking wheels: as they are, verified, and never what is hostile."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.derivations.builders import tree
from devenv.derivations.builders.wheel import unpack_wheel
from devenv.derivations.errors import ArchiveError
from devenv.store.meter import Meter
from devenv.store.tree import remove, scan
from tests.derivations.archives import listing, record_line, wheel

RECORD = "demo-1.0.dist-info/RECORD"


def unpack(tmp_path: Path, data: bytes) -> dict[str, tuple[str, bytes]]:
    archive, target = tmp_path / "x.whl", tmp_path / "out"
    archive.write_bytes(data)
    meter = Meter(())
    unpack_wheel(str(archive), str(target), meter)
    assert meter.scanned() == scan(str(target), ())
    return listing(target)


def test_a_wheel_is_unpacked_as_it_is(tmp_path: Path) -> None:
    files = {
        "demo/__init__.py": b"",
        "demo/données.bin": os.urandom(600_000),
        "demo/tool": b"#!/bin/sh\n",
        "demo-1.0.data/scripts/run": b"#!python\n",
        "demo-1.0.data/data/share/doc": b"text",
        "demo-1.0.data/purelib/other.py": b"x = 1\n",
    }
    found = unpack(tmp_path, wheel(files, modes={"demo/tool": stat.S_IFREG | 0o755}))
    programs = {"demo/tool", "demo-1.0.data/scripts/run"}
    assert {name: value for name, value in found.items() if ".dist-info" not in name} == {
        name: ("x" if name in programs else "-", data) for name, data in files.items()
    }
    assert {name.partition("/")[2] for name in found if ".dist-info" in name} == {
        "WHEEL",
        "METADATA",
        "RECORD",
    }


def test_files_that_record_does_not_list_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(wheel({"demo.py": b"x"}, record=record_line("missing.py", b"")))
    (notice,) = unpack_wheel(str(tmp_path / "x.whl"), str(tmp_path / "out"))
    assert notice.startswith("3 files")


def test_a_member_that_is_there_twice_with_equal_contents_is_one(tmp_path: Path) -> None:
    out = io.BytesIO(wheel({"demo.py": b"x"}))
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("demo.py", b"x")
    assert "demo.py" in unpack(tmp_path, out.getvalue())


def test_members_in_zip64_form_are_read(tmp_path: Path) -> None:
    out = io.BytesIO(wheel({"demo.py": b"x"}))
    with zipfile.ZipFile(out, "a") as archive, archive.open("big.bin", "w", force_zip64=True) as member:
        member.write(b"z" * 1000)
    assert unpack(tmp_path, out.getvalue())["big.bin"] == ("-", b"z" * 1000)


def with_member(name: str, data: bytes = b"x", *, mode: int = stat.S_IFREG | 0o644) -> bytes:
    return wheel({name: data}, modes={name: mode})


def appended(name: str, data: bytes, method: int) -> bytes:
    out = io.BytesIO(wheel({"demo.py": b"x"}))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, data, compress_type=method)
    return out.getvalue()


def replaced(old: bytes, new: bytes, *, count: int = -1) -> bytes:
    """A wheel whose bytes were changed after it was made."""
    assert len(old) == len(new)
    data = wheel({"demo.py": b"x", "evil.py": b"y"})
    assert old in data
    return data.replace(old, new, count)


def in_directory(name: bytes, offset: int, value: bytes) -> bytes:
    """A wheel in whose central directory the entry of `name` has other bytes at `offset`."""
    data = bytearray(wheel({"demo.py": b"x" * 1000}))
    at = data.rindex(name) - 46
    assert data[at : at + 4] == b"PK\1\2"
    data[at + offset : at + offset + len(value)] = value
    return bytes(data)


def encrypted() -> bytes:
    data = bytearray(wheel({"demo.py": b"x"}))
    data[data.index(b"PK\3\4") + 6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def overlapping() -> bytes:
    """Two members with one piece of data, as bombs are made."""
    data = bytearray(wheel({"demo.py": b"x" * 100, "demo2.py": b"x" * 100}))
    second = data.rindex(b"demo2.py") - 46
    data[second + 42 : second + 46] = struct.pack("<L", 0)
    return bytes(data)


def damaged_zip64() -> bytes:
    out = io.BytesIO(wheel({"demo.py": b"x"}))
    with zipfile.ZipFile(out, "a") as archive, archive.open("big.bin", "w", force_zip64=True) as member:
        member.write(b"z" * 1000)
    data = bytearray(out.getvalue())
    entry = data.rindex(b"big.bin") - 46
    data[entry + 20 : entry + 28] = b"\xff" * 8  # sizes now are in an extra field that is not there
    return bytes(data)


HOSTILE = {
    "parent directory": (with_member("demo/../../evil.py"), "'..'"),
    "absolute": (with_member("/etc/evil.py"), "absolute"),
    "symbolic link": (with_member("demo/link", b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "symbolic link"),
    "device": (with_member("demo/tty", mode=stat.S_IFCHR | 0o644), "no regular file"),
    "fifo": (with_member("demo/pipe", mode=stat.S_IFIFO | 0o644), "no regular file"),
    "setuid": (with_member("demo/su", mode=stat.S_IFREG | 0o4755), "setuid"),
    "setgid": (with_member("demo/su", mode=stat.S_IFREG | 0o2755), "setuid"),
    "NUL": (replaced(b"evil.py", b"evil\0py"), "NUL"),
    "file over directory": (wheel({"a/b": b"1", "a": b"2"}), "directory"),
    "below a file": (wheel({"a": b"1", "a/b": b"2"}), "which is a file"),
    "too long": (with_member("x" * 300), "too long"),
    "wrong hash": (wheel({"demo.py": b"x"}, record=record_line("demo.py", b"other")), "RECORD says"),
    "weak hash": (
        wheel({"demo.py": b"x"}, record="demo.py,md5=nde0nnVzwyAqqmTQ06SLiA,1\n"),
        "unsupported kind 'md5'",
    ),
    "hash no base64": (wheel({"demo.py": b"x"}, record="demo.py,sha256=%%%,1\n"), "cannot be read"),
    "two dist-infos": (wheel({"other-1.dist-info/METADATA": b""}), "2 .dist-info"),
    "no record": (replaced(RECORD.encode(), b"demo-1.0.dist-info/RECORE"), "is missing"),
    "encrypted": (encrypted(), "encrypted"),
    "bzip2": (appended("b.py", b"x", zipfile.ZIP_BZIP2), "method 12"),
    "lzma": (appended("b.py", b"x", zipfile.ZIP_LZMA), "method 14"),
    "unknown method": (in_directory(b"demo.py", 10, b"\x63\0"), "method 99"),
    "names differ": (replaced(b"evil.py", b"demo.py", count=1), "contradict"),
    "size too small": (in_directory(b"demo.py", 24, struct.pack("<L", 10)), "size or checksum"),
    "size too large": (in_directory(b"demo.py", 24, struct.pack("<L", 2000)), "size or checksum"),
    "checksum": (in_directory(b"demo.py", 16, b"\0\0\0\0"), "size or checksum"),
    "compressed size": (in_directory(b"demo.py", 20, struct.pack("<L", 5)), "damaged"),
    "no offset": (in_directory(b"demo.py", 42, struct.pack("<L", 7)), "shares its data"),
    "overlapping": (overlapping(), "shares its data"),
    "zip64 damaged": (damaged_zip64(), "damaged"),
    "cut off": (wheel({"demo.py": b"x"})[:-30], "no zip file"),
    "no zip": (b"<html>404</html>", "no zip file"),
    "empty": (b"", "no zip file"),
}


@pytest.mark.parametrize(("data", "finding"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_wheel_is_one_error_and_writes_nothing_outside(
    tmp_path: Path, data: bytes, finding: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path / "in", data)
    assert finding in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["in"]
    assert not (set(os.listdir(tmp_path / "in")) - {"out", "x.whl"})
    for place, directories, files in os.walk(tmp_path / "in" / "out"):
        assert not any(os.path.islink(os.path.join(place, name)) for name in [*directories, *files])


def test_a_wrong_hash_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        unpack(tmp_path, wheel({"demo.py": b"x"}, record=record_line("demo.py", b"other")))
    assert caught.value.member == "demo.py"


def test_a_bomb_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "CEILING_BASE", 1 << 20)
    with pytest.raises(ArchiveError, match="far too much"):
        unpack(tmp_path, wheel({f"{number}.py": bytes(1 << 18) for number in range(8)}))
    assert os.listdir(tmp_path / "out") == []


def test_more_data_than_declared_is_never_written(tmp_path: Path) -> None:
    data = bytearray(wheel({"demo.py": bytes(1 << 22)}))
    entry = data.rindex(b"demo.py") - 46
    struct.pack_into("<L", data, entry + 24, 10)
    struct.pack_into("<L", data, entry + 16, zlib.crc32(bytes(10)))
    with pytest.raises(ArchiveError, match="size or checksum"):
        unpack(tmp_path, bytes(data))
    assert os.path.getsize(tmp_path / "out" / "demo.py") <= 1 << 18


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_comes_is_our_error_or_a_tree(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(wheel({"a.py": b"x" * 50, "d/é.py": b"y" * 5000}))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    place = tmp_path_factory.mktemp("fuzz")
    with contextlib.suppress(ArchiveError):
        unpack(place, bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) - 10]))]))
    assert set(os.listdir(place)) <= {"out", "x.whl"}
    remove(str(place))
