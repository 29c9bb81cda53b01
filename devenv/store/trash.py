"""Where deleted things wait for their end: moving them there is quick, taking them apart is not.

`tmp/trash-<pid>-<random>` is locked (flock) by the process that empties it. What a killed one leaves is emptied by
the next collection; nothing else looks at it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from devenv.store.errors import explaining
from devenv.store.locks import lock, try_lock
from devenv.store.tree import make_writable

_NAME = "trash-"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_LONG_PATH = 2048  # bytes; what lies deeper is moved up before it is deleted

# Why something cannot be moved, although it can be deleted where it is.
_IMMOVABLE = frozenset({errno.EXDEV, errno.ENOSPC, errno.EDQUOT, errno.EMLINK})


class Trash:
    """One process's own trash below the directory `tmp`, and that of dead processes. Methods raise `StoreError`."""

    def __init__(self, tmp: str) -> None:
        self.directory = tmp
        self._count = 0
        # Directories by path, each open and locked. Our own is the first, once it is needed.
        self._held: dict[str, int] = {}
        self._own: str | None = None

    def take(self, path: str, *, at_once: bool = False) -> int:
        """Move the tree `path` here, or delete it `at_once`, as a file always is; gives the bytes that are freed."""
        with explaining("deleting", path):
            if at_once or not _is_directory(os.fsencode(path)):
                return sum(delete(path))
            try:
                make_writable(path)  # ".." is in it, which changes
                os.rename(path, self._next_name())
            except FileNotFoundError:
                return 0
            except OSError as error:
                if error.errno not in _IMMOVABLE:
                    raise
                return sum(delete(path))
            return 0

    def _next_name(self) -> str:
        if self._own is None:
            path = os.path.join(self.directory, f"{_NAME}{os.getpid()}-{os.urandom(6).hex()}")
            os.makedirs(self.directory, exist_ok=True)
            os.mkdir(path, 0o700)
            self._held[path] = os.open(path, _OPEN)
            lock(self._held[path], exclusive=True)
            self._own = path
        self._count += 1
        return f"{self._own}/{self._count}"

    def entries(self) -> list[str]:
        """Everything that is in here, what dead processes have left included, for `delete`."""
        with explaining("reading the trash", self.directory):
            try:
                names = sorted(name for name in os.listdir(self.directory) if name.startswith(_NAME))
            except FileNotFoundError:
                return []
            for name in names:
                self._hold(os.path.join(self.directory, name))
            return [f"{path}/{name}" for path in self._held for name in os.listdir(path)]

    def _hold(self, path: str) -> None:
        """Take over the directory unless its process lives."""
        if path in self._held:
            return
        try:
            descriptor = os.open(path, _OPEN)
        except OSError:
            return  # gone meanwhile, or another user's
        if try_lock(descriptor, exclusive=True) and os.path.isdir(path):
            self._held[path] = descriptor
        else:
            os.close(descriptor)

    def close(self) -> None:
        """Remove the directories that are empty, and release them; what is left is the next collection's."""
        for path, descriptor in self._held.items():
            with suppress(OSError):
                os.rmdir(path)
            os.close(descriptor)
        self._held.clear()


def delete(path: str) -> Iterator[int]:
    """Delete a tree, read-only or not, in steps; gives the bytes that each has freed on the disk.

    Files that have other names as well free nothing. Raises OSError; somebody else may delete it as well.
    """
    top = os.fsencode(path)
    directories = [top]
    if not _is_directory(top):
        yield _unlink(top)
        return
    moved = 0
    for directory in directories:  # grows meanwhile
        freed = 0
        with suppress(FileNotFoundError):
            make_writable(directory)
            with os.scandir(directory) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        freed += _unlink(entry.path)
                    elif len(entry.path) < _LONG_PATH:
                        directories.append(entry.path)
                    else:
                        moved += 1
                        make_writable(entry.path)
                        directories.append(_move_up(entry.path, top, moved))
        yield freed
    for directory in reversed(directories):
        with suppress(FileNotFoundError):
            os.rmdir(directory)


def _move_up(path: bytes, top: bytes, number: int) -> bytes:
    target = os.path.join(top, b"deep-%d-%d" % (os.getpid(), number))
    os.rename(path, target)
    return target


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _unlink(path: bytes) -> int:
    try:
        status = os.lstat(path)
        os.unlink(path)
    except FileNotFoundError:
        return 0
    return status.st_blocks * 512 if status.st_nlink == 1 else 0
