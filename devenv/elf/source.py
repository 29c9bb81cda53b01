"""Bounded reads: whatever a damaged file says, nothing beyond its end is read, and never all of a large one."""

from __future__ import annotations

import os
import stat

from devenv.elf.errors import DamagedElf, ElfError, NotElf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

HEAD = 1 << 14  # headers and the dynamic section of most files are in here
WHOLE = 1 << 16  # files up to this are read at once when they are to be edited
LONGEST_STRING = 1 << 20


class Source:
    """The bytes of one file. `path` is for messages; `head` are the first bytes, all of them for a small file."""

    __slots__ = ("fd", "head", "path", "size", "status")

    def __init__(
        self, path: str, fd: int, size: int, head: bytes, status: os.stat_result | None = None
    ) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.head = head
        self.status = status

    @classmethod
    def open(cls, path: str, *, whole: bool = False) -> Self:
        """Open a regular file. Raises ElfError where that fails, NotElf for directories, devices and pipes."""
        try:
            # Without O_NONBLOCK, opening a pipe would wait for somebody to write.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise ElfError(path, f"cannot be read: {getattr(error, 'strerror', error)}") from error
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise NotElf(path, "not a regular file")
            wanted = status.st_size if whole and status.st_size <= WHOLE else HEAD
            return cls(path, fd, status.st_size, os.pread(fd, wanted, 0), status)
        except OSError as error:
            os.close(fd)
            raise ElfError(path, f"cannot be read: {error.strerror}") from error
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def of_bytes(cls, data: bytes, path: str = "(memory)") -> Self:
        return cls(path, -1, len(data), data)

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Exactly these bytes. Raises DamagedElf, naming `what`, where the file has fewer."""
        end = offset + size
        if offset < 0 or size < 0 or end > self.size:
            raise DamagedElf(
                self.path, f"{what} extends past file end ({offset:#x}+{size:#x} of {self.size:#x})"
            )
        if end <= len(self.head):
            return self.head[offset:end]
        data = self._pread(offset, size)
        if len(data) != size:
            raise DamagedElf(self.path, f"the file shrank while {what} was read")
        return data

    def _pread(self, offset: int, size: int) -> bytes:
        if self.fd < 0:
            return b""
        try:
            data = os.pread(self.fd, size, offset)
            while 0 < len(data) < size:  # one call returns at most 2 GiB
                more = os.pread(self.fd, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise ElfError(self.path, f"cannot be read: {error.strerror}") from error
        return data

    def string(self, offset: int, end: int, what: str) -> bytes:
        """The bytes up to the first NUL, which must come before `end`. Raises DamagedElf."""
        end = min(end, self.size, offset + LONGEST_STRING)
        step = 256
        found = b""
        while offset < end:
            part = self.read(offset, min(step, end - offset), what)
            cut = part.find(b"\0")
            if cut >= 0:
                return found + part[:cut] if found else part[:cut]
            found += part
            offset += len(part)
            step = 1 << 14
        raise DamagedElf(self.path, f"{what} is not NUL-terminated")

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
