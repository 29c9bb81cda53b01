"""What compilers made for packages and in shells, as directories of ccache's `file:` storage: offered and kept small.

    XX/YYYY...      an object, by the two first and the other letters of its key

A package's build writes to its own such directory and may lay anything there. What it left is offered to the project's
shells by links that devenv makes, outside of any sandbox: plain files with names as ccache gives them, nothing else.
ccache itself does not limit such directories; `devenv.env.compiler_cache` says which ones there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from devenv.env.compiler_cache import RESULTS, built_directory, packages_directory, shell_directory

SHELL_LIMIT, PACKAGE_LIMIT = 5 << 30, 1 << 30  # bytes
_TRIMMED = "trimmed"
_DAY = 86400  # seconds
_ABANDONED = 3600.0  # seconds after which a file that is no object has nobody who writes it
_LETTERS = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")


def offer(project: str) -> int:
    """Show the shells of a project what its packages' builds compiled; how many objects are new. Raises OSError where it cannot write."""
    target = built_directory(project)
    packages = packages_directory(project)
    new = 0
    for owner in _names(packages):
        trim(f"{packages}/{owner}/{RESULTS}", PACKAGE_LIMIT)
        for folder, descriptor in _folders(f"{packages}/{owner}/{RESULTS}"):
            os.makedirs(f"{target}/{folder}", exist_ok=True)
            there = set(os.listdir(f"{target}/{folder}"))
            for entry in _files(descriptor):
                if _is_key(entry.name) and entry.name not in there:
                    with suppress(OSError):  # removed meanwhile, say
                        place = f"{target}/{folder}/{entry.name}"
                        os.link(entry.name, place, src_dir_fd=descriptor, follow_symlinks=False)
                        new += 1
    _drop_unlinked(target)
    return new


def trim(directory: str, limit: int) -> int:
    """Remove what was not used for longest until the rest fits `limit` bytes; how many bytes are left."""
    found = []
    now = time.time()
    for folder, descriptor in _folders(directory):
        for entry in _files(descriptor):
            status = entry.stat(follow_symlinks=False)
            if _is_key(entry.name):
                found.append((status.st_mtime_ns, status.st_blocks * 512, folder, entry.name))
            elif status.st_mtime < now - _ABANDONED:
                with suppress(OSError):
                    os.unlink(entry.name, dir_fd=descriptor)
    size = sum(row[1] for row in found)
    for _, taken, folder, name in sorted(found):
        if size <= limit:
            break
        with suppress(OSError), _opened(directory) as above, _opened(folder, above) as descriptor:
            os.unlink(name, dir_fd=descriptor)
        size -= taken
    return size


def trim_shell_daily(project: str) -> None:
    """Keep what shells compiled small, once a day at most."""
    directory = shell_directory(project)
    stamp = f"{directory}/{_TRIMMED}"
    with suppress(OSError):
        if os.stat(stamp).st_mtime > time.time() - _DAY:
            return
    with suppress(OSError):
        os.makedirs(directory, exist_ok=True)
        trim(directory, SHELL_LIMIT)
        with open(stamp, "w", encoding="ascii"):
            os.utime(stamp)


def _drop_unlinked(directory: str) -> None:
    """Remove the links to objects that their packages do not have any more."""
    for _, descriptor in _folders(directory):
        for entry in _files(descriptor):
            if entry.stat(follow_symlinks=False).st_nlink == 1:
                with suppress(OSError):
                    os.unlink(entry.name, dir_fd=descriptor)


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _is_key(name: str) -> bool:
    return _LETTERS.issuperset(name)


@contextmanager
def _opened(path: str, above: int | None = None) -> Iterator[int]:
    """A directory, and no link to one: those who write there could lead elsewhere."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _folders(directory: str) -> Iterator[tuple[str, int]]:
    """The directories with objects, each open; none of what is none, or cannot be read."""
    with suppress(OSError), _opened(directory) as above:
        for name in sorted(os.listdir(above)):
            if len(name) == 2 and _is_key(name):
                with suppress(OSError), _opened(name, above) as descriptor:
                    yield name, descriptor


def _files(descriptor: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(descriptor) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield entry
