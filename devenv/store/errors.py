"""What can go wrong with a store, and the one place where system errors become sentences."""

from __future__ import annotations

import errno
import os
import sys
from types import TracebackType

from devenv.errors import DevenvError


class StoreError(DevenvError):
    """The store cannot do what was asked. `path` is the file, directory or store object concerned."""

    def __init__(self, message: str, *, hint: str | None = None, path: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


def shown(path: str | bytes) -> str:
    """A path for people: one line, printable on every terminal, whatever bytes it is made of."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class explaining:
    """`with explaining("opening the store", path):` raises system and database errors as `StoreError`.

    `doing` and `path` are named in the message; the file that the system call was about is, too, where it is
    another one.
    """

    __slots__ = ("doing", "path")

    def __init__(self, doing: str, path: str | bytes) -> None:
        self.doing = doing
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise _from_system(self.doing, self.path, error) from error
        sqlite3 = sys.modules.get("sqlite3")
        if sqlite3 is not None and isinstance(error, sqlite3.Error):
            raise _from_database(self.doing, self.path, error) from error


# What every further object would meet as well.
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO})


def is_hopeless(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is one that going on would only meet again."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None and error.errno in _HOPELESS


_ELSEWHERE = "another store is chosen with --store-dir or DEVENV_STORE_DIR"
_FULL = f"Free some space there; {_ELSEWHERE}."

_SYSTEM_HINTS = {
    errno.EACCES: f"Check its owner and permissions; {_ELSEWHERE}.",
    errno.EPERM: f"Check its owner and permissions; {_ELSEWHERE}.",
    errno.EROFS: f"Make that file system writable; {_ELSEWHERE}.",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EXDEV: "The store and the tmp directory beside it must lie on one file system.",
    errno.ENOTDIR: f"Move what is in the way elsewhere; {_ELSEWHERE}.",
    errno.EISDIR: f"Move what is in the way elsewhere; {_ELSEWHERE}.",
    errno.EEXIST: f"Move what is in the way elsewhere; {_ELSEWHERE}.",
    errno.EMFILE: "Raise the limit on open files (ulimit -n).",
    errno.ENFILE: "The whole system has too many open files: close some programs.",
    errno.EIO: "The disk reports errors: check it, and the kernel's log.",
}


def _from_system(doing: str, path: str | bytes, error: OSError) -> StoreError:
    culprit = error.filename if isinstance(error.filename, str | bytes) else path
    about = shown(path) if os.fsencode(culprit) == os.fsencode(path) else f"{shown(path)}: {shown(culprit)}"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StoreError(
        f"{doing} {about}: {reason}",
        hint=_SYSTEM_HINTS.get(error.errno or 0, "Check that path."),
        path=os.fsdecode(culprit),
    )


# Primary result codes, https://www.sqlite.org/rescode.html: the low byte of an extended code.
_BUSY, _READONLY, _IOERR, _CORRUPT, _FULL_CODE, _CANTOPEN, _NOTADB = 5, 8, 10, 11, 13, 14, 26

_DATABASE_HINTS = {
    _BUSY: "Another program holds the database: end it, then try again.",
    _READONLY: f"Check the owner and permissions of that directory; {_ELSEWHERE}.",
    _IOERR: "Check the disk, and the kernel's log.",
    _FULL_CODE: _FULL,
    _CANTOPEN: f"Check the owner and permissions of that directory; {_ELSEWHERE}.",
}


def _from_database(doing: str, path: str | bytes, error: Exception) -> StoreError:
    code = getattr(error, "sqlite_errorcode", _CORRUPT) & 0xFF
    damaged = (
        f"Move {shown(os.path.dirname(path))} elsewhere: the store is then filled again as it is needed."
    )
    reason = str(error)
    if code == _IOERR and _is_full(os.path.dirname(path)):
        # SQLite cannot make the file that its readers share, and does not say why.
        code, reason = _FULL_CODE, os.strerror(errno.ENOSPC)
    return StoreError(
        f"{doing} {shown(path)}: {reason}", hint=_DATABASE_HINTS.get(code, damaged), path=os.fsdecode(path)
    )


_LITTLE = 1 << 20


def _is_full(directory: str | bytes) -> bool:
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _LITTLE
