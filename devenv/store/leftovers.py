"""What lies in a store beside valid paths: partial downloads, unused links, what programs are making or left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress

from devenv.formats.errors import FormatError
from devenv.formats.store_path import digest_of
from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.locks import try_lock

# What Nix keeps in store/.links, and what it may leave in the store directory while it works.
LINKS = ".links"
_FORGOTTEN_AFTER = 7 * 24 * 3600  # seconds until a partial download is garbage


def digest_in(layout: Layout, path: str) -> str | None:
    """The hash in a path of the store directory, None where there is none."""
    try:
        return digest_of(layout.store_dir.parse(path))
    except FormatError:
        return None


def is_being_made(name: str) -> bool:
    """Whether Nix seems to be making this right now: add-PID-N, tmp-PID-N and .tmp-link-PID-N name a process."""
    for prefix in ("add-", "tmp-", ".tmp-link-"):
        if name.startswith(prefix):
            process = name[len(prefix) :].partition("-")[0]
            return process.isdecimal() and os.path.exists(f"/proc/{process}")
    return False


def forgotten_downloads(layout: Layout, age: float = _FORGOTTEN_AFTER) -> Iterator[str]:
    """Partial downloads that nobody is about to go on with."""
    try:
        entries = list(os.scandir(layout.downloads))
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - age and not _is_locked(entry.path):
                yield entry.path


def _is_locked(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return not try_lock(descriptor, exclusive=True)
    finally:
        os.close(descriptor)


def remove_unused_links(layout: Layout) -> int:
    """Remove what `.links` alone still holds; gives the bytes freed. Raises `StoreError`."""
    freed = 0
    directory = os.path.join(layout.store, LINKS)
    with explaining("removing unused links", directory):
        try:
            entries = os.scandir(directory)
        except FileNotFoundError:
            return 0
        with entries:
            for entry in entries:
                # No directory belongs here. A file that gets a second name at this moment loses only this one.
                status = os.lstat(entry.path)
                if status.st_nlink == 1:
                    os.unlink(entry.path)
                    freed += status.st_blocks * 512
    return freed
