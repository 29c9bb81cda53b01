"""Some space of the disk kept back, so that garbage can be collected when the disk is full: deleting rows from the
database takes space at first. It is Nix's file `db/reserved`, which its collector deletes for the same reason.
"""

from __future__ import annotations

import os
from contextlib import suppress

_SIZE_AT_FIRST = 512 * 1024  # bytes
SIZE = 8 * 1024 * 1024  # bytes, as Nix has it
# Never the last of somebody's space.
_SHARE = 16


def make(database: str, size: int = _SIZE_AT_FIRST) -> None:
    """Keep space back beside the database file, unless there is some or too little is left. Never raises."""
    path = _path(database)
    with suppress(OSError):
        if not os.path.exists(path) and free_bytes(database) > _SHARE * size:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)


def release(database: str) -> None:
    """Give the space back. Never raises."""
    with suppress(OSError):
        os.unlink(_path(database))


def free_bytes(database: str) -> int:
    """What is free where the database is; 0 where that cannot be said."""
    try:
        found = os.statvfs(os.path.dirname(database))
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _path(database: str) -> str:
    return os.path.join(os.path.dirname(database), "reserved")
