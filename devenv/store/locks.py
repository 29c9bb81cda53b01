"""File locks as Nix takes them: flock(2), never fcntl(2), on files of mode 0600.

A lock file that is removed while others wait for it would give two processes "the" lock. Who removes one
therefore also writes a byte into it, and who gets one looks whether it is still the file of that name.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from types import TracebackType


def try_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Take the lock of an open file unless somebody else holds it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock(descriptor: int, *, exclusive: bool, waiting: Callable[[], None] | None = None) -> None:
    """Take the lock of an open file; `waiting` is called once if that takes more than no time."""
    if not try_lock(descriptor, exclusive=exclusive):
        if waiting is not None:
            waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)


def open_lock_file(path: str) -> int:
    """Open a file to lock, made where it is missing. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def holders(descriptor: int) -> list[str]:
    """Who holds a lock on this file: "devenv enter (process 12)". As far as /proc/locks tells; see proc(5)."""
    status = os.fstat(descriptor)
    found = []
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    for line in lines:
        # "1: FLOCK ADVISORY READ 12 fd:01:345 0 EOF"; an arrow after the number marks those that wait.
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK" or not fields[4].isdecimal():
            continue
        if fields[5].rpartition(":")[2] == str(status.st_ino) and int(fields[4]) != os.getpid():
            found.append(f"{_command(fields[4])} (process {fields[4]})")
    return found


def _command(process: str) -> str:
    """A process's command line in a few words, without the interpreter in front."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            words = os.fsdecode(file.read()).rstrip("\0").split("\0")
    except OSError:
        return "a process"
    if len(words) > 1 and os.path.basename(words[0]).startswith("python"):
        del words[0]
    words[0] = os.path.basename(words[0])
    text = "".join(char if char.isprintable() else "?" for char in " ".join(words[:3]))
    return text[:60] or "a process"


class PathLocks:
    """Exclusive locks on store paths that are being made: the files `<path>.lock`.

    Several are taken in sorted order, as everybody does, so that nobody waits in a circle. Each costs an open
    file: keep the number well below the limit on those.
    """

    __slots__ = ("_held", "_paths", "_waiting")

    def __init__(self, paths: Iterable[str], waiting: Callable[[], None] | None = None) -> None:
        """`waiting` is called for each lock that somebody else holds."""
        self._paths = sorted(set(paths))
        self._waiting = waiting
        self._held: list[tuple[int, str]] = []

    def __enter__(self) -> None:
        self.take()

    def take(self) -> None:
        """Wait until all are ours; `release` gives them back. Raises OSError."""
        try:
            for path in self._paths:
                self._take(f"{path}.lock")
        except BaseException:
            self.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, name: str) -> None:
        while True:
            descriptor = open_lock_file(name)
            try:
                lock(descriptor, exclusive=True, waiting=self._waiting)
                status = os.fstat(descriptor)
            except BaseException:
                os.close(descriptor)  # not ours: an interrupt while another one holds it
                raise
            if status.st_size == 0 and status.st_nlink:
                self._held.append((descriptor, name))
                return
            os.close(descriptor)

    def release(self) -> None:
        """From any thread, once."""
        while self._held:
            descriptor, name = self._held.pop()
            discard_lock_file(descriptor, name)


def discard_lock_file(descriptor: int, name: str) -> None:
    """Remove a lock file whose lock is held, tell those who wait for it, and release it."""
    try:
        os.unlink(name)
        os.write(descriptor, b"d")
    except OSError:
        pass  # a lock file left behind does no harm
    finally:
        os.close(descriptor)
