"""What a garbage collector must keep: links that it follows, and the paths of running processes."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable

from devenv.formats.store_path import StorePath
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.layout import Layout
from devenv.store.locks import discard_lock_file


def add_indirect_root(layout: Layout, link: str, target: StorePath) -> None:
    """Make `link` a symbolic link to `target`, and a root for as long as it exists and says so.

    The collector finds it through `gcroots/auto/<hash of the link's path> -> link`. Both are replaced at once,
    never changed. Raises `StoreError`, also where something other than a link is in the way.
    """
    link = os.path.abspath(link)
    with explaining("making a garbage collection root", link):
        if os.path.lexists(link) and not os.path.islink(link):
            raise StoreError(
                f"making a garbage collection root: {shown(link)} exists and is not a symbolic link",
                hint="Move it elsewhere.",
                path=link,
            )
        os.makedirs(os.path.dirname(link), exist_ok=True)
        point(link, target)
        automatic = os.path.join(layout.gcroots, "auto")
        os.makedirs(automatic, exist_ok=True)
        point(os.path.join(automatic, automatic_name(link)), link)


def automatic_name(link: str) -> str:
    """The name in gcroots/auto for an absolute path: Nix's base 32 of its SHA-1."""
    from devenv.formats.hashes import Hash

    return Hash.of("sha1", os.fsencode(link)).nix32


def point(link: str, target: str) -> None:
    """Make `link` a symbolic link to `target` at once. Raises OSError."""
    try:
        if os.readlink(link) == target:
            return
    except OSError:
        pass  # not there yet
    aside = f"{link}.tmp-{os.getpid()}-{os.urandom(4).hex()}"
    os.symlink(target, aside)
    try:
        os.rename(aside, link)
    except BaseException:
        os.unlink(aside)
        raise


class TemporaryRoots:
    """The file `temproots/<pid>-<random>`: paths that a collector keeps as long as this process lives.

    The file stays locked; one whose lock can be had is stale, and a collector removes it. Nix reads a number at
    the beginning of the name. The random part keeps a process with the same number in another namespace from
    taking it for its own. Methods raise OSError and may be called from any thread.
    """

    def __init__(self, directory: str) -> None:
        self._guard = threading.Lock()
        self._written: set[str] = set()
        os.makedirs(directory, exist_ok=True)
        self._descriptor, self._name = _make_locked(directory)

    def add(self, paths: Iterable[str]) -> None:
        """Keep `paths`. The caller holds gc.lock shared, so no collector has read the file before."""
        with self._guard:
            new = sorted(set(paths) - self._written)
            if new:
                _write_all(self._descriptor, b"".join(os.fsencode(path) + b"\0" for path in new))
                self._written.update(new)

    def close(self) -> None:
        with self._guard:
            if self._descriptor >= 0:
                descriptor, self._descriptor = self._descriptor, -1
                discard_lock_file(descriptor, self._name)


def _make_locked(directory: str) -> tuple[int, str]:
    while True:
        name = os.path.join(directory, f"{os.getpid()}-{os.urandom(6).hex()}")
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        status = os.fstat(descriptor)
        if status.st_size == 0 and status.st_nlink:
            return descriptor, name
        os.close(descriptor)  # a collector took it for a stale one before it was locked


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
