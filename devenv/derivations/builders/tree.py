"""A directory that is filled from an archive: canonical, bounded, never outside itself.

Paths are bytes relative to the tree, already cleaned by `clean`. Every directory on the way to a file or link was
made here, and every file is created exclusively, so no name can lead through a link.
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
_LONGEST_TARGET = 4095  # PATH_MAX without its NUL

# Those that are declared were seen in the archive, but not made.
_FILE, _DIRECTORY, _DECLARED, _DECLARED_LINK, _LINK = range(5)
_WHAT = ("a file", "a directory", "a directory", "a symbolic link", "a symbolic link")


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
        # Whether files get other modes than open(2) is given; what it does to a directory says it for all of them.
        self._masked = os.stat(root).st_mode & 0o555 != 0o555
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
        kind = self._kinds.setdefault(path, _DECLARED_LINK if link else _DECLARED)
        if kind == _FILE and not link:
            raise ArchiveError("is a directory and, earlier in the archive, a file", member=path)

    def file(self, path: bytes, chunks: Iterable[bytes], *, executable: bool = False) -> None:
        """Write a file. One of the same name that came before is replaced."""
        self._make_room(path, "a file")
        self._kinds[path] = _FILE
        self._write(self._root + b"/" + path, chunks, 0o555 if executable else 0o444)

    def symlink(self, path: bytes, target: bytes) -> None:
        """Make a symbolic link. One of the same name that came before is replaced."""
        if not target or b"\0" in target or len(target) > _LONGEST_TARGET:
            raise ArchiveError("is a link that leads nowhere", member=path)
        self._make_room(path, "a symbolic link")
        full = self._root + b"/" + path
        os.symlink(target, full)
        os.utime(full, (1, 1), follow_symlinks=False)
        self._kinds[path] = _LINK

    def hard_link(self, path: bytes, earlier: bytes) -> None:
        """Give the file `earlier` of this tree another name. It counts as a second file."""
        if self._kinds.get(earlier) != _FILE:
            raise ArchiveError(
                f"is a hard link to {os.fsdecode(earlier)!r}, which is no file before it in the archive",
                member=path,
            )
        if path == earlier:
            raise ArchiveError("is a hard link to itself", member=path)
        self.expect(path, os.lstat(self.path(earlier)).st_size)
        self._make_room(path, "a file")
        os.link(self.path(earlier), self.path(path), follow_symlinks=False)
        self._kinds[path] = _FILE

    def _make_room(self, path: bytes, what: str) -> None:
        kind = self._kinds.get(path)
        if kind in (_DIRECTORY, _DECLARED):
            raise ArchiveError(f"is {what} and, elsewhere in the archive, a directory", member=path)
        self.directory(path.rpartition(b"/")[0], member=path)
        if kind in (_FILE, _LINK):
            os.unlink(self._root + b"/" + path)

    def _write(self, full: bytes, chunks: Iterable[bytes], mode: int) -> None:
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            for chunk in chunks:
                while len(chunk) > (written := os.write(descriptor, chunk)):
                    chunk = chunk[written:]
            if self._masked:
                os.fchmod(descriptor, mode)
            os.utime(descriptor, (1, 1))
        finally:
            os.close(descriptor)

    def is_file(self, path: bytes) -> bool:
        return self._kinds.get(path) == _FILE

    def is_link(self, path: bytes) -> bool:
        return self._kinds.get(path) == _LINK

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


def open_up(root: str) -> None:
    """Let the files and directories of a tree be written by its owner."""
    for place, _, files in os.walk(root):
        os.chmod(place, 0o755)  # noqa: S103
        for name in files:
            path = f"{place}/{name}"
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o200)
