"""The members of a zip file, each checked against every field that describes it.

`zipfile` reads the central directory (zip64 included). The data is read here, since a wheel has thousands
of small members: one read and one inflate for most of them. A member's local header must agree with the
directory, and no two members may share bytes, which is how zip bombs multiply.

Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4. Only methods 0 (stored) and 8 (deflated) occur in wheels.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Self

from devenv.derivations.errors import ArchiveError

CHUNK = 256 << 10
_USUAL_EXTRA = 64  # bytes of extra fields in a local header; where there are more, the data is read by itself
_LOCAL = struct.Struct("<4s5H3L2H")  # signature, version, flags, method, time, date, crc, sizes, lengths
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMember:
    """`name` as the archive spells it; `mode` as in stat(2), 0 where the archive does not say."""

    name: str
    size: int
    mode: int
    is_directory: bool
    crc: int
    compressed: int
    deflated: bool
    offset: int


class Zip:
    """An open zip file. Raises ArchiveError for all that is wrong with it, OSError for disks."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed in __exit__
        try:
            self.members = _directory(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def data(self, member: ZipMember) -> Iterator[bytes]:
        """The member's data in chunks; size and CRC are checked by the end."""
        start, first = self._beginning(member)
        if len(first) == member.compressed and member.size <= CHUNK:
            pieces = iter((_whole(first, member),) if member.deflated else (first,))
        else:
            pieces = self._raw(start, member)
            pieces = _inflated(pieces) if member.deflated else pieces
        crc = size = 0
        for chunk in pieces:
            size += len(chunk)
            if size > member.size:
                break
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if size != member.size or crc != member.crc:
            raise ArchiveError(
                "is damaged: its size or checksum is not what the archive says", member=member.name
            )

    def _beginning(self, member: ZipMember) -> tuple[int, bytes]:
        """Where the data begins, and all of it that was read with the header: most members are small."""
        ahead = _LOCAL.size + 4 * len(member.name) + _USUAL_EXTRA + min(member.compressed, CHUNK)
        block = os.pread(self._file.fileno(), ahead, member.offset)
        if len(block) < _LOCAL.size or not block.startswith(b"PK\3\4"):
            raise ArchiveError("is damaged: its data is not where the archive says", member=member.name)
        _, _, flags, method, *_, name_length, extra_length = _LOCAL.unpack_from(block)
        if _LOCAL.size + name_length > len(block):
            block = os.pread(self._file.fileno(), _LOCAL.size + name_length, member.offset)
        name = block[_LOCAL.size : _LOCAL.size + name_length].decode(
            "utf-8" if flags & 0x800 else "cp437", "surrogateescape"
        )
        if name != member.name or bool(method) != member.deflated or flags & _ENCRYPTED:
            raise ArchiveError("has two headers that contradict each other", member=member.name)
        at = _LOCAL.size + int(name_length) + int(extra_length)
        return member.offset + at, block[at : at + member.compressed]

    def _raw(self, offset: int, member: ZipMember) -> Iterator[bytes]:
        left = member.compressed
        while left:
            piece = os.pread(self._file.fileno(), min(left, CHUNK), offset)
            if not piece:
                raise ArchiveError("is cut off in the middle", member=member.name)
            yield piece
            offset += len(piece)
            left -= len(piece)


def _whole(data: bytes, member: ZipMember) -> bytes:
    """A small member in one go; at most a byte more than it should have."""
    try:
        return zlib.decompressobj(-15).decompress(data, member.size + 1)
    except zlib.error as error:
        raise ArchiveError(f"is damaged: {error}") from error


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-15)
    try:
        for piece in pieces:
            while piece and not inflate.eof:
                yield inflate.decompress(piece, CHUNK)
                piece = inflate.unconsumed_tail
        while chunk := inflate.decompress(inflate.unconsumed_tail, CHUNK):
            yield chunk
    except zlib.error as error:
        raise ArchiveError(f"is damaged: {error}") from error


def _directory(file: IO[bytes]) -> tuple[ZipMember, ...]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            end = archive.start_dir
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, EOFError, struct.error,
            OverflowError, MemoryError, IndexError) as error:  # fmt: skip
        raise ArchiveError(f"is no zip file that can be read: {error}") from error
    members = tuple(_member(info) for info in infos)
    reach = 0
    for member in sorted(members, key=lambda member: member.offset):
        if member.offset < reach:
            raise ArchiveError("shares its data with another member", member=member.name)
        reach = member.offset + _LOCAL.size + len(member.name) + member.compressed
    if reach > end:
        raise ArchiveError("is damaged: its members reach into its directory")
    return members


def _member(info: zipfile.ZipInfo) -> ZipMember:
    # zipfile cuts names at NUL; the original shows what the archive says.
    name = info.orig_filename
    if info.flag_bits & _ENCRYPTED:
        raise ArchiveError("is encrypted", member=name)
    if info.compress_type not in _METHODS:
        raise ArchiveError(f"is compressed with the unsupported method {info.compress_type}", member=name)
    return ZipMember(
        name=name,
        size=info.file_size,
        mode=info.external_attr >> 16,
        is_directory=name.endswith("/") or stat.S_ISDIR(info.external_attr >> 16),
        crc=info.CRC,
        compressed=info.compress_size,
        deflated=info.compress_type == zipfile.ZIP_DEFLATED,
        offset=info.header_offset,
    )
