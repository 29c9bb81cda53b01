"""Some space of the disk kept back, so that garbage can be collected when the disk is full: deleting rows from the
database takes space at first. It is Nix's file `db/reserved`, which its collector deletes for the same reason.
"""

from __future__ import annotations

import os
from contextlib import suppress

# In bytes. What deleting a few rows takes grows with the database, up to what Nix reserves in any case.
_LEAST, _MOST = 512 * 1024, 8 * 1024 * 1024
_SHARE_OF_DATABASE = 4
_SHARE_OF_DISK = 16  # never the last of somebody's space


def make(database: str) -> None:
    """Keep space back beside the database file, unless too little is left. Never raises."""
    with suppress(OSError):
        size = min(max(os.stat(database).st_size // _SHARE_OF_DATABASE, _LEAST), _MOST)
        if free_bytes(database) < _SHARE_OF_DISK * size:
            return
        descriptor = os.open(_path(database), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
