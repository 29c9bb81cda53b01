"""The bulk reader is held against the one that reads token by token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.formats import nar
from devenv.formats.errors import FormatError
from devenv.formats.nar import Chunk, Directory, Event, File, Leave, Symlink
from devenv.formats.nar_unpack import WHOLE_LIMIT, unpack
from tests.formats.test_nar import NODES, archive, joined, rows_of, tokens
from tests.formats.vectors import TREES, events


class Recorder:
    """What is unpacked, as the rows that the other reader gives."""

    def __init__(self) -> None:
        self.rows: list[Event] = []
        self.large = 0

    def file(self, name: bytes, executable: bool, data: bytes) -> None:
        self.rows.append(File(name, executable, len(data)))
        if data:
            self.rows.append(Chunk(data))

    def large_file(self, name: bytes, executable: bool, pieces: Iterator[bytes]) -> None:
        self.large += 1
        data = b"".join(pieces)
        self.file(name, executable, data)

    def symlink(self, name: bytes, target: bytes) -> None:
        self.rows.append(Symlink(name, target))

    def enter(self, name: bytes) -> None:
        self.rows.append(Directory(name))

    def leave(self) -> None:
        self.rows.append(Leave())


def unpacked(chunks: Iterable[bytes]) -> list[Event]:
    recorder = Recorder()
    unpack(chunks, recorder)
    return recorder.rows


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[start : start + step] for start in range(0, len(data), step)]


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("step", [1, 7, 64, 1 << 20])
def test_archives_of_nix_are_unpacked_however_they_are_cut(name: str, step: int) -> None:
    rows = list(events(TREES[name]))
    assert unpacked(cut(archive(rows), step)) == rows


@given(NODES, st.integers(1, 300))
def test_any_tree_is_unpacked_as_it_was_archived(node: object, step: int) -> None:
    rows = list(rows_of(node))
    assert unpacked(cut(archive(rows), step)) == joined(rows)


@pytest.mark.parametrize("size", [WHOLE_LIMIT - 1, WHOLE_LIMIT, WHOLE_LIMIT + 1, 3 * WHOLE_LIMIT + 5])
@pytest.mark.parametrize("step", [1000, 1 << 16, 1 << 24])
def test_large_files_come_in_pieces(size: int, step: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    rows: list[Event] = [
        Directory(b""),
        File(b"a", False, size),
        Chunk(data[:size]),
        File(b"b", True, 0),
        Leave(),
    ]
    recorder = Recorder()
    unpack(cut(archive(rows), step), recorder)
    assert recorder.rows == rows
    assert recorder.large == (size > WHOLE_LIMIT)


def verdict(read: object, data: bytes) -> object:
    try:
        return read(data)  # type: ignore[operator]
    except FormatError:
        return FormatError


@settings(max_examples=300)
@given(NODES, st.data())
def test_damaged_archives_are_judged_alike(node: object, data: st.DataObject) -> None:
    good = bytearray(archive(rows_of(node)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(good) - 1))
        good[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(good)) | st.just(len(good)))
    damaged = bytes(good[:end])
    expected = verdict(lambda data: joined(nar.read([data])), damaged)
    step = data.draw(st.integers(1, 200))
    assert verdict(lambda data: unpacked(cut(data, step)), damaged) == expected


def entries(*names: str) -> bytes:
    parts: list[str] = ["(", "type", "directory"]
    for name in names:
        parts += ["entry", "(", "name", name, "node", "(", "type", "regular", "contents", "", ")", ")"]
    return tokens(*parts, ")")


HOSTILE = {
    "nothing": b"",
    "only magic": nar.MAGIC,
    "another magic": nar.frame(b"nix-archive-2"),
    "entry above": entries(".."),
    "entry itself": entries("."),
    "entry without a name": entries(""),
    "entry below": entries("a/b"),
    "entry with NUL": entries("a\0b"),
    "absolute entry": entries("/etc"),
    "entries twice": entries("a", "a"),
    "entries not sorted": entries("b", "a"),
    "long name": entries("x" * 256),
    "empty target": tokens("(", "type", "symlink", "target", "", ")"),
    "target with NUL": tokens("(", "type", "symlink", "target", "a\0", ")"),
    "long target": tokens("(", "type", "symlink", "target", "x" * 4096, ")"),
    "another type": tokens("(", "type", "fifo", ")"),
    "trailing bytes": entries() + b"\0",
    "trailing archive": entries() + entries(),
    "size of everything": nar.MAGIC + nar.FILE + b"\xff" * 8,
    "size too large": nar.MAGIC + nar.FILE + (2**63).to_bytes(8, "little") + b"x" * 100,
    "size never filled": nar.MAGIC + nar.FILE + (2**40).to_bytes(8, "little") + b"x" * 100,
    "name never filled": nar.MAGIC + nar.DIRECTORY + nar.ENTRY + (200).to_bytes(8, "little") + b"x",
    "padding": nar.MAGIC + nar.FILE + nar.frame_size(1) + b"x" + b"\1" * 7 + nar.CLOSE,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_hostile_archives_are_refused_with_a_place(name: str, step: int) -> None:
    with pytest.raises(FormatError, match="at byte") as caught:
        unpacked(cut(HOSTILE[name], step))
    assert caught.value.offset is not None


def test_a_tree_without_end_is_refused_at_a_depth() -> None:
    endless = nar.MAGIC + nar.DIRECTORY + (nar.ENTRY + nar.frame(b"d") + nar.NODE + nar.DIRECTORY) * 3000
    with pytest.raises(FormatError, match="deep"):
        unpacked(cut(endless, 1 << 16))


def test_a_deep_tree_is_unpacked() -> None:
    depth = nar.DEPTH_LIMIT - 1
    rows: list[Event] = [Directory(b"" if not level else b"d") for level in range(depth)]
    rows += [Leave()] * depth
    assert unpacked([archive(rows)]) == rows
