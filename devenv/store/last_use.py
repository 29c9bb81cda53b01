"""When something that is kept for the next time was used: the time of its directory or link. Loaded on the warm path."""

from __future__ import annotations

import os
import time

_OFTEN_ENOUGH = 3600.0  # seconds; more would only be writing


def mark_used(path: str, *, exactly: bool = False) -> bool:
    """Note that `path`, which may be a link, is used now; whether it is there. Never raises."""
    try:
        if exactly or os.lstat(path).st_mtime < time.time() - _OFTEN_ENOUGH:
            os.utime(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:  # not ours to change: then nobody of ours removes it, either
        return True
    return True


def mark_program_used(cache: str, path: str) -> None:
    """Note that a program is used now, if it is one of those that were unpacked below the directory `cache`."""
    place = f"{cache}/foreign/"
    if path.startswith(place):
        mark_used(place + path[len(place) :].partition("/")[0])
