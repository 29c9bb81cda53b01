"""One copy of equal files: hard links to `store/.links/<hash>`, exactly as `nix-store --optimise` makes them.

The hash is the SHA-256 of the file's own NAR in base 32, so that programs and other files of the same contents stay
apart, and so do symbolic links. A file is only ever replaced as a whole, by one that was just seen to be equal.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from devenv.events import Finished, Notice, Planned, Reporter, Started
from devenv.formats import nar, nix32
from devenv.formats.store_path import StorePath, name_of
from devenv.store.errors import explaining, shown
from devenv.store.local import Store
from devenv.store.locks import PathLocks
from devenv.store.objects import size_of
from devenv.store.tree import make_writable, scan, seal

LINKS = ".links"
_SMALL = 1024 * 1024  # bytes
_CANONICAL_TIME = 1  # seconds since 1970, of everything in a store
_CANONICAL_MODES = (0o444, 0o555)


@dataclass(slots=True, kw_only=True)
class Optimised:
    """How many files became links, and the bytes on the disk that were saved."""

    linked: int = 0
    freed: int = 0


def optimise(store: Store, *, reporter: Reporter | None = None) -> Optimised:
    """Link equal files of everything registered. May be interrupted and repeated at any time.

    Raises `StoreError`.
    """
    reporter = reporter or Reporter()
    objects = store.objects()
    paths = sorted(path for path in objects if os.path.lexists(path))
    reporter.event(Planned(kind="optimise", count=len(paths), size=size_of(objects, paths)))
    links = os.path.join(store.layout.store, LINKS)
    with explaining("linking equal files", links):
        os.makedirs(links, exist_ok=True)
        linker = _Linker(links, store.new_name, reporter)
        for path in paths:
            key = f"optimise {path}"
            reporter.event(Started(kind="optimise", key=key, label=name_of(path), size=objects[path].size))
            linker.link_all(path)
            reporter.event(Finished(key=key))
    return linker.done


class _Linker:
    """`new_name` gives free names outside of the store directory, on its file system. Methods raise OSError."""

    def __init__(self, links: str, new_name: Callable[[], str], reporter: Reporter) -> None:
        self._links = os.fsencode(links)
        self._new_name = new_name
        self._reporter = reporter
        self._known = {entry.inode() for entry in os.scandir(links)}
        # Files of .links that were compared with their name.
        self._checked: set[int] = set()
        # The directory that was last made writable, until it is tidied.
        self._writable: bytes | None = None
        self.done = Optimised()

    def link_all(self, path: StorePath) -> None:
        """Link the files of one object, whose lock is held meanwhile: a repair may be about to replace it."""
        with PathLocks([path]):
            directories = [os.fsencode(path)]
            if not _is_directory(directories[0]):
                self._link(directories[0], os.lstat(path))
                return
            for directory in directories:  # grows meanwhile
                with os.scandir(directory) as entries:
                    found = list(entries)
                directories += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
                self._link_directory(directory, found)

    def _link_directory(self, directory: bytes, entries: list[os.DirEntry[bytes]]) -> None:
        try:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False) and entry.inode() not in self._known:
                    self._link(entry.path, entry.stat(follow_symlinks=False), directory)
        finally:
            self._writable = None
            _tidy(directory)

    def _link(self, path: bytes, status: os.stat_result, directory: bytes | None = None) -> None:
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            return
        if status.st_ino in self._known:
            return
        if not _is_canonical(status):
            self._notice(
                f"{shown(path)} is not as a store has its files: somebody changed it; it is left alone"
            )
            return
        name = _nar_hash(path, status)
        link = os.path.join(self._links, name.encode())
        present = self._present(link, name, status)
        if present is None:
            self._enter(path, link, status)
        elif present.st_ino != status.st_ino:
            self._replace(path, link, status, directory)

    def _present(self, link: bytes, name: str, status: os.stat_result) -> os.stat_result | None:
        """The file of .links, None where there is none or a bad one was removed."""
        try:
            found = os.lstat(link)
        except FileNotFoundError:
            return None
        if found.st_ino in self._checked:
            return found
        good = found.st_size == status.st_size and _is_canonical(found)
        if good and _nar_hash(link, found) == name:
            self._checked.add(found.st_ino)
            return found
        self._notice(f"{shown(link)} is damaged and is not used any more")
        self._known.discard(found.st_ino)
        with suppress(FileNotFoundError):
            os.unlink(link)
        return None

    def _enter(self, path: bytes, link: bytes, status: os.stat_result) -> None:
        try:
            os.link(path, link, follow_symlinks=False)
        except FileExistsError:
            return  # another process is just as far: next time
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EMLINK):  # the directory may be full, not the disk
                raise
            return
        self._known.add(status.st_ino)
        self._checked.add(status.st_ino)

    def _replace(self, path: bytes, link: bytes, status: os.stat_result, directory: bytes | None) -> None:
        aside = os.fsencode(self._new_name())
        try:
            os.link(link, aside, follow_symlinks=False)
        except OSError as error:
            # As many links as the file system allows (EMLINK), as empty files soon have; or a collector was here.
            if error.errno not in (errno.EMLINK, errno.ENOENT):
                raise
            return
        try:
            if directory is not None and directory != self._writable:
                make_writable(directory)
                self._writable = directory
            os.rename(aside, path)
        except OSError as error:
            os.unlink(aside)
            if error.errno != errno.EMLINK:
                raise
            return
        self.done.linked += 1
        if status.st_nlink == 1:
            self.done.freed += status.st_blocks * 512

    def _notice(self, text: str) -> None:
        self._reporter.event(Notice(text=text))


def _nar_hash(path: bytes, status: os.stat_result) -> str:
    """The SHA-256 of the NAR of a file or link, in base 32. Small ones are most, and take a short way."""
    if stat.S_ISLNK(status.st_mode):
        text = nar.MAGIC + nar.SYMLINK + nar.frame(os.readlink(path)) + nar.CLOSE
    elif status.st_size > _SMALL:
        return scan(os.fsdecode(path), ()).nar_hash.nix32
    else:
        with open(path, "rb", buffering=0) as file:
            data = file.readall()
        head = nar.EXECUTABLE if status.st_mode & stat.S_IXUSR else nar.FILE
        text = b"".join((nar.MAGIC, head, nar.frame(data), nar.CLOSE))
    return nix32.encode(hashlib.sha256(text).digest())


def _is_directory(path: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _is_canonical(status: os.stat_result) -> bool:
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) not in _CANONICAL_MODES:
        return False
    return int(status.st_mtime) == _CANONICAL_TIME


def _tidy(directory: bytes) -> None:
    """Make a directory canonical, also one that an interrupted run has left writable."""
    status = os.lstat(directory)
    if stat.S_IMODE(status.st_mode) != 0o555 or int(status.st_mtime) != _CANONICAL_TIME:
        seal(directory)
