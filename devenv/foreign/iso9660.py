"""ISO 9660 images with Rock Ridge and zisofs, read without mounting: the payload of AppImages of type 1.

    sector    = 2048 bytes; the primary volume descriptor is sector 16, the root's record at byte 156 of it
    record    = size:u8 u8 extent:u32le u32be bytes:u32le u32be date[7] flags:u8 u8 u8 u32 length:u8 name [pad] { entry }
    entry     = signature[2] size:u8 version:u8 ...       # NM name, PX mode, SL link, CE more elsewhere
    zisofs    = magic[8] size:u32 header/4:u8 log2(block):u8 u16 { pointer:u32 } { zlib data }

Sources: ECMA-119; IEEE P1282 (Rock Ridge) and P1281 (its CE); the comments of zisofs in the Linux kernel. Nothing is believed:
all that is read lies within the file, and the tree that is written bounds the rest.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from devenv.derivations.builders.tree import DEEPEST, Tree, ceiling, clean, most_members
from devenv.derivations.errors import ArchiveError

_SECTOR = 2048
_ZISOFS = b"\x37\xe4\x53\x96\xc9\xdb\xd6\x07"
_LARGEST_DIRECTORY = 64 << 20
_MOST_CONTINUATIONS = 32
_PIECE = 1 << 20


class _Record(NamedTuple):
    name: bytes
    extent: int  # sectors from the beginning
    size: int  # bytes
    directory: bool
    mode: int
    target: bytes | None


class Image:
    """An open image. Raises ArchiveError for all that is wrong with it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        descriptor_sector = self._read(16 * _SECTOR, _SECTOR)
        if descriptor_sector[1:6] != b"CD001":
            raise ArchiveError("has no ISO 9660 image in it: the download may be incomplete")
        (sectors,) = struct.unpack_from("<I", descriptor_sector, 80)
        if sectors * _SECTOR > self.size:
            raise ArchiveError(f"is cut off: it should have {sectors * _SECTOR} bytes, and has {self.size}")
        self.root = self._record(descriptor_sector[156:190])

    def _read(self, at: int, size: int) -> bytes:
        if at < 0 or at + size > self.size:
            raise ArchiveError("is damaged or cut off: its image points behind its end")
        return os.pread(self._descriptor, size, at)

    def _record(self, data: bytes) -> _Record:
        extent, size = struct.unpack_from("<I4xI", data, 2)
        flags, length = data[25], data[32]
        name = data[33 : 33 + length]
        names: list[bytes] = []
        links: list[bytes] = []
        mode = 0
        for signature, body in self._entries(data[33 + length + (length + 1) % 2 :]):
            if signature == b"NM" and body:
                names.append(body[1:])
            elif signature == b"PX" and len(body) >= 4:
                (mode,) = struct.unpack_from("<I", body)
            elif signature == b"SL" and body:
                links.append(body[1:])
        plain = name.split(b";", 1)[0].rstrip(b".").lower()
        target = _link_target(links) if links else None
        return _Record(b"".join(names) or plain, extent, size, bool(flags & 2), mode, target)

    def _entries(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The system use entries of a record, with those that are continued elsewhere."""
        for _ in range(_MOST_CONTINUATIONS):
            following = None
            at = 0
            while at + 4 <= len(data) and data[at + 2] >= 4:
                signature, body = data[at : at + 2], data[at + 4 : at + data[at + 2]]
                at += data[at + 2]
                if signature == b"CE" and len(body) >= 24:
                    following = struct.unpack_from("<I4xI4xI", body)
                elif signature == b"ST":
                    break
                else:
                    yield signature, body
            if following is None:
                return
            block, offset, size = following
            data = self._read(block * _SECTOR + offset, min(size, _SECTOR))

    def entries(self, directory: _Record) -> Iterator[_Record]:
        """What a directory holds, itself and its parent left out."""
        if directory.size > _LARGEST_DIRECTORY:
            raise ArchiveError(f"is damaged: a directory of {directory.size} bytes")
        data = self._read(directory.extent * _SECTOR, directory.size)
        at = 0
        while at < len(data):
            size = data[at]
            if not size:  # records do not cross sectors
                at += _SECTOR - at % _SECTOR
                continue
            if size < 34 or at + size > len(data) or 33 + data[at + 32] > size:
                raise ArchiveError("is damaged: a directory ends within an entry")
            if data[at + 33 : at + 33 + data[at + 32]] not in (b"\0", b"\1"):
                yield self._record(data[at : at + size])
            at += size

    def contents(self, file: _Record) -> tuple[int, Iterator[bytes]]:
        """The size of a file in bytes, and its bytes in chunks; zisofs is unpacked."""
        at = file.extent * _SECTOR
        if file.size >= 16 and self._read(at, 8) == _ZISOFS:
            size, header, log = struct.unpack("<IBB", self._read(at + 8, 6))
            if not 9 <= log <= 20:
                raise ArchiveError(f"is damaged: compressed blocks of 2^{log} bytes")
            return size, self._inflated(at, size, header * 4, 1 << log, file.size)
        return file.size, self._plain(at, file.size)

    def _plain(self, at: int, size: int) -> Iterator[bytes]:
        while size:
            data = self._read(at, min(size, _PIECE))
            yield data
            at += len(data)
            size -= len(data)

    def _inflated(self, at: int, size: int, header: int, block: int, stored: int) -> Iterator[bytes]:
        count = -(-size // block)
        if header + 4 * (count + 1) > stored:
            raise ArchiveError("is damaged: a compressed file is shorter than its own table")
        pointers = struct.unpack(f"<{count + 1}I", self._read(at + header, 4 * (count + 1)))
        for start, end in pairwise(pointers):
            expected = min(size, block)
            size -= expected
            if start == end:
                yield bytes(expected)
                continue
            if not start < end <= stored:
                raise ArchiveError("is damaged: a compressed file points outside of itself")
            try:
                data = zlib.decompressobj().decompress(self._read(at + start, end - start), block + 1)
            except zlib.error as error:
                raise ArchiveError(f"is damaged: {error}") from error
            if len(data) != expected:
                raise ArchiveError("is damaged: a compressed block has another size than it should have")
            yield data

    def walk(self) -> Iterator[tuple[bytes, _Record]]:
        """Everything in the image, directories before what is in them: (path, record)."""
        stack = [(b"", self.root)]
        while stack:
            path, record = stack.pop()
            if path:
                yield path, record
            if not record.directory:
                continue
            if path.count(b"/") > DEEPEST:
                raise ArchiveError("is damaged: directories in directories without end", member=path)
            for inner in self.entries(record):
                if inner.name in (b"", b".", b"..") or b"/" in inner.name:
                    raise ArchiveError(f"is damaged: something in it is called {inner.name!r}")
                stack.append((path + b"/" + inner.name if path else inner.name, inner))


def _link_target(parts: list[bytes]) -> bytes:
    """The target of the entries SL, without their flags: components { flags:u8 size:u8 text }."""
    found: list[bytes] = []
    absolute = goes_on = False
    for part in parts:
        at = 0
        while at + 2 <= len(part):
            flags, size = part[at], part[at + 1]
            text = {2: b".", 4: b"..", 8: b""}.get(flags & 14, part[at + 2 : at + 2 + size])
            if flags & 8:
                absolute = True
            elif goes_on:
                found[-1] += text
            else:
                found.append(text)
            goes_on = bool(flags & 1)
            at += 2 + size
    return (b"/" if absolute else b"") + b"/".join(found)


def unpack(path: str, target: str) -> None:
    """Unpack an image into the new directory `target`. Raises ArchiveError, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        image = Image(descriptor)
        tree = Tree(target, ceiling=ceiling(image.size), members=most_members(image.size))
        for name, record in image.walk():
            clean(name)
            if record.target is not None:
                tree.expect(name, 0)
                tree.symlink(name, record.target)
            elif record.directory:
                tree.expect(name, 0)
                tree.directory(name)
            else:
                size, chunks = image.contents(record)
                tree.expect(name, size)
                tree.file(name, chunks, executable=bool(record.mode & 0o111))
        tree.finish()
    finally:
        os.close(descriptor)
