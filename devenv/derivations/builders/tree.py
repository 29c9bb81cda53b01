"""A directory that is filled from an archive: canonical, bounded, never outside itself.

Paths are bytes relative to the tree, already cleaned by `clean`. Only directories and regular files are
made, and every file is created exclusively, so no name can lead through a link.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from devenv.derivations.errors import ArchiveError

# A tree larger than BASE + FACTOR x its archive is taken for a bomb. Deflate can reach 1030:1 on zeros,
# published packages stay below 30:1.
CEILING_BASE = 256 << 20
CEILING_FACTOR = 100
MEMBERS_BASE = 100_000
BYTES_PER_MEMBER = 64
DEEPEST = 256

_FILE, _DIRECTORY, _DECLARED, _LINK = range(4)
_WHAT = ("a file", "a directory", "a directory", "a symbolic link")


def ceiling(compressed: int) -> int:
    """How many bytes an archive of `compressed` bytes may unpack to."""
    return CEILING_BASE + CEILING_FACTOR * compressed


def most_members(compressed: int) -> int:
    """How many members an archive of `compressed` bytes may have."""
    return MEMBERS_BASE + compressed // BYTES_PER_MEMBER


def clean(name: bytes) -> bytes:
    """`name` without empty and `.` components; b"" for the tree itself. Raises ArchiveError for a bad one."""
    if b"\0" in name:
        raise ArchiveError("has a NUL character in its name", member=name)
    if name.startswith(b"/"):
        raise ArchiveError("has an absolute path", member=name)
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise ArchiveError("leaves the package through '..'", member=name)
    if any(len(part) > 255 for part in parts) or len(name) > 3000 or len(parts) > DEEPEST:
        raise ArchiveError("has a name too long or too deep for a file system", member=name)
    return b"/".join(parts)


def seal(path: str | bytes) -> None:
    """Give a directory, or a program, its last form: mode 0555, time 1."""
    os.chmod(path, 0o555)  # noqa: S103 - as everything in a store
    os.utime(path, (1, 1))


class Tree:
    """Fills the new directory `root`. Call `finish` at the end: it gives directories their last form."""

    def __init__(self, root: str, *, ceiling: int, members: int) -> None:
        os.mkdir(root, 0o755)
        self._root = os.fsencode(root)
        self._kinds: dict[bytes, int] = {b"": _DIRECTORY}
        self._ceiling = ceiling
        self._members = members
        self.size = 0

    def expect(self, path: bytes, size: int) -> None:
        """Count a member of `size` bytes. Raises ArchiveError when the tree grows beyond its bounds."""
        self._members -= 1
        if self._members < 0:
            raise ArchiveError("has far too many members for its size; it was not unpacked")
        self.size += size
        if self.size > self._ceiling:
            raise ArchiveError(
                f"unpacks to more than {self._ceiling >> 20} MiB, far too much for the archive's size",
                member=path,
            )

    def directory(self, path: bytes, *, member: bytes | None = None) -> None:
        """Make a directory and its parents, `member`'s if given. One that is there already is kept."""
        kind = self._kinds.get(path)
        if kind == _DIRECTORY:
            return
        if kind is not None and kind != _DECLARED:
            raise ArchiveError(
                f"needs {os.fsdecode(path)!r} to be a directory, which is {_WHAT[kind]} in the archive",
                member=path if member is None else member,
            )
        self.directory(path.rpartition(b"/")[0], member=path if member is None else member)
        os.mkdir(self._root + b"/" + path, 0o755)
        self._kinds[path] = _DIRECTORY

    def declare(self, path: bytes, *, link: bool = False) -> None:
        """Remember a directory or link that is not made, so that what contradicts it is noticed."""
        kind = self._kinds.setdefault(path, _LINK if link else _DECLARED)
        if kind == _FILE and not link:
            raise ArchiveError("is a directory and, earlier in the archive, a file", member=path)

    def file(self, path: bytes, chunks: Iterable[bytes], *, executable: bool = False) -> None:
        """Write a file. One of the same name that came before is replaced."""
        kind = self._kinds.get(path, _FILE)
        if kind in (_DIRECTORY, _DECLARED):
            raise ArchiveError("is a file and, elsewhere in the archive, a directory", member=path)
        parent = path.rpartition(b"/")[0]
        if self._kinds.get(parent) != _DIRECTORY:
            self.directory(parent, member=path)
        full = self._root + b"/" + path
        if path in self._kinds and kind == _FILE:
            os.unlink(full)
        self._kinds[path] = _FILE
        self._write(full, chunks, 0o555 if executable else 0o444)

    def _write(self, full: bytes, chunks: Iterable[bytes], mode: int) -> None:
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            for chunk in chunks:
                while len(chunk) > (written := os.write(descriptor, chunk)):
                    chunk = chunk[written:]
            os.fchmod(descriptor, mode)  # whatever the umask is
            os.utime(descriptor, (1, 1))
        finally:
            os.close(descriptor)

    def is_file(self, path: bytes) -> bool:
        return self._kinds.get(path) == _FILE

    def path(self, path: bytes) -> bytes:
        """Where a member lies on disk."""
        return self._root + b"/" + path

    def finish(self) -> None:
        """Give all directories mode 0555 and time 1. Raises ArchiveError when no file was written."""
        if _FILE not in self._kinds.values():
            raise ArchiveError("holds no file")
        for path, kind in self._kinds.items():
            if kind == _DIRECTORY:
                seal(self._root + b"/" + path if path else self._root)
