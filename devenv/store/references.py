"""Find store paths in a stream of bytes, by their 32 characters of hash.

As in Nix, the hash counts at any offset and without the rest of the path, in file names and link targets too:
the stream is the NAR.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from devenv.formats.nix32 import ALPHABET
from devenv.formats.store_path import DIGEST_LENGTH as _LENGTH
from devenv.formats.store_path import StorePath, digest_of

# Maps the characters of a hash to 1 and all others to 0, so that a search for 32 ones finds the few places
# worth a closer look. Ten times as fast as a regular expression.
_MARKS = bytes(chr(byte) in ALPHABET for byte in range(256))
_RUN = b"\1" * _LENGTH
# Up to so many candidates, one search for each is faster still.
_FEW = 8


class ReferenceScanner:
    """Feed it a stream in pieces of any size; `found` are the candidates that occur so far."""

    __slots__ = ("_found", "_tail", "_wanted")

    def __init__(self, candidates: Collection[StorePath]) -> None:
        self._wanted: Mapping[bytes, StorePath] = {digest_of(path).encode(): path for path in candidates}
        self._found: set[bytes] = set()
        self._tail = b""

    @property
    def found(self) -> tuple[StorePath, ...]:
        """In sorted order."""
        return tuple(sorted(self._wanted[digest] for digest in self._found))

    def feed(self, chunk: bytes) -> None:
        """Look through more of the bytes; a hash may be cut anywhere."""
        if not self._wanted:
            return
        data = self._tail + chunk
        self._tail = data[-(_LENGTH - 1) :]
        if len(self._wanted) <= _FEW:
            self._found.update(digest for digest in self._wanted if digest in data)
        else:
            self._look_for_runs(data)

    def _look_for_runs(self, data: bytes) -> None:
        marks = data.translate(_MARKS)
        start = marks.find(_RUN)
        while start >= 0:
            end = marks.find(b"\0", start + _LENGTH)
            end = len(data) if end < 0 else end
            self._look(data[start:end])
            start = marks.find(_RUN, end)

    def _look(self, run: bytes) -> None:
        windows = len(run) - _LENGTH + 1
        if windows <= 4 * len(self._wanted):
            windows_of_run = (run[start : start + _LENGTH] for start in range(windows))
            self._found.update(digest for digest in windows_of_run if digest in self._wanted)
        else:  # a long run, as in text of base 32: better one search for each candidate
            self._found.update(digest for digest in self._wanted if digest in run)
