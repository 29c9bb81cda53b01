"""The system calls that enter a sandbox, for a launcher: what `devenv.sandbox.enter` does, worked out beforehand.

Numbers are those of x86-64. What of the machine may be gone when the launcher starts (a directory in /run, a disk) is shown if
it is there.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from devenv.installing.launcher import KEEP, KEPT, MAY_FAIL, Argument, Call
from devenv.sandbox.syscalls import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MNT_DETACH,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_UNBINDABLE,
)

if TYPE_CHECKING:
    from devenv.sandbox.enter import Entry

_WRITE, _OPEN, _CLOSE, _CHDIR, _MKDIR, _SYMLINK, _CHMOD = 1, 2, 3, 80, 83, 88, 90
_PIVOT_ROOT, _MOUNT, _UMOUNT, _UNSHARE, _MOUNT_SETATTR = 155, 165, 166, 272, 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PTS = "newinstance,mode=0620,ptmxmode=0666"


def calls(entry: Entry, name: str, surely: Sequence[str]) -> Iterator[Call]:
    """The calls of an `Entry` that has user and mount namespaces only. surely: directories whose contents must be there."""
    make = _Maker(name, tuple(surely))
    yield make.must("making namespaces", _UNSHARE, CLONE_NEWUSER | CLONE_NEWNS)
    for place, text in (("setgroups", "deny"), ("uid_map", entry["users"]), ("gid_map", entry["groups"])):
        yield from make.file(f"/proc/self/{place}", text.encode(), os.O_WRONLY, 0)
    base = entry["base"]
    yield make.must("mounting the root", _MOUNT, "none", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    yield make.must("mounting the root", _MOUNT, "none", base, 0, MS_UNBINDABLE, 0)
    yield make.must("entering the new root", _CHDIR, base)
    for operation, path, *rest in entry["operations"]:
        yield from getattr(make, f"do_{operation}")(path or ".", *rest)
    yield make.must("moving to the new root", _PIVOT_ROOT, ".", ".")
    yield make.must("moving to the new root", _UMOUNT, ".", MNT_DETACH)
    yield make.must("moving to the new root", _CHDIR, "/")


class _Maker:
    """One method for each kind of operation, as in `devenv.sandbox.building`."""

    def __init__(self, name: str, surely: tuple[str, ...]) -> None:
        self._name = name
        self._surely = surely
        self._perhaps: set[str] = set()

    def must(self, doing: str, number: int, *arguments: Argument, flags: int = 0) -> Call:
        complaint = f"{self._name}: {doing} failed; `devenv doctor` says what this machine allows\n"
        return Call(number=number, arguments=arguments, flags=flags, complaint=complaint)

    def may(self, number: int, *arguments: Argument) -> Call:
        return Call(number=number, arguments=arguments, flags=MAY_FAIL)

    def file(self, path: str, contents: bytes, how: int, mode: int) -> Iterator[Call]:
        yield self.must(f"writing {path}", _OPEN, path, how | os.O_CLOEXEC, mode, flags=KEEP)
        if contents:
            yield self.must(f"writing {path}", _WRITE, KEPT, contents, len(contents))
        yield self.must(f"writing {path}", _CLOSE, KEPT)

    def do_directory(self, path: str, mode: int) -> Iterator[Call]:
        yield self.may(_MKDIR, path, mode)  # it may be there; if not, what is mounted on it says so
        yield self.may(_CHMOD, path, mode)

    def do_file(self, path: str, contents: bytes, mode: int) -> Iterator[Call]:
        yield from self.file(path, contents, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, mode)

    def do_symlink(self, path: str, points_to: str) -> Iterator[Call]:
        yield self.must(f"making /{path}", _SYMLINK, points_to, path)

    def do_bind(self, path: str, source: str | None) -> Iterator[Call]:
        arguments = (path if source is None else source, path, 0, MS_BIND | MS_REC, 0)
        if source is None or f"{source}/".startswith(self._surely):
            yield self.must(f"mounting /{path}", _MOUNT, *arguments)
        else:
            self._perhaps.add(path)
            yield self.may(_MOUNT, *arguments)

    def do_tmpfs(self, path: str, options: str) -> Iterator[Call]:
        yield self.must(f"mounting /{path}", _MOUNT, "none", path, "tmpfs", MS_NOSUID | MS_NODEV, options)

    def do_proc(self, path: str) -> Iterator[Call]:
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        yield self.must(f"mounting /{path}", _MOUNT, "none", path, "proc", flags, 0)

    def do_terminals(self, path: str) -> Iterator[Call]:
        yield self.must(f"mounting /{path}", _MOUNT, "none", path, "devpts", MS_NOSUID | MS_NOEXEC, _PTS)

    def do_lock(self, path: str, recursive: bool) -> Iterator[Call]:
        attributes = struct.pack("<4Q", MOUNT_ATTR_RDONLY, 0, 0, 0)
        yield self._attributes(path, attributes, _AT_RECURSIVE if recursive else 0)

    def do_unlock(self, path: str) -> Iterator[Call]:
        yield self._attributes(path, struct.pack("<4Q", 0, MOUNT_ATTR_RDONLY, 0, 0), 0)

    def _attributes(self, path: str, attributes: bytes, flags: int) -> Call:
        arguments: tuple[Any, ...] = (_AT_FDCWD, path, flags, attributes, len(attributes))
        if path in self._perhaps:
            return self.may(_MOUNT_SETATTR, *arguments)
        return self.must(f"making /{path} read-only", _MOUNT_SETATTR, *arguments)
