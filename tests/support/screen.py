"""A screen of the tests' own, Xvfb from a root of packages, and what can be seen on it."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.devenv import User, devenv_program

_FHS = ("fhs", "--base", "debian/bookworm", "xvfb", "x11-apps", "bash", "--")


class Screen:
    """`display` for DISPLAY."""

    def __init__(self, user: User, display: str, folder: Path) -> None:
        self._user = user
        self._folder = folder
        self.display = display

    def colours(self) -> Counter[int]:
        """Each colour that is seen, as 0xRRGGBB, and how many of the pixels have it."""
        path = self._folder / "shot.xwd"
        words = (*_FHS, "xwd", "-root", "-silent", "-out", str(path))
        self._user.run(*words, cwd=self._folder, DISPLAY=self.display)
        return read_xwd(path.read_bytes())

    def wait_for(
        self, looks: Callable[[Counter[int]], bool], *, seconds: float, process: subprocess.Popen[bytes]
    ) -> Counter[int]:
        """What is seen as soon as it looks so, or at the end of the time or the process."""
        until = time.monotonic() + seconds
        while True:
            seen = self.colours()
            if looks(seen) or time.monotonic() > until or process.poll() is not None:
                return seen
            time.sleep(1)


def read_xwd(data: bytes) -> Counter[int]:
    """The colours of an image in the X Window Dump format, version 7, with 32 bits a pixel: XWDFile.h."""
    header = struct.unpack(">25I", data[:100])
    size, width, height, depth, line, entries = (header[i] for i in (0, 4, 5, 11, 12, 19))
    assert depth == 32 and header[1] == 7
    start = size + 12 * entries
    seen: Counter[int] = Counter()
    for row in range(height):
        at = start + row * line
        seen.update(pixel & 0xFFFFFF for pixel in struct.unpack(f"<{width}I", data[at : at + 4 * width]))
    return seen


@contextmanager
def screen(user: User, folder: Path) -> Iterator[Screen]:
    number = next(each for each in range(90, 200) if not os.path.exists(f"/tmp/.X11-unix/X{each}"))
    # Without -noreset it starts over, deaf for a moment, whenever its last client leaves.
    options = ["-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]
    words = [devenv_program(), *_FHS, "Xvfb", f":{number}", *options]
    user.run(*_FHS, "true", cwd=folder)
    with open(folder / "xvfb.log", "wb") as log:
        server = subprocess.Popen(words, env=user.env, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(100):
            if os.path.exists(f"/tmp/.X11-unix/X{number}"):
                break
            assert server.poll() is None, (folder / "xvfb.log").read_text()
            time.sleep(0.1)
        yield Screen(user, f":{number}", folder)
    finally:
        server.terminate()
        server.wait()
