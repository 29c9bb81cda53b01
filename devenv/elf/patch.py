"""What is to be written to an ELF file, as a value, and the file as it will be then."""

from __future__ import annotations

from devenv.elf.source import HEAD, Source


class Patch:
    """writes: (offset, bytes) in order; copies: (from, size, to), ranges of the old file to repeat; size: the new one.

    extends: nothing that the present headers lead to is overwritten before they change.
    """

    __slots__ = ("copies", "extends", "size", "writes")

    def __init__(
        self, writes: list[tuple[int, bytes]], copies: list[tuple[int, int, int]], size: int, extends: bool
    ) -> None:
        self.writes = writes
        self.copies = copies
        self.size = size
        self.extends = extends


class PatchedSource(Source):
    """A file as a patch makes it, without writing it."""

    __slots__ = ("old", "patch")

    def __init__(self, old: Source, patch: Patch) -> None:
        super().__init__(old.path, -1, patch.size, b"")
        self.old = old
        self.patch = patch
        self.head = self._pread(0, min(HEAD, patch.size))

    def _pread(self, offset: int, size: int) -> bytes:
        inside = max(0, min(size, self.old.size - offset))
        data = bytearray(self.old.read(offset, inside, "the file") if inside else b"")
        data += bytes(size - inside)
        for start, length, to in self.patch.copies:
            low, high = max(offset, to), min(offset + size, to + length)
            if low < high:
                data[low - offset : high - offset] = self.old.read(start + low - to, high - low, "the file")
        for at, new in self.patch.writes:
            low, high = max(offset, at), min(offset + size, at + len(new))
            if low < high:
                data[low - offset : high - offset] = new[low - at : high - at]
        return bytes(data)
