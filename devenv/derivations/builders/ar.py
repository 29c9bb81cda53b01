"""The ar format as Debian packages have it: members one after the other.

    archive = "!<arch>\\n" { header, data, [ "\\n" ] }        # the last where the data's size is odd
    header  = name 16, time 12, user 6, group 6, mode 8, size 10, "`\\n"      # text, padded with blanks

Source: deb(5). Long names, as other archives have them, do not occur in packages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from devenv.derivations.errors import ArchiveError

MAGIC = b"!<arch>\n"
_HEADER_SIZE = 60
_END = b"`\n"
_CHUNK = 256 << 10


class Ar:
    """The members of the archive in an open file: `for name, size in ar: ... ar.data()`.

    Data that is not asked for is skipped. Raises ArchiveError, OSError.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size
        self._next = len(MAGIC)  # where the next header begins
        self._at = self._until = 0  # what is left of the present member's data
        if os.pread(descriptor, len(MAGIC), 0) != MAGIC:
            raise ArchiveError("is no Debian package: it does not begin as an ar archive")

    def __iter__(self) -> Iterator[tuple[str, int]]:
        while self._next < self._end:
            header = os.pread(self._descriptor, _HEADER_SIZE, self._next)
            name, size = _parsed(header)
            self._at = self._next + _HEADER_SIZE
            self._until = self._at + size
            if self._until > self._end:
                raise ArchiveError("is cut off in the middle")
            self._next = self._until + size % 2
            yield name, size

    def data(self) -> Iterator[bytes]:
        """The data of the member that was yielded last, in chunks."""
        while self._at < self._until:
            piece = os.pread(self._descriptor, min(_CHUNK, self._until - self._at), self._at)
            if not piece:
                raise ArchiveError("is cut off in the middle")
            self._at += len(piece)
            yield piece


def _parsed(header: bytes) -> tuple[str, int]:
    """Name and size in a header."""
    if len(header) < _HEADER_SIZE:
        raise ArchiveError("is cut off in the middle")
    size = header[48:58].rstrip(b" ")
    if header[58:60] != _END or not size.isdigit():
        raise ArchiveError("is damaged: where a member should begin there is something else")
    return header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "backslashreplace"), int(size)
