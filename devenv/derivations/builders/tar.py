"""The tar format, read as a stream: V7, ustar, pax and GNU long names.

An archive is a row of 512-byte blocks. Each member is a header block, then its data, padded to a block;
two blocks of NULs end it. A header has (offset, size): name 0 100, mode 100 8, size 124 12, checksum 148 8,
type 156 1, link name 157 100, magic 257 6, prefix 345 155. Numbers are octal text, or base 256 when the
first byte has its top bit set (GNU). Types: "0", NUL, "7" files; "1" hard link, "2" symbolic link;
"3" "4" devices, "6" fifo; "5" directory; "x" extended header for the next member, "g" for all that follow;
"L" "K" long name and long link name of the next member (GNU).

Source: POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format". `tarfile` is not used: its header loop hangs or
takes quadratic time on crafted headers in the Python versions that must work, and it is several times slower.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from devenv.derivations.errors import ArchiveError

BLOCK = 512
CHUNK = 256 << 10
LONGEST_HEADER = 1 << 20
LONGEST_PADDING = 1 << 20

_FILES = frozenset({b"\x00", b"0", b"7"})
_LINKS = frozenset({b"1", b"2"})
_SPECIAL = {b"3": "a character device", b"4": "a block device", b"6": "a named pipe", b"S": "a sparse file"}
_GZIP = b"\x1f\x8b"


class Source(Protocol):
    """What an archive is read from."""

    def read(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end."""


class Chunks:
    """Bytes that come in chunks, whatever their sizes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._buffer = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """`size` bytes, or fewer at the end."""
        end = self._at + size
        if end > len(self._buffer):
            parts = [self._buffer[self._at :]]
            missing = end - len(self._buffer)
            while missing > 0 and (more := next(self._chunks, b"")):
                parts.append(more)
                missing -= len(more)
            self._buffer = b"".join(parts)
            self._at, end = 0, size
        piece = self._buffer[self._at : end]
        self._at = end
        return piece


class Stream:
    """The bytes of the file `descriptor`, unpacked when it is a gzip file (RFC 1952, any number of members).

    Holds one chunk at a time. What follows a gzip member and is no gzip member is ignored, as gzip does.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._raw = os.read(descriptor, CHUNK)
        self._inflate = zlib.decompressobj(31) if self._raw.startswith(_GZIP) else None
        self.read = Chunks(iter(self._more, b"")).read

    def _more(self) -> bytes:
        if self._inflate is None:
            piece, self._raw = self._raw or os.read(self._descriptor, CHUNK), b""
            return piece
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            if not self._raw:
                self._raw = os.read(self._descriptor, CHUNK)
                if not self._raw:
                    raise ArchiveError("is cut off in the middle")
            try:
                piece = self._inflate.decompress(self._raw, CHUNK)
            except zlib.error as error:
                raise ArchiveError(f"is damaged: {error}") from error
            self._raw = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                return piece

    def _next_member(self) -> bool:
        if len(self._raw) < len(_GZIP):
            self._raw += os.read(self._descriptor, CHUNK)
        if not self._raw.startswith(_GZIP):
            self._raw = b""
            return False
        self._inflate = zlib.decompressobj(31)
        return True


@dataclass(slots=True)
class Member:
    """One file, directory or link. `kind` is "file", "directory" or "link", `size` that of the data.

    `target` is what a link leads to: the text of a symbolic one, the name of an earlier member for a hard one.
    """

    name: bytes
    kind: str
    mode: int
    size: int
    target: bytes = b""
    is_hard: bool = False


class Tar:
    """Members in order: `for member in tar: ... tar.data()`. Data that is not asked for is skipped."""

    def __init__(self, stream: Source) -> None:
        self._stream = stream
        self._left = 0  # bytes of the current member's data that were not read yet
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        extended: dict[bytes, bytes] = {}
        while (block := self._next_header()) is not None:
            kind = block[156:157]
            if kind in b"xXgLK":
                self._extension(kind, block, extended)
                continue
            member = self._member(kind, block, extended)
            extended = {}
            yield member

    def data(self) -> Iterator[bytes]:
        """The data of the member that was yielded last, in chunks."""
        while self._left:
            yield self._take(min(self._left, CHUNK))

    def finish(self) -> None:
        """After the last member: read the padding, so that a compression sees the end of its stream and checks it."""
        left = LONGEST_PADDING
        while piece := self._stream.read(CHUNK):
            left -= len(piece)
            if left < 0:
                raise ArchiveError("goes on after its end")

    def _take(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if len(piece) < size:
            raise ArchiveError("is cut off in the middle")
        self._left -= size
        return piece

    def _open(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _next_header(self) -> bytes | None:
        for _ in self.data():
            pass
        self._stream.read(self._padding)
        block = self._stream.read(BLOCK)
        self._open(0)
        # Some writers leave the closing blocks out; one block of NULs ends an archive as well.
        if not block or block.count(0) == BLOCK:
            return None
        if len(block) < BLOCK:
            raise ArchiveError("is cut off in the middle")
        _check(block)
        return block

    def _extension(self, kind: bytes, block: bytes, extended: dict[bytes, bytes]) -> None:
        size = _number(block[124:136], "size")
        if size > LONGEST_HEADER:
            raise ArchiveError(f"is damaged: an extended header of {size} bytes")
        self._open(size)
        data = self._take(size)
        if kind in b"LK":
            extended[b"path" if kind == b"L" else b"linkpath"] = data.rstrip(b"\0")
        else:
            records = _pax_records(data)
            if kind == b"g":
                if records.keys() & {b"path", b"size"}:
                    raise ArchiveError("gives all its members one name or size, which cannot be right")
            else:
                extended.update(records)

    def _member(self, kind: bytes, block: bytes, extended: dict[bytes, bytes]) -> Member:
        name = extended.get(b"path") or _name(block)
        if kind in _SPECIAL or any(key.startswith(b"GNU.sparse") for key in extended):
            raise ArchiveError(f"is {_SPECIAL.get(kind, 'a sparse file')}", member=name)
        mode = _number(block[100:108], "mode")
        if kind == b"5" or (kind in _FILES and name.endswith(b"/")):
            return Member(name, "directory", mode, 0)  # some writers give directories a size without data
        if kind in _LINKS:
            target = extended.get(b"linkpath") or block[157:257].partition(b"\0")[0]
            return Member(name, "link", mode, 0, target, kind == b"1")
        if kind not in _FILES:
            raise ArchiveError(f"is of the unsupported type {kind!r}", member=name)
        size = _pax_size(extended[b"size"]) if b"size" in extended else _number(block[124:136], "size")
        self._open(size)
        return Member(name, "file", mode, size)


def _check(block: bytes) -> None:
    found = _number(block[148:156], "checksum")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if found != total:
        # Old writers summed signed bytes.
        signed = total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
        if found != signed:
            raise ArchiveError("is damaged, or not a tar archive: a header's checksum is wrong")


def _number(field: bytes, what: str) -> int:
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ArchiveError(f"is damaged: a negative {what}")
        return int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
    text = field.partition(b"\0")[0].strip(b" ")
    if not text:
        return 0
    # int() takes signs and underscores too, a header must not.
    if not text.isdigit() or max(text) > ord("7"):
        raise ArchiveError(f"is damaged: {what} {field!r} is no octal number")
    return int(text, 8)


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        return prefix + b"/" + name
    return name


def _pax_size(text: bytes) -> int:
    if not text.isdigit() or len(text) > 18:
        raise ArchiveError("is damaged: an extended header has a bad size")
    return int(text)


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """ "<length> <key>=<value>\\n", where length counts the whole record."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at] != 0:
        blank = data.find(b" ", at, at + 8)
        length = data[at:blank] if blank > 0 else b""
        end = at + int(length) if length.isdigit() else 0
        record = data[blank + 1 : end - 1]
        if end <= blank + 1 or end > len(data) or data[end - 1] != 10 or b"=" not in record:
            raise ArchiveError("is damaged: an extended header cannot be read")
        key, _, value = record.partition(b"=")
        records[key] = value
        at = end
    return records
