"""The Nix archive in bulk: the same archives as `devenv.formats.nar` accepts, in few steps for each file.

The grammar is in that module. There every token is an event; here a `Sink` is called once for an entry, and the
tokens between the parts that vary are compared as one run of bytes. Memory is bounded by WHOLE_LIMIT, the sizes
of the chunks and the depth of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Protocol

from devenv.formats.errors import FormatError
from devenv.formats.nar import (
    CLOSE,
    DEPTH_LIMIT,
    DIRECTORY,
    ENTRY,
    EXECUTABLE,
    FILE,
    MAGIC,
    NAME_LIMIT,
    NODE,
    SIZE_LIMIT,
    SYMLINK,
    TARGET_LIMIT,
    check_name,
    check_target,
    padding,
)

WHOLE_LIMIT = 1 << 20  # bytes; a file up to this goes to a sink as one piece

_SIZE = Struct("<Q")
_AHEAD = 1024  # no entry's head is longer: name, padding and the tokens around them
_PIECE = 1 << 20

# The runs that may follow a name, by how many zero bytes its padding has; then those that may follow contents.
_PADDINGS = tuple(padding(size) for size in range(8))
_FILES = tuple(zeros + NODE + FILE for zeros in _PADDINGS)
_EXECUTABLES = tuple(zeros + NODE + EXECUTABLE for zeros in _PADDINGS)
_DIRECTORIES = tuple(zeros + NODE + DIRECTORY for zeros in _PADDINGS)
_SYMLINKS = tuple(zeros + NODE + SYMLINK for zeros in _PADDINGS)
_CLOSED = tuple(zeros + CLOSE + CLOSE for zeros in _PADDINGS)
_CLOSED_TOP = tuple(zeros + CLOSE for zeros in _PADDINGS)


class Sink(Protocol):
    """Takes a tree in the archive's order. The node at the top has the name b""."""

    def file(self, name: bytes, executable: bool, data: bytes) -> None:
        """A whole file of at most WHOLE_LIMIT bytes."""

    def large_file(self, name: bytes, executable: bool, pieces: Iterator[bytes]) -> None:
        """A larger one. All pieces must be taken."""

    def symlink(self, name: bytes, target: bytes) -> None:
        """A symbolic link."""

    def enter(self, name: bytes) -> None:
        """A directory: what follows lies in it, up to the `leave` of the same level."""

    def leave(self) -> None:
        """The end of a directory."""


def unpack(chunks: Iterable[bytes], sink: Sink) -> None:
    """Give the tree of one archive, cut into `chunks` anywhere, to `sink`. Raises `FormatError` for anything else.

    Chunks of about 64 KiB, which stay in the processor's cache, are the fastest. What `sink` raises passes through.
    """
    unpacker = _Unpacker(chunks, sink)
    try:
        unpacker.run()
    except FormatError as error:
        if error.offset is not None:
            raise
        where = unpacker.passed + unpacker.at
        raise FormatError(error.message, offset=where, hint=error.hint) from None


class _Unpacker:
    """The archive from `at` on. `passed`: bytes before the buffer."""

    def __init__(self, chunks: Iterable[bytes], sink: Sink) -> None:
        self._chunks = iter(chunks)
        self._sink = sink
        self._buffer = b""
        self.at = 0
        self.passed = 0

    def run(self) -> None:
        self._expect(MAGIC)
        self._has(_AHEAD)
        if self._node(b"", (FILE,), (EXECUTABLE,), (SYMLINK,), (DIRECTORY,), _CLOSED_TOP):
            self._directory()
        if self._has(1):
            raise FormatError("an archive is followed by other data")

    def _directory(self) -> None:
        """What is inside the directory at the top, and its end. Others are on an explicit stack: trees are deep."""
        last = b""
        above: list[bytes] = []
        sink = self._sink
        while True:
            if len(self._buffer) - self.at < _AHEAD:
                self._has(_AHEAD)
            if self._buffer.startswith(ENTRY, self.at):
                name = self._name(last)
                if self._node(name, _FILES, _EXECUTABLES, _SYMLINKS, _DIRECTORIES, _CLOSED):
                    if len(above) + 1 >= DEPTH_LIMIT:
                        raise FormatError(f"an archive is more than {DEPTH_LIMIT} directories deep")
                    above.append(name)
                    name = b""
                last = name
                continue
            if not above:
                self._expect(CLOSE)
                sink.leave()
                return
            self._expect(_CLOSED[0])  # of the directory, and of the entry that it is
            sink.leave()
            last = above.pop()

    def _name(self, last: bytes) -> bytes:
        """The name of an entry, passed over without its padding; it must come after `last`."""
        start = self.at + len(ENTRY)
        if len(self._buffer) < start + 8:
            raise self._ended()
        (size,) = _SIZE.unpack_from(self._buffer, start)
        if size > NAME_LIMIT:
            raise FormatError(f"an archive has a name of {size} bytes, more than {NAME_LIMIT}")
        start += 8
        name = self._buffer[start : start + size]
        if len(name) < size:
            raise self._ended()
        _check_entry(name, last)
        self.at = start + size
        return name

    def _node(
        self,
        name: bytes,
        files: tuple[bytes, ...],
        executables: tuple[bytes, ...],
        symlinks: tuple[bytes, ...],
        directories: tuple[bytes, ...],
        closed: tuple[bytes, ...],
    ) -> bool:
        """One node, given to the sink; of a directory only the beginning, and then True."""
        which = len(name) & 7
        if self._buffer.startswith(head := files[which], self.at):
            self._file(name, False, self.at + len(head), closed)
        elif self._buffer.startswith(head := directories[which], self.at):
            self.at += len(head)
            self._sink.enter(name)
            return True
        elif self._buffer.startswith(head := executables[which], self.at):
            self._file(name, True, self.at + len(head), closed)
        elif self._buffer.startswith(head := symlinks[which], self.at):
            self._symlink(name, self.at + len(head), closed)
        else:
            raise self._unexpected(files[which], directories[which], executables[which], symlinks[which])
        return False

    def _file(self, name: bytes, executable: bool, start: int, closed: tuple[bytes, ...]) -> None:
        """A file the size of whose contents is at `start`."""
        if len(self._buffer) < start + 8:
            raise self._ended()
        (size,) = _SIZE.unpack_from(self._buffer, start)
        start += 8
        tail = closed[size & 7]
        if len(self._buffer) < start + size + len(tail):
            self.at = start
            if size > WHOLE_LIMIT:
                self._large_file(name, executable, size, tail)
                return
            self._has(size + len(tail))
            start = self.at
        data = self._buffer[start : start + size]
        self.at = start + size
        self._expect(tail)
        if size > WHOLE_LIMIT:
            self._sink.large_file(name, executable, iter((data,)))
        else:
            self._sink.file(name, executable, data)

    def _large_file(self, name: bytes, executable: bool, size: int, tail: bytes) -> None:
        if size > SIZE_LIMIT:
            raise FormatError(f"an archive has a file of {size} bytes")
        self._sink.large_file(name, executable, self._pieces(size))
        self._expect(tail)

    def _pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, passed over one piece at a time."""
        while size:
            if self.at >= len(self._buffer) and not self._has(1):
                raise self._ended()
            piece = self._buffer[self.at : self.at + min(size, _PIECE)]
            self.at += len(piece)
            size -= len(piece)
            yield piece

    def _symlink(self, name: bytes, start: int, closed: tuple[bytes, ...]) -> None:
        self.at = start
        if not self._has(8):
            raise self._ended()
        (size,) = _SIZE.unpack_from(self._buffer, self.at)
        if size > TARGET_LIMIT:
            raise FormatError(
                f"an archive has a symbolic link's target of {size} bytes, more than {TARGET_LIMIT}"
            )
        # The padding, the end of the token's node and, but at the top, of the entry are of one kind with a file's.
        tail = closed[size & 7]
        self._has(8 + size + len(tail))
        target = self._buffer[self.at + 8 : self.at + 8 + size]
        if len(target) < size:
            raise self._ended()
        check_target(target)
        self.at += 8 + size
        self._expect(tail)
        self._sink.symlink(name, target)

    def _expect(self, expected: bytes) -> None:
        if not self._buffer.startswith(expected, self.at):
            self._has(len(expected))
            if not self._buffer.startswith(expected, self.at):
                raise self._unexpected(expected)
        self.at += len(expected)

    def _has(self, size: int) -> bool:
        """Whether `size` bytes follow; if they do, they are in the buffer."""
        missing = size - (len(self._buffer) - self.at)
        if missing <= 0:
            return True
        parts = [self._buffer[self.at :]]
        self.passed += self.at
        for chunk in self._chunks:
            parts.append(chunk)
            missing -= len(chunk)
            if missing <= 0:
                break
        self._buffer = b"".join(parts)
        self.at = 0
        return missing <= 0

    def _unexpected(self, *choices: bytes) -> FormatError:
        found = self._buffer[self.at : self.at + max(map(len, choices))]
        if any(len(found) < len(choice) and choice.startswith(found) for choice in choices):
            return self._ended()
        return FormatError(f"an archive is damaged: found {found[:48]!r}")

    def _ended(self) -> FormatError:
        return FormatError("an archive ends too early", hint="fetch it again")


def _check_entry(name: bytes, last: bytes) -> None:
    if name <= last or b"/" in name or b"\0" in name or name in (b".", b".."):
        check_name(name)
        raise FormatError(
            f"an archive has the entry {name!r} after {last!r}: expected sorted ones without doubles"
        )
