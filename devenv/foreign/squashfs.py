"""Squashfs images, read without mounting: the payload of AppImages of type 2, snaps, and live systems.

    image      = superblock blocks inodes directories [ fragments ] ids       # little-endian, version 4.0
    metadata   = { size:u16 bytes }     # 8 KiB each when unpacked; bit 15 of size: stored as it is
    inode      = type:u16 mode:u16 uid:u16 gid:u16 mtime:u32 number:u32 ...
    listing    = { count-1:u32 inode-block:u32 number:u32 { offset:u16 number:i16 type:u16 size-1:u16 name } }
    block size = u32                    # bit 24: stored as it is; 0: all zeros

Source: Documentation/filesystems/squashfs.rst of the Linux kernel and its squashfs_fs.h. Nothing is believed: all that
is read lies within the file, directories do not nest without end, and the tree that is written bounds the rest.
"""

from __future__ import annotations

import lzma
import os
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from devenv.derivations.builders.tree import DEEPEST, Tree, ceiling, clean, most_members
from devenv.derivations.errors import ArchiveError
from devenv.store.compression import decompress

MAGIC = b"hsqs"
_SUPER = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_COMPRESSIONS = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_METADATA = 8192
_LARGEST_BLOCK = 1 << 20
_NO_FRAGMENT = 0xFFFFFFFF
_DIRECTORY, _FILE, _LINK, _EXTENDED = 1, 2, 3, 7
_FORMATS = {
    (1, False): struct.Struct("<IIHHI"),
    (1, True): struct.Struct("<IIIIHHI"),
    (2, False): struct.Struct("<IIII"),
    (2, True): struct.Struct("<QQQIIII"),
    (3, False): struct.Struct("<II"),
}


class _Node(NamedTuple):
    """One inode. A directory: `block` and `offset` of its listing. A file: `block` is the place of its first block."""

    kind: int
    mode: int
    size: int
    block: int
    offset: int = 0
    fragment: int = _NO_FRAGMENT
    blocks: tuple[int, ...] = ()
    target: bytes = b""


class Image:
    """An image within an open file. Raises ArchiveError for all that is wrong with it."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._start = offset
        self._size = os.fstat(descriptor).st_size - offset
        fields = _SUPER.unpack(self._read(0, _SUPER.size))
        self.block_size, compression = fields[3], fields[5]
        if fields[0] != MAGIC or fields[9] != 4:
            raise ArchiveError("has no squashfs image of version 4 in it")
        if not 4096 <= self.block_size <= _LARGEST_BLOCK or self.block_size & (self.block_size - 1):
            raise ArchiveError(f"is damaged: its squashfs image has blocks of {self.block_size} bytes")
        self.compression = _COMPRESSIONS.get(compression, f"number {compression}")
        if self.compression not in ("gzip", "xz", "zstd", "lzma"):
            raise ArchiveError(f"is compressed by {self.compression}, which devenv cannot unpack")
        self.used = fields[12]
        if self.used > self._size:
            raise ArchiveError(
                f"is cut off: it should have {self.used} bytes from {offset} on, and has {self._size}"
            )
        self._root, self._inodes, self._directories, self._fragments = (
            fields[11],
            fields[15],
            fields[16],
            fields[17],
        )
        self._fragment_count = fields[4]
        self._metadata: dict[int, tuple[bytes, int]] = {}
        self._last_fragment: tuple[int, bytes] = (-1, b"")

    def _read(self, at: int, size: int) -> bytes:
        if at < 0 or at + size > self._size:
            raise ArchiveError("is damaged: its squashfs image points outside of itself")
        data = os.pread(self._descriptor, size, self._start + at)
        if len(data) != size:
            raise ArchiveError("is cut off in the middle")
        return data

    def _unpack(self, data: bytes, limit: int) -> bytes:
        try:
            if self.compression == "gzip":
                plain = zlib.decompressobj().decompress(data, limit + 1)
            elif self.compression == "zstd":
                plain = b"".join(decompress("zstd", [data]))
            else:
                plain = lzma.LZMADecompressor(memlimit=256 << 20).decompress(data, limit + 1)
        except (zlib.error, lzma.LZMAError, EOFError) as error:
            raise ArchiveError(f"is damaged: {error}") from error
        if len(plain) > limit:
            raise ArchiveError("is damaged: a block of its squashfs image is larger than it says")
        return plain

    # Metadata: a stream of blocks, of which a reference names the block's place and an offset in what it unpacks to.

    def _block(self, at: int) -> tuple[bytes, int]:
        """The metadata block at `at`, and where the next begins."""
        found = self._metadata.get(at)
        if found is None:
            (header,) = struct.unpack("<H", self._read(at, 2))
            size = header & 0x7FFF
            if not 0 < size <= _METADATA:
                raise ArchiveError(f"is damaged: a metadata block of {size} bytes")
            data = self._read(at + 2, size)
            found = (data if header & 0x8000 else self._unpack(data, _METADATA)), at + 2 + size
            if len(self._metadata) > 1024:
                self._metadata.clear()
            self._metadata[at] = found
        return found

    def _stream(self, at: int, offset: int) -> Iterator[bytes]:
        while True:
            data, at = self._block(at)
            if offset > len(data):
                raise ArchiveError("is damaged: a reference leads outside of its metadata block")
            yield data[offset:]
            offset = 0

    def _metadata_bytes(self, at: int, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        for part in self._stream(at, offset):
            parts.append(part[:size])
            size -= len(parts[-1])
            if not size:
                break
        return b"".join(parts)

    def node(self, reference: int) -> _Node:
        """The inode that a reference means; `kind` 0 for devices, pipes and sockets."""
        at, offset = self._inodes + (reference >> 16), reference & 0xFFFF
        type, mode, *_ = struct.unpack("<HHHHII", self._metadata_bytes(at, offset, 16))
        wide = type > _EXTENDED
        kind = type - _EXTENDED if wide else type
        if kind not in (_DIRECTORY, _FILE, _LINK):
            return _Node(0, mode, 0, 0)
        form = _FORMATS[kind, wide and kind != _LINK]
        fields = form.unpack(self._metadata_bytes(at, offset + 16, form.size) if form.size else b"")
        rest = (at, offset + 16 + form.size)
        if kind == _DIRECTORY:
            block, size, place = (
                (fields[2], fields[1], fields[5]) if wide else (fields[0], fields[2], fields[3])
            )
            return _Node(kind, mode, size, block, place)
        if kind == _LINK:
            size = fields[1]
            if size > 65535:
                raise ArchiveError(f"is damaged: a link to a name of {size} bytes")
            return _Node(kind, mode, size, 0, target=self._metadata_bytes(*rest, size))
        if wide:
            block, size, _, _, fragment, place, _ = fields
        else:
            block, fragment, place, size = fields
        return self._file(mode, block, size, fragment, place, rest)

    def _file(
        self, mode: int, block: int, size: int, fragment: int, place: int, rest: tuple[int, int]
    ) -> _Node:
        count = size // self.block_size if fragment != _NO_FRAGMENT else -(-size // self.block_size)
        if count > self._size:  # each takes four bytes in the image, sparse ones as well
            raise ArchiveError(f"is damaged: a file of {size} bytes")
        sizes = struct.unpack(f"<{count}I", self._metadata_bytes(*rest, 4 * count)) if count else ()
        return _Node(_FILE, mode, size, block, place, fragment, sizes)

    def entries(self, directory: _Node) -> Iterator[tuple[bytes, int]]:
        """The names in a directory and the references of their inodes."""
        left = directory.size - 3  # for "." and "..", which are not there
        if left <= 0:
            return
        data = self._metadata_bytes(self._directories + directory.block, directory.offset, left)
        at = 0
        while at + 12 <= len(data):
            count, block, _ = struct.unpack_from("<III", data, at)
            at += 12
            for _ in range(min(count + 1, 256)):
                if at + 8 > len(data):
                    raise ArchiveError("is damaged: a directory ends within an entry")
                offset, _, _, size = struct.unpack_from("<HhHH", data, at)
                yield data[at + 8 : at + 9 + size], block << 16 | offset
                at += 9 + size

    def contents(self, file: _Node) -> Iterator[bytes]:
        """The bytes of a file in chunks."""
        at, left = file.block, file.size
        for entry in file.blocks:
            size = entry & 0xFFFFFF
            expected = min(left, self.block_size)
            if not size:
                data = bytes(expected)
            else:
                raw = self._read(at, size)
                data = raw if entry & 0x1000000 else self._unpack(raw, self.block_size)
            if len(data) != expected:
                raise ArchiveError("is damaged: a block has another size than its file says")
            yield data
            at += size
            left -= expected
        if left:
            data = self._fragment(file.fragment)[file.offset : file.offset + left]
            if len(data) != left:
                raise ArchiveError("is damaged: the end of a file is not where it should be")
            yield data

    def _fragment(self, index: int) -> bytes:
        if index >= self._fragment_count:
            raise ArchiveError(f"is damaged: there is no fragment {index}")
        if self._last_fragment[0] != index:
            (table,) = struct.unpack("<Q", self._read(self._fragments + index // 512 * 8, 8))
            start, entry, _ = struct.unpack("<QII", self._metadata_bytes(table, index % 512 * 16, 16))
            raw = self._read(start, entry & 0xFFFFFF)
            self._last_fragment = index, (raw if entry & 0x1000000 else self._unpack(raw, self.block_size))
        return self._last_fragment[1]

    def walk(self) -> Iterator[tuple[bytes, _Node]]:
        """Everything in the image, directories before what is in them: (path, inode)."""
        stack = [(b"", self.node(self._root))]
        while stack:
            path, node = stack.pop()
            if path:
                yield path, node
            if node.kind != _DIRECTORY:
                continue
            if path.count(b"/") > DEEPEST:
                raise ArchiveError("is damaged: directories in directories without end", member=path)
            for name, reference in self.entries(node):
                if name in (b"", b".", b"..") or b"/" in name:
                    raise ArchiveError(f"is damaged: something in it is called {name!r}")
                stack.append((path + b"/" + name if path else name, self.node(reference)))


def unpack(path: str, offset: int, target: str) -> None:
    """Unpack the image that begins at `offset` of a file into the new directory `target`.

    Devices, pipes and sockets are left out. Raises ArchiveError, CompressionError, OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        image = Image(descriptor, offset)
        tree = Tree(target, ceiling=ceiling(image.used), members=most_members(image.used))
        for name, node in image.walk():
            clean(name)
            tree.expect(name, node.size if node.kind == _FILE else 0)
            if node.kind == _DIRECTORY:
                tree.directory(name)
            elif node.kind == _FILE:
                tree.file(name, image.contents(node), executable=bool(node.mode & 0o111))
            elif node.kind == _LINK:
                tree.symlink(name, node.target)
        tree.finish()
    finally:
        os.close(descriptor)
