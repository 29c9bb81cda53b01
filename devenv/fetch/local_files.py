"""Files of this machine that lockfiles name, by `file:` URLs or paths."""

from __future__ import annotations

import os
import stat
from io import BufferedReader


def open_plain(path: str) -> BufferedReader:
    """Open a plain file. A pipe would be waited for, and a device read, for ever: these are errors.

    Raises OSError, whose `strerror` says what is wrong, and ValueError for a path with a NUL.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "no plain file"
            raise OSError(0, f"it is {what}", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
