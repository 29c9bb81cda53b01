"""Packages as users ask for them: NAME, with ":ARCHITECTURE" behind it, and with "=VERSION" or "/SUITE".

"gdal-bin", "libgl1:i386", "g++", "git/bookworm-backports", "hello=2.10-3"
"""

from __future__ import annotations

import re
from typing import NamedTuple

from devenv.debian.errors import DebianError

PATTERN = r"[A-Za-z0-9][A-Za-z0-9+.-]*(:[a-z0-9][a-z0-9-]*)?(=[A-Za-z0-9.+:~-]+|/[a-z][a-z0-9.-]*)?"
BASE_PATTERN = "[a-z][a-z0-9-]*/[a-z][a-z0-9.-]*"

_REQUEST = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9][a-z0-9-]*))?"
    r"(?:=([A-Za-z0-9.+:~-]+)|/([a-z][a-z0-9.-]*))?"
)


class Request(NamedTuple):
    """A package as a user asks for it; parts that were not given are empty."""

    text: str
    name: str
    architecture: str
    version: str
    suite: str


def parse_request(text: str) -> Request:
    """Read "libgl1:i386". Raises `DebianError`."""
    found = _REQUEST.fullmatch(text)
    if found is None:
        raise DebianError(
            f"{text!r} is no package: expected a name such as libgdal-dev",
            hint='an architecture, a version or a suite may follow: "libgl1:i386", "git/bookworm-backports"',
        )
    return Request(text, *found.groups(""))
