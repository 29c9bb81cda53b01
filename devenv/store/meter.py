"""The NAR of a directory, measured while its files are written: who has the bytes at hand need not read them again."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator

from devenv.formats import nar
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store.references import ReferenceScanner
from devenv.store.tree import Scanned

_CHUNK = 256 * 1024  # NAR bytes gathered before they are hashed: a call costs as much as some kilobytes
_CLOSE_ENTRY = nar.CLOSE + nar.CLOSE  # a node, and the entry that it is in


def order(path: bytes) -> list[bytes]:
    """What to sort relative paths by, so that files come as they do in a NAR."""
    return path.split(b"/")


class Meter:
    """Measures the NAR of a directory with files and directories, each of which holds something.

    `file` is called for each, in the order of `order`; `scanned` says what `store.tree.scan` would of the whole.
    """

    def __init__(self, candidates: Collection[StorePath]) -> None:
        """`candidates` are what the files may refer to."""
        self._digest = hashlib.sha256()
        self._scanner = ReferenceScanner(candidates)
        self._size = self._gathered = 0
        self._parts: list[bytes] = [nar.MAGIC, nar.DIRECTORY]
        self._directories: list[bytes] = []
        self._last: list[bytes] = []

    @property
    def is_used(self) -> bool:
        """Whether there was any file."""
        return bool(self._last)

    def file(self, path: bytes, size: int, chunks: Iterable[bytes], *, executable: bool) -> Iterator[bytes]:
        """Gives the contents on, which must have `size` bytes by the end, and takes them into account.

        Raises ValueError for a path that does not come after the one before.
        """
        self._enter(path)
        self._parts.append((nar.EXECUTABLE if executable else nar.FILE) + nar.frame_size(size))
        for chunk in chunks:
            self._parts.append(chunk)
            self._gathered += len(chunk)
            if self._gathered >= _CHUNK:
                self._flush()
            yield chunk
        self._parts.append(nar.padding(size) + _CLOSE_ENTRY)

    def _enter(self, path: bytes) -> None:
        """Close the directories that this is not in, open those that it is in, and its own entry."""
        parts = order(path)
        if parts <= self._last:
            raise ValueError(f"{path!r} does not come after {b'/'.join(self._last)!r}")
        self._last = parts
        inside = parts[:-1]
        common = 0
        while (
            common < min(len(inside), len(self._directories)) and inside[common] == self._directories[common]
        ):
            common += 1
        self._parts.append(_CLOSE_ENTRY * (len(self._directories) - common))
        for name in inside[common:]:
            self._parts.append(_entry(name) + nar.DIRECTORY)
        self._parts.append(_entry(parts[-1]))
        self._directories = inside

    def _flush(self) -> None:
        data = b"".join(self._parts)
        self._digest.update(data)
        self._scanner.feed(data)
        self._size += len(data)
        self._parts, self._gathered = [], 0

    def scanned(self) -> Scanned:
        """The measure of all files so far. Nothing may come after it."""
        self._parts.append(_CLOSE_ENTRY * len(self._directories) + nar.CLOSE)
        self._flush()
        return Scanned(
            nar_hash=Hash("sha256", self._digest.digest()),
            nar_size=self._size,
            references=self._scanner.found,
        )


def _entry(name: bytes) -> bytes:
    return nar.ENTRY + nar.frame(name) + nar.NODE
