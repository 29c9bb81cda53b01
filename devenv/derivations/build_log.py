"""What a builder prints: written to its log file as it comes, its end kept for the message when it fails."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

_TAIL = 25  # lines
_END = 256 << 10  # bytes
_LONGEST = 2000  # characters of a line that is kept

Show = Callable[[str], None]


def log_path(log: str, drv: str) -> str:
    """Where Nix looks for the log of the derivation at `drv`, below its log directory."""
    name = os.path.basename(drv)
    return f"{log}/drvs/{name[:2]}/{name[2:]}"


def end_of_log(path: str) -> list[str]:
    """The last lines of a log file, [] where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
            return file.read(_END).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


class BuildLog:
    """The log of one build. `show` is called for each whole line, made safe for a terminal."""

    def __init__(self, path: str, show: Show, *, append: bool = False) -> None:
        """Begin the file anew, or go on with it. Raises OSError."""
        self.path = path
        self._show = show
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=_TAIL)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        begin = os.O_APPEND if append else os.O_TRUNC
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | begin | os.O_CLOEXEC, 0o644)

    def feed(self, data: bytes) -> None:
        """Take what was printed. Raises OSError when the disk is full."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LONGEST:]
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        text = printable(line)
        self._lines.append(text)
        self._show(text)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            if self._rest:
                self._take(self._rest)

    def tail(self) -> list[str]:
        """Its last lines."""
        return list(self._lines)


def printable(line: bytes) -> str:
    """A line as text in which nothing is a command to a terminal: colours are gone, as is what a \\r overwrote."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2][:_LONGEST].decode("utf-8", "replace")
    if "\x1b" in text:
        text = _without_escapes(text)
    return "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in text)


def _without_escapes(text: str) -> str:
    import re

    return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])", "", text)
