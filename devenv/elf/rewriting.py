"""Putting a patch on disk: the old file or the new one, never something between.

The new contents go to a file beside the old one, which then takes its place with owner, mode and extended attributes
kept. The bytes that stay are shared with the old file where the file system can do that, and are copied by the kernel
where it cannot. A large file that cannot be shared is changed where it is: first its end grows, then its headers
change, so that it is a correct file at every moment.
"""

from __future__ import annotations

import errno
import os
import stat

from devenv.elf.errors import ElfError
from devenv.elf.patch import Patch
from devenv.elf.source import Source

LARGE = 1 << 20  # from here on, copying costs more than everything else
_FICLONE = 0x40049409  # linux/fs.h


def rewrite(source: Source, patch: Patch | None, target: str | None = None) -> None:
    """Apply to the source's own file, or write the result to `target` and leave the source alone.

    Raises ElfError; the file is then as it was.
    """
    path = os.path.realpath(source.path) if target is None else target
    try:
        if target is not None and not _replaceable(target):
            _write_into(source, patch, target)
        elif patch is not None and target is None and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is not writable", path)
        elif patch is not None and target is None and _change_in_place(source, patch, path):
            return
        elif patch is not None or target is not None:
            _replace(source, patch, path, new=target is not None)
    except OSError as error:
        done = "rewriting it" if target is None else f"writing {target}"
        raise ElfError(source.path, f"{done} failed: {error.strerror or error}") from error


def _replaceable(target: str) -> bool:
    """May a file be renamed over it? Not over devices and pipes."""
    try:
        return stat.S_ISREG(os.stat(target).st_mode)
    except FileNotFoundError:
        return True


def _replace(source: Source, patch: Patch | None, path: str, *, new: bool) -> None:
    path = os.path.realpath(path)
    aside, fd = _open_beside(path, 0o777 if new else 0o600)
    try:
        try:
            _fill(fd, source, patch)
            _keep_attributes(fd, source, path, new=new)
        finally:
            os.close(fd)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def _open_beside(path: str, mode: int) -> tuple[str, int]:
    """A new file in the same directory; its name and descriptor."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    attempt = 0
    while True:
        aside = f"{path}.new-{os.getpid()}-{attempt}"
        try:
            return aside, os.open(aside, flags, mode)
        except FileExistsError:  # left by a killed process of the same number
            attempt += 1
            if attempt > 100:
                raise


def _fill(fd: int, source: Source, patch: Patch | None) -> None:
    if len(source.head) == source.size:
        _write(fd, 0, _patched(source.head, patch))
        return
    if not _clone(fd, source):
        _copy(source, fd, 0, source.size, 0)
    if patch is not None:
        _apply(source, fd, patch)
        os.ftruncate(fd, patch.size)


def _patched(data: bytes, patch: Patch | None) -> bytes | bytearray:
    if patch is None:
        return data
    result = bytearray(data[: patch.size].ljust(patch.size, b"\0"))
    for start, size, to in patch.copies:
        result[to : to + size] = data[start : start + size]
    for at, new in patch.writes:
        result[at : at + len(new)] = new
    return result


def _apply(source: Source, fd: int, patch: Patch) -> None:
    for start, size, to in patch.copies:
        _copy(source, fd, start, size, to)
    for at, data in patch.writes:
        _write(fd, at, data)


def _write(fd: int, at: int, data: bytes | bytearray) -> None:
    """All of it; one call may write less."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view = view[done:]
        at += done


def _clone(fd: int, source: Source) -> bool:
    """Share all blocks with the source, where the file system can (Btrfs, XFS, bcachefs, ...)."""
    import fcntl

    if source.fd < 0:
        return False
    try:
        fcntl.ioctl(fd, _FICLONE, source.fd)
    except OSError:
        return False
    return True


def _copy(source: Source, fd: int, start: int, size: int, to: int) -> None:
    """Within the kernel where it can; else in pieces."""
    while size:
        try:
            done = os.copy_file_range(source.fd, fd, size, start, to)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
                raise
            done = 0
        if not done:
            piece = source.read(start, min(size, 1 << 20), "the file")
            _write(fd, to, piece)
            done = len(piece)
        start, to, size = start + done, to + done, size - done


def _keep_attributes(fd: int, source: Source, path: str, *, new: bool) -> None:
    """Owner before mode, because changing the owner clears set-user-id; both from the file that is replaced."""
    try:
        status = os.stat(path) if new else source.status
    except FileNotFoundError:
        status = None
    if status is None:
        return
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(fd, status.st_uid, status.st_gid)
        except PermissionError:
            status = _without_privilege(status)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    for name in _attributes(path):
        try:
            os.setxattr(fd, name, os.getxattr(path, name))
        except OSError:  # those of security modules are not for everybody to set
            continue


def _without_privilege(status: os.stat_result) -> os.stat_result:
    """The file gets another owner: a program that runs as its owner must not run as this one."""
    mode = status.st_mode & ~(stat.S_ISUID | stat.S_ISGID)
    return os.stat_result((mode, *status[1:]))


def _attributes(path: str) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []


def _write_into(source: Source, patch: Patch | None, target: str) -> None:
    """Into a device or a pipe, from start to end."""
    import tempfile

    with tempfile.TemporaryFile() as whole, open(target, "wb") as sink:
        _fill(whole.fileno(), source, patch)
        whole.seek(0)
        while piece := whole.read(1 << 20):
            sink.write(piece)


def _change_in_place(source: Source, patch: Patch, path: str) -> bool:
    """Change a large file where it is. False where that is not safe, or not needed."""
    status = source.status
    if status is None or source.size < LARGE or not patch.extends or patch.copies or status.st_nlink > 1:
        return False
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ETXTBSY:  # it runs: replace it instead
            return False
        raise
    try:
        now = os.fstat(fd)
        if (now.st_dev, now.st_ino, now.st_size) != (status.st_dev, status.st_ino, status.st_size):
            raise ElfError(source.path, "it was changed by another program meanwhile")
        if _can_clone(path, status.st_dev):
            return False
        _extend_then_change(fd, source, patch)
    finally:
        os.close(fd)
    return True


_CLONING: dict[
    int, bool
] = {}  # device -> does its file system share blocks? That does not change while it is mounted.


def _can_clone(path: str, device: int) -> bool:
    """Does the file system share blocks? Asked with a file of its own, which never gets a name."""
    import fcntl

    if device not in _CLONING:
        try:
            with open(path, "rb") as old:
                fd = os.open(os.path.dirname(path) or ".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.ioctl(fd, _FICLONE, old.fileno())
                finally:
                    os.close(fd)
            _CLONING[device] = True
        except OSError:
            _CLONING[device] = False
    return _CLONING[device]


def _extend_then_change(fd: int, source: Source, patch: Patch) -> None:
    """New bytes first; if they do not fit the disk, the file gets its old length back."""
    undo: list[tuple[int, bytes]] = []
    try:
        for at, data in patch.writes:
            if at < source.size:
                undo.append((at, source.read(at, len(data), "what is to change")))
            _write(fd, at, data)
    except BaseException:
        for at, data in reversed(undo):
            _write(fd, at, data)
        os.ftruncate(fd, source.size)
        raise
