"""The Nix archive (NAR): one spelling for each file tree, of which hashes are taken.

    archive   = "nix-archive-1" node
    node      = "(" "type" ( file | symlink | directory ) ")"
    file      = "regular" [ "executable" "" ] "contents" contents
    symlink   = "symlink" "target" target
    directory = "directory" ( "entry" "(" "name" name "node" node ")" )*

Each token is its length (8 bytes, little-endian), its bytes, and zero bytes up to a multiple of 8. Entries
are sorted by the bytes of their names. A name has 1 to 255 bytes, is neither "." nor "..", and has no "/"
or NUL in it. Nothing else of a tree is kept: no times, owners, other modes, hard links.

A tree is also a row of events, in the archive's order: `File` followed by its contents in `Chunk`s,
`Symlink`, and `Directory`, its entries, `Leave`. The node at the top has the name b"". `write` turns
events into bytes, `Reader` and `read` turn bytes, however they are cut, into events. Memory is bounded by
the sizes of the chunks and the depth of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from devenv.formats.errors import FormatError

NAME_LIMIT = 255  # what Linux file systems allow in a name
TARGET_LIMIT = 4095  # and in a symbolic link, symlink(2)
SIZE_LIMIT = 2**63 - 1  # and what fits off_t
DEPTH_LIMIT = 2048  # no deeper tree has a path of at most PATH_MAX bytes


def frame(token: bytes) -> bytes:
    """`token` as it stands in an archive."""
    return b"".join((len(token).to_bytes(8, "little"), token, bytes(-len(token) % 8)))


def frame_size(size: int) -> bytes:
    """What stands before contents of `size` bytes."""
    return size.to_bytes(8, "little")


def padding(size: int) -> bytes:
    """What stands after contents of `size` bytes."""
    return bytes(-size % 8)


def _frames(*tokens: bytes) -> bytes:
    return b"".join(map(frame, tokens))


# The runs of tokens between the parts that vary. An archive is MAGIC and a node; a node is
#   FILE or EXECUTABLE, frame(contents), CLOSE;   SYMLINK, frame(target), CLOSE;
#   DIRECTORY, for each entry (ENTRY, frame(name), NODE, a node, CLOSE), CLOSE.
MAGIC = frame(b"nix-archive-1")
FILE = _frames(b"(", b"type", b"regular", b"contents")
EXECUTABLE = _frames(b"(", b"type", b"regular", b"executable", b"", b"contents")
SYMLINK = _frames(b"(", b"type", b"symlink", b"target")
DIRECTORY = _frames(b"(", b"type", b"directory")
ENTRY = _frames(b"entry", b"(", b"name")
NODE = frame(b"node")
CLOSE = frame(b")")


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of `size` bytes. `Chunk`s follow until they are all there; none if the file is empty."""

    name: bytes
    executable: bool
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next bytes of a file, at least one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link."""

    name: bytes
    target: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory. What follows, up to the `Leave` of the same level, lies in it."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Leave:
    """The end of a directory."""


Event = File | Chunk | Symlink | Directory | Leave


def read(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events of one archive, cut into `chunks` anywhere. Raises `FormatError` for anything else."""
    reader = Reader()
    for chunk in chunks:
        yield from reader.feed(chunk)
    reader.finish()


def write(events: Iterable[Event]) -> Iterator[bytes]:
    """The archive that `events` tell, one piece for each event. Raises `FormatError` for impossible rows."""
    writer = _Writer()
    yield MAGIC
    for event in events:
        yield writer.piece(event)
    writer.finish()


def check_name(name: bytes) -> None:
    """Raise `FormatError` if `name` cannot be an entry of a directory."""
    if not 0 < len(name) <= NAME_LIMIT or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise FormatError(f"an archive has an entry with the impossible name {name[:300]!r}")


def check_target(target: bytes) -> None:
    """Raise `FormatError` if no symbolic link can have `target`."""
    if not 0 < len(target) <= TARGET_LIMIT or b"\0" in target:
        raise FormatError(f"an archive has a symbolic link with the impossible target {target[:300]!r}")


class _Levels:
    """The directories that are open, each with the name of its last entry."""

    def __init__(self) -> None:
        self._last: list[bytes] = []

    def __len__(self) -> int:
        return len(self._last)

    def enter(self) -> None:
        if len(self._last) >= DEPTH_LIMIT:
            raise FormatError(f"an archive is more than {DEPTH_LIMIT} directories deep")
        self._last.append(b"")

    def leave(self) -> None:
        self._last.pop()

    def entry(self, name: bytes) -> None:
        """The directory's next entry is called `name`."""
        check_name(name)
        last = self._last[-1]
        if name <= last:
            raise FormatError(
                f"an archive has the entry {name!r} after {last!r}: expected sorted ones without doubles"
            )
        self._last[-1] = name


class Reader:
    """Takes an archive in pieces. Once a method raised `FormatError`, the reader is of no more use.

    `embedded`: other data may follow the archive, `beyond` says how much of it was fed.
    """

    def __init__(self, *, embedded: bool = False) -> None:
        self._embedded = embedded
        self._buffer = b""
        self._at = 0  # of the next byte to read, in the buffer
        self._passed = 0  # bytes of the archive before the buffer
        self._name = b""  # of the node that comes next
        self._left = 0  # bytes of the current file that are still to come
        self._padding = b""  # what must follow them
        self._levels = _Levels()
        # Each state takes what it can off the buffer and says whether it got further.
        self._state: Callable[[list[Event]], bool] = self._magic

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with `data`. Contents come as they arrive.

        Raises FormatError at the offset of the damage.
        """
        self._passed += self._at
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        events: list[Event] = []
        try:
            while self._state(events):
                pass
        except FormatError as error:
            if error.offset is not None:
                raise
            raise FormatError(error.message, offset=self._passed + self._at) from None
        return events

    @property
    def is_finished(self) -> bool:
        """The archive is complete."""
        return self._state == self._end

    @property
    def beyond(self) -> int:
        """How many bytes of what was fed last follow the archive."""
        return len(self._buffer) - self._at if self.is_finished else 0

    def finish(self) -> None:
        """There is no more data. Raises `FormatError` if the archive is not complete."""
        if self._state != self._end:
            raise FormatError(
                "an archive ends too early", offset=self._passed + len(self._buffer), hint="fetch it again"
            )

    def _magic(self, events: list[Event]) -> bool:
        if not self._literal(MAGIC):
            return False
        self._state = self._node
        return True

    def _node(self, events: list[Event]) -> bool:
        kind = self._one_of(_NODES)
        if kind is None:
            return False
        if kind is DIRECTORY:
            self._at += len(kind)
            self._levels.enter()
            events.append(Directory(self._name))
            self._state = self._entry
            return True
        if kind is SYMLINK:
            target = self._token(len(kind), TARGET_LIMIT)
            if target is None:
                return False
            check_target(target)
            events.append(Symlink(self._name, target))
            self._state = self._close
            return True
        size = self._number(self._at + len(kind))
        if size is None:
            return False
        if size > SIZE_LIMIT:
            raise FormatError(f"an archive has a file of {size} bytes")
        self._at += len(kind) + 8
        events.append(File(self._name, kind is EXECUTABLE, size))
        self._left = size
        self._padding = padding(size)
        self._state = self._contents
        return True

    def _contents(self, events: list[Event]) -> bool:
        if self._left:
            data = self._buffer[self._at : self._at + self._left]
            if not data:
                return False
            self._at += len(data)
            self._left -= len(data)
            events.append(Chunk(data))
            if self._left:
                return False
        if not self._literal(self._padding):
            return False
        self._state = self._close
        return True

    def _close(self, events: list[Event]) -> bool:
        """The end of a node and, but at the top, of its entry."""
        if not self._literal(CLOSE + CLOSE if self._levels else CLOSE):
            return False
        self._state = self._entry if self._levels else self._end
        return True

    def _entry(self, events: list[Event]) -> bool:
        what = self._one_of(_IN_DIRECTORY)
        if what is None:
            return False
        if what is CLOSE:
            self._levels.leave()
            events.append(Leave())
            self._state = self._close
            # `_close` takes this directory's own mark along with its entry's.
            return True
        name = self._token(len(what), NAME_LIMIT)
        if name is None:
            return False
        self._levels.entry(name)
        self._name = name
        self._state = self._entry_node
        return True

    def _entry_node(self, events: list[Event]) -> bool:
        if not self._literal(NODE):
            return False
        self._state = self._node
        return True

    def _end(self, events: list[Event]) -> bool:
        if self._at < len(self._buffer) and not self._embedded:
            raise FormatError("an archive is followed by other data")
        return False

    def _literal(self, expected: bytes) -> bool:
        """Pass over `expected` if it is there; False if it may still come."""
        if self._one_of((expected,)) is None:
            return False
        self._at += len(expected)
        return True

    def _one_of(self, choices: tuple[bytes, ...]) -> bytes | None:
        """Which of `choices` comes next; None if that cannot be said yet."""
        for choice in choices:
            if self._buffer.startswith(choice, self._at):
                return choice
        rest = self._buffer[self._at : self._at + max(map(len, choices))]
        if any(len(rest) < len(choice) and choice.startswith(rest) for choice in choices):
            return None
        raise FormatError(f"an archive is damaged: expected one of {_shown(choices)}, found {rest!r}")

    def _token(self, skip: int, limit: int) -> bytes | None:
        """The token `skip` bytes ahead, passed over; None if it is not all there."""
        start = self._at + skip
        size = self._number(start)
        if size is None:
            return None
        if size > limit:
            raise FormatError(f"an archive has a name or target of {size} bytes, more than {limit}")
        end = start + 8 + size
        padded = end + -size % 8
        if len(self._buffer) < padded:
            return None
        if self._buffer[end:padded].strip(b"\0"):
            raise FormatError("an archive is damaged: padding that is not zero")
        self._at = padded
        return self._buffer[start + 8 : end]

    def _number(self, start: int) -> int | None:
        digits = self._buffer[start : start + 8]
        return int.from_bytes(digits, "little") if len(digits) == 8 else None


_NODES = (FILE, DIRECTORY, EXECUTABLE, SYMLINK)
_IN_DIRECTORY = (ENTRY, CLOSE)
_SHOWN = {
    FILE: "a file",
    EXECUTABLE: "an executable file",
    SYMLINK: "a symbolic link",
    DIRECTORY: "a directory",
    ENTRY: "an entry",
    CLOSE: "the end of a node",
    CLOSE + CLOSE: "the end of an entry",
    NODE: "an entry's node",
    MAGIC: "the archive's magic",
}


def _shown(choices: tuple[bytes, ...]) -> str:
    return ", ".join(_SHOWN.get(choice, f"{len(choice)} zero bytes") for choice in choices)


class _Writer:
    """Checks the order of events and says each one's piece of the archive."""

    def __init__(self) -> None:
        self._levels = _Levels()
        self._left = 0
        self._size = 0
        self._done = False

    def piece(self, event: Event) -> bytes:
        if self._left:
            return self._chunk(event)
        if isinstance(event, Leave):
            if not self._levels:
                raise FormatError("events leave a directory that they did not enter")
            self._levels.leave()
            return CLOSE + self._closed()
        if isinstance(event, Chunk):
            raise FormatError(f"events have {len(event.data)} bytes of contents more than their file")
        head = self._head(event.name)
        if isinstance(event, Directory):
            self._levels.enter()
            return head + DIRECTORY
        if isinstance(event, Symlink):
            check_target(event.target)
            return head + SYMLINK + frame(event.target) + CLOSE + self._closed()
        return head + self._file(event)

    def finish(self) -> None:
        if not self._done:
            raise FormatError("events end before the tree does")

    def _head(self, name: bytes) -> bytes:
        if self._done:
            raise FormatError(f"events go on after the tree, with {name!r}")
        if self._levels:
            self._levels.entry(name)
            return ENTRY + frame(name) + NODE
        if name:
            raise FormatError(f"the node at the top has no name, found {name!r}")
        return b""

    def _file(self, event: File) -> bytes:
        if not 0 <= event.size <= SIZE_LIMIT:
            raise FormatError(f"the file {event.name!r} cannot have {event.size} bytes")
        self._left = self._size = event.size
        head = (EXECUTABLE if event.executable else FILE) + frame_size(event.size)
        return head if event.size else head + CLOSE + self._closed()

    def _chunk(self, event: Event) -> bytes:
        if not isinstance(event, Chunk) or not 0 < len(event.data) <= self._left:
            found = f"{len(event.data)}" if isinstance(event, Chunk) else f"a {type(event).__name__}"
            raise FormatError(f"expected {self._left} more bytes of a file's contents, found {found}")
        self._left -= len(event.data)
        return event.data if self._left else event.data + padding(self._size) + CLOSE + self._closed()

    def _closed(self) -> bytes:
        """What follows a complete node: the end of its entry, or nothing at the top."""
        self._done = not self._levels
        return CLOSE if self._levels else b""
