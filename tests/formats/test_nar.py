from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats import nar
from devenv.formats.errors import FormatError
from devenv.formats.nar import Chunk, Directory, Event, File, Leave, Reader, Symlink
from tests.formats.vectors import NAR, TREES, events

EMPTY = File(b"", False, 0)
LINK = Symlink(b"l", b"../target")


def archive(rows: Iterable[Event]) -> bytes:
    return b"".join(nar.write(rows))


def tokens(*parts: bytes | str) -> bytes:
    """An archive spelled by hand: the magic, then each of `parts` as a token."""
    framed = [nar.frame(part.encode() if isinstance(part, str) else part) for part in parts]
    return nar.MAGIC + b"".join(framed)


def joined(rows: Iterable[Event]) -> list[Event]:
    """`rows` with the chunks of each file made one."""
    result: list[Event] = []
    for row in rows:
        if isinstance(row, Chunk) and result and isinstance(last := result[-1], Chunk):
            result[-1] = Chunk(last.data + row.data)
        else:
            result.append(row)
    return result


@pytest.mark.parametrize("name", TREES)
def test_trees_are_archived_as_nix_archives_them(name: str) -> None:
    expected = NAR[name]
    data = archive(events(TREES[name]))
    assert len(data) == expected["narSize"]
    assert hashlib.sha256(data).hexdigest() == expected["narHash_base16"]
    assert hashlib.sha512(data).hexdigest() == expected["nar_sha512_base16"]
    if "nar_base64" in expected:
        assert data == base64.b64decode(expected["nar_base64"])


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("step", [1, 3, 8, 64, 1 << 20])
def test_archives_of_nix_are_read_however_they_are_cut(name: str, step: int) -> None:
    rows = list(events(TREES[name]))
    data = archive(rows)
    cut = [data[start : start + step] for start in range(0, len(data), step)]
    assert joined(nar.read(cut)) == rows


FILES = st.tuples(st.booleans(), st.binary(max_size=40))
LINKS = st.binary(min_size=1, max_size=20).map(lambda target: target.replace(b"\0", b"/"))
NAMES = (
    st.binary(min_size=1, max_size=12)
    .map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"."))
    .filter(lambda name: name not in (b".", b".."))
)
NODES = st.recursive(
    FILES | LINKS,
    lambda nodes: st.dictionaries(NAMES, nodes, max_size=4),
    max_leaves=12,
)


def rows_of(node: object, name: bytes = b"") -> Iterable[Event]:
    """A drawn node as events: a tuple is a file, bytes are a link's target, a dict is a directory."""
    if isinstance(node, dict):
        yield Directory(name)
        for entry in sorted(node):
            yield from rows_of(node[entry], entry)
        yield Leave()
    elif isinstance(node, bytes):
        yield Symlink(name, node)
    else:
        assert isinstance(node, tuple)
        executable, data = node
        yield File(name, executable, len(data))
        if data:
            yield Chunk(data)


@given(NODES, st.lists(st.integers(0, 400), max_size=8))
def test_any_tree_comes_back_however_it_is_cut(node: object, cuts: list[int]) -> None:
    rows = list(rows_of(node))
    data = archive(rows)
    bounds = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(bounds)]
    assert joined(nar.read(pieces)) == rows


@given(NODES, st.data())
def test_a_damaged_archive_is_refused_or_written_back(node: object, draw: st.DataObject) -> None:
    data = bytearray(archive(rows_of(node)))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    try:
        found = list(nar.read([bytes(data)]))
    except FormatError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(data)
        return
    assert archive(found) == bytes(data)


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_are_an_archive_or_our_error(data: bytes, with_magic: bool) -> None:
    with pytest.raises(FormatError):
        list(nar.read([nar.MAGIC + data if with_magic else data]))


@pytest.mark.parametrize("name", ["script", "link", "empty-dir", "tree"])
def test_an_archive_cut_short_anywhere_is_refused(name: str) -> None:
    data = archive(events(TREES[name]))
    for size in range(len(data)):
        reader = Reader()
        reader.feed(data[:size])
        with pytest.raises(FormatError, match="early") as caught:
            reader.finish()
        assert caught.value.offset == size


def entry(name: bytes | str, *node: bytes | str) -> tuple[bytes | str, ...]:
    return ("entry", "(", "name", name, "node", *node, ")")


def directory(*entries: tuple[bytes | str, ...]) -> bytes:
    return tokens("(", "type", "directory", *(part for item in entries for part in item), ")")


LEAF = ("(", "type", "regular", "contents", "", ")")
GOOD = tokens(*LEAF)


def test_archives_spelled_by_hand_are_good_when_nothing_is_wrong() -> None:
    assert list(nar.read([GOOD])) == [EMPTY]
    assert list(nar.read([directory(entry("a", *LEAF), entry("b", "(", "type", "directory", ")"))])) == [
        Directory(b""),
        File(b"a", False, 0),
        Directory(b"b"),
        Leave(),
        Leave(),
    ]
    executable = tokens("(", "type", "regular", "executable", "", "contents", "x", ")")
    assert list(nar.read([executable])) == [File(b"", True, 1), Chunk(b"x")]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(nar.frame(b"nix-archive-2") + GOOD[len(nar.MAGIC) :], id="another-version"),
        pytest.param(GOOD[len(nar.MAGIC) :], id="no-magic"),
        pytest.param(GOOD + b"\0", id="a-byte-more"),
        pytest.param(GOOD + GOOD, id="two-archives"),
        pytest.param(tokens("(", "type", "socket", ")"), id="unknown-type"),
        pytest.param(tokens("(", "regular", "contents", "", ")"), id="no-type"),
        pytest.param(tokens("(", "type", "regular", ")"), id="no-contents"),
        pytest.param(tokens("(", "type", "regular", "contents", "", "executable", "", ")"), id="flag-after"),
        pytest.param(
            tokens("(", "type", "regular", "executable", "yes", "contents", "", ")"), id="flag-with-a-value"
        ),
        pytest.param(
            tokens("(", "type", "regular", "executable", "", "executable", "", "contents", "", ")"),
            id="flag-twice",
        ),
        pytest.param(tokens("(", "type", "regular", "contents", "", ")", ")"), id="closed-twice"),
        pytest.param(tokens("(", "type", "symlink", ")"), id="link-without-target"),
        pytest.param(tokens("(", "type", "symlink", "target", "", ")"), id="empty-target"),
        pytest.param(tokens("(", "type", "symlink", "target", "a\0b", ")"), id="nul-in-target"),
        pytest.param(tokens("(", "type", "symlink", "target", "x" * 4096, ")"), id="long-target"),
        pytest.param(directory(entry("", *LEAF)), id="empty-name"),
        pytest.param(directory(entry(".", *LEAF)), id="dot"),
        pytest.param(directory(entry("..", *LEAF)), id="dot-dot"),
        pytest.param(directory(entry("a/b", *LEAF)), id="slash"),
        pytest.param(directory(entry("/", *LEAF)), id="only-slash"),
        pytest.param(directory(entry("a\0", *LEAF)), id="nul"),
        pytest.param(directory(entry("x" * 256, *LEAF)), id="long-name"),
        pytest.param(directory(entry("b", *LEAF), entry("a", *LEAF)), id="out-of-order"),
        pytest.param(directory(entry("a", *LEAF), entry("a", *LEAF)), id="twice"),
        pytest.param(directory(entry("é", *LEAF), entry("z", *LEAF)), id="order-of-letters"),
        pytest.param(
            directory(entry("b", "(", "type", "directory", ")"), entry("a", *LEAF)), id="order-after-leaving"
        ),
        pytest.param(directory(("entry", "(", "node", *LEAF, "name", "a", ")")), id="node-before-name"),
        pytest.param(directory(("entry", "(", "name", "a", ")")), id="entry-without-node"),
        pytest.param(directory(("entry", "(", "name", "a", "node", *LEAF)), id="entry-not-closed"),
        pytest.param(GOOD.replace(b"contents", b"kontents"), id="misspelled"),
    ],
)
def test_damaged_archives_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(nar.read([data]))
    with pytest.raises(FormatError):
        list(nar.read([data[start : start + 1] for start in range(len(data))]))


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(nar.MAGIC + nar.FILE + nar.frame(b"12345")[:-3], id="contents"),
        pytest.param(nar.MAGIC + nar.SYMLINK + nar.frame(b"12345")[:-3], id="target"),
        pytest.param(nar.MAGIC + nar.DIRECTORY + nar.ENTRY + nar.frame(b"12345")[:-3], id="name"),
    ],
)
@pytest.mark.parametrize("padding", [b"\1\0\0", b"\0\0\1", b"\0\xff\0"])
def test_padding_is_zero(before: bytes, padding: bytes) -> None:
    assert Reader().feed(before + b"\0\0\0")
    with pytest.raises(FormatError):
        Reader().feed(before + padding)


@pytest.mark.parametrize("size", [2**63, 2**64 - 1])
def test_sizes_that_no_file_has_are_refused(size: int) -> None:
    with pytest.raises(FormatError):
        Reader().feed(nar.MAGIC + nar.FILE + nar.frame_size(size))


@pytest.mark.parametrize("head", [nar.MAGIC + nar.SYMLINK, nar.MAGIC + nar.DIRECTORY + nar.ENTRY])
def test_an_announced_length_is_refused_before_it_is_stored(head: bytes) -> None:
    with pytest.raises(FormatError):
        Reader().feed(head + nar.frame_size(2**40))


def test_contents_come_as_they_arrive_and_nothing_is_kept() -> None:
    reader = Reader()
    size = 2**50
    assert reader.feed(nar.MAGIC + nar.FILE + nar.frame_size(size)) == [File(b"", False, size)]
    piece = b"x" * 100_000
    for _ in range(50):
        assert reader.feed(piece) == [Chunk(piece)]
    with pytest.raises(FormatError, match="early"):
        reader.finish()


def test_deep_trees_are_read_and_endless_ones_refused() -> None:
    depth = nar.DEPTH_LIMIT
    rows: list[Event] = [Directory(b""), *[Directory(b"d")] * (depth - 1), *[Leave()] * depth]
    data = archive(rows)
    assert list(nar.read([data])) == rows
    with pytest.raises(FormatError, match="deep"):
        archive([Directory(b""), *[Directory(b"d")] * depth])
    with pytest.raises(FormatError, match="deep"):
        Reader().feed(
            nar.MAGIC + (nar.DIRECTORY + nar.ENTRY + nar.frame(b"d") + nar.NODE) * depth + nar.DIRECTORY
        )


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="nothing"),
        pytest.param([Directory(b"")], id="directory-not-left"),
        pytest.param([Leave()], id="left-without-entering"),
        pytest.param([Directory(b""), Leave(), Leave()], id="left-twice"),
        pytest.param([EMPTY, EMPTY], id="two-nodes"),
        pytest.param([File(b"x", False, 0)], id="name-at-the-top"),
        pytest.param([Directory(b""), EMPTY, Leave()], id="no-name-inside"),
        pytest.param([Directory(b""), LINK, LINK, Leave()], id="twice"),
        pytest.param([Directory(b""), LINK, File(b"a", False, 0), Leave()], id="out-of-order"),
        pytest.param([Directory(b""), Symlink(b"a/b", b"x"), Leave()], id="slash"),
        pytest.param([Directory(b""), Symlink(b"..", b"x"), Leave()], id="dot-dot"),
        pytest.param([Symlink(b"", b"")], id="empty-target"),
        pytest.param([Symlink(b"", b"a\0")], id="nul-in-target"),
        pytest.param([Chunk(b"x")], id="contents-without-file"),
        pytest.param([EMPTY, Chunk(b"x")], id="contents-of-an-empty-file"),
        pytest.param([File(b"", False, 2), Chunk(b"x")], id="too-few-contents"),
        pytest.param([File(b"", False, 2), Chunk(b"xyz")], id="too-many-contents"),
        pytest.param([File(b"", False, 2), Chunk(b"")], id="empty-chunk"),
        pytest.param([Directory(b""), File(b"a", False, 2), Leave()], id="left-inside-a-file"),
        pytest.param([File(b"", False, -1)], id="negative"),
        pytest.param([File(b"", False, 2**63)], id="greater-than-any-file"),
    ],
)
def test_impossible_rows_are_not_written(rows: list[Event]) -> None:
    with pytest.raises(FormatError):
        archive(rows)


@pytest.mark.parametrize("size", range(18))
def test_framing_is_length_bytes_and_padding(size: int) -> None:
    token = b"x" * size
    framed = nar.frame(token)
    assert framed == nar.frame_size(size) + token + nar.padding(size)
    assert len(framed) % 8 == 0
    assert int.from_bytes(framed[:8], "little") == size
