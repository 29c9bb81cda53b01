"""Directories for unfinished trees, one locked directory for each process.

`tmp/<pid>-<random>` is locked (flock) as long as its process lives. Whoever opens the store removes those that
nobody holds any more, so a killed process leaves nothing for long.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from devenv.store.errors import StoreError, explaining
from devenv.store.locks import lock, try_lock
from devenv.store.tree import remove

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


class TemporaryDirectories:
    """Makes directories inside `base`, from any thread. `close` removes them all. Methods raise `StoreError`."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._own: tuple[int, str] | None = None
        self._count = 0
        self._guard = threading.Lock()

    @contextmanager
    def directory(self) -> Iterator[str]:
        """A new empty directory, removed with all that is in it at the end."""
        path = self.name()
        with explaining("making a temporary directory", path):
            os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            remove(path)

    def name(self) -> str:
        """A path at which nothing exists yet, in a directory that goes with the process."""
        with self._guard:
            if self._own is None:
                with explaining("making a temporary directory", self._base):
                    self._own = _make_own(self._base)
            self._count += 1
            return os.path.join(self._own[1], str(self._count))

    def close(self) -> None:
        """Remove what was made."""
        with self._guard:
            if self._own is not None:
                descriptor, path = self._own
                self._own = None
                try:
                    remove(path)
                finally:
                    os.close(descriptor)


def _make_own(base: str) -> tuple[int, str]:
    os.makedirs(base, exist_ok=True)
    while True:
        path = os.path.join(base, f"{os.getpid()}-{os.urandom(6).hex()}")
        os.mkdir(path, 0o700)
        try:
            descriptor = os.open(path, _OPEN)
        except FileNotFoundError:
            continue  # taken for a stale one before it was locked
        lock(descriptor, exclusive=True)
        if os.path.isdir(path):
            return descriptor, path
        os.close(descriptor)


def remove_stale(base: str) -> None:
    """Remove the directories of processes that are gone, as far as this user may."""
    try:
        names = os.listdir(base)
    except FileNotFoundError:
        return
    for name in names:
        process, dash, _ = name.partition("-")
        if dash and process.isdecimal():
            _remove_if_stale(os.path.join(base, name))


def _remove_if_stale(path: str) -> None:
    try:
        descriptor = os.open(path, _OPEN)
    except OSError:
        return  # gone meanwhile, or another user's
    try:
        if try_lock(descriptor, exclusive=True):
            remove(path)
    except StoreError:
        pass  # another user's: theirs to remove
    finally:
        os.close(descriptor)
