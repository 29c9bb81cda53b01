"""Puts a root together: performs the operations of `mounts` in the current directory, which becomes the root."""

from __future__ import annotations

import errno
import os

from devenv.sandbox import syscalls
from devenv.sandbox.syscalls import MOUNT_ATTR_RDONLY, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class Refused(Exception):
    """The kernel does not do one step of entering a sandbox. `step` is for people, `code` an errno."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(f"{step}: {os.strerror(code)}")
        self.step = step
        self.code = code


def step(doing: str, function: Callable[..., object], *arguments: object) -> None:
    """Call `function`; what the system says against it is raised as Refused."""
    try:
        function(*arguments)
    except OSError as error:
        raise Refused(doing, error.errno or errno.EINVAL) from error


def build(operations: Iterable[tuple[Any, ...]], base: str) -> None:
    """Perform `operations` in the current directory, whose path is `base`. Raises Refused."""
    builder = _Builder(base)
    for name, path, *rest in operations:
        try:
            getattr(builder, name)(path or ".", *rest)
        except OSError as error:
            raise Refused(f"{_DOING[name]} /{path}", error.errno or errno.EINVAL) from error


_DOING = {
    "directory": "making",
    "file": "making",
    "symlink": "making",
    "bind": "mounting",
    "tmpfs": "mounting",
    "proc": "mounting",
    "terminals": "mounting",
    "lock": "making read-only",
    "unlock": "making writable",
}


class _Builder:
    """One method for each kind of operation. Paths are relative to the current directory."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._plain = {""}  # directories that are no links and lie in none

    def directory(self, path: str, mode: int) -> None:
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            return
        os.chmod(path, mode)
        self._plain.add(path)

    def file(self, path: str, contents: bytes, mode: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            if contents:
                os.write(descriptor, contents)
        finally:
            os.close(descriptor)

    def symlink(self, path: str, points_to: str) -> None:
        os.symlink(points_to, path)

    def bind(self, path: str, source: str | None) -> None:
        self._require_plain(path)
        syscalls.mount(path if source is None else source, path, None, MS_BIND | MS_REC)

    def tmpfs(self, path: str, options: str) -> None:
        self._require_plain(path)
        syscalls.mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, options)

    def proc(self, path: str) -> None:
        self._require_plain(path)
        syscalls.mount("none", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)

    def terminals(self, path: str) -> None:
        self._require_plain(path)
        syscalls.mount("none", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,mode=0620,ptmxmode=0666")

    def lock(self, path: str, recursive: bool) -> None:
        try:
            syscalls.set_mount_attributes(path, set=MOUNT_ATTR_RDONLY, recursive=recursive)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            self._remount(path, recursive, read_only=True)

    def unlock(self, path: str) -> None:
        try:
            syscalls.set_mount_attributes(path, clear=MOUNT_ATTR_RDONLY)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            self._remount(path, False, read_only=False)

    def _require_plain(self, path: str) -> None:
        """Refuse a mount point that a symbolic link in a directory of the machine leads to.

        Links are still resolved against the machine's root here, so the mount would land on the machine's path.
        """
        parent = path.rpartition("/")[0]
        if parent not in self._plain:
            whole = f"{self._base}/{parent}"
            if os.path.realpath(whole) != os.path.join(os.path.realpath(self._base), parent):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            self._plain.add(parent)
        if path != "." and os.path.islink(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def _remount(self, path: str, recursive: bool, *, read_only: bool) -> None:
        """What mount_setattr does, before Linux 5.12. A remount must repeat the flags that it may not clear."""
        whole = os.path.realpath(path)
        for place in mount_points("/proc/self/mountinfo"):
            if place == whole or (recursive and place.startswith(whole.rstrip("/") + "/")):
                flags = os.statvfs(place).f_flag & _KEPT
                flags |= syscalls.MS_RDONLY if read_only else 0
                syscalls.mount(None, place, None, MS_BIND | syscalls.MS_REMOUNT | flags)


# The flags of statvfs(3) have mount(2)'s values, as far as they are asked for here.
_KEPT = MS_NOSUID | MS_NODEV | MS_NOEXEC | syscalls.MS_NOATIME | syscalls.MS_NODIRATIME


def mount_points(path: str) -> list[str]:
    """The places in a mountinfo file, see proc(5)."""
    with open(path, "rb") as file:
        fields = [line.split(b" ", 5)[4] for line in file]
    return [os.fsdecode(_unescaped(field)) for field in fields]


def _unescaped(field: bytes) -> bytes:
    head, *rest = field.split(b"\\")  # octal: \040 is a blank
    return head + b"".join(bytes((int(part[:3], 8),)) + part[3:] for part in rest)
