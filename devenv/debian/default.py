"""Which base is meant where none is named. Loaded whenever a root is entered: it imports nothing."""

from __future__ import annotations

import os

STABLE = "debian/stable"


def default_base(named: str | None, etc: str = "/etc") -> str:
    """The base that is meant where none is given: the project's, else this machine's own, else Debian's stable."""
    if named:
        return named
    try:
        with open(os.path.join(etc, "os-release"), encoding="utf-8") as file:
            lines = dict(line.rstrip("\n").partition("=")[::2] for line in file)
    except (OSError, UnicodeDecodeError):
        return STABLE
    codename = lines.get("VERSION_CODENAME", "").strip("\"'")
    return f"debian/{codename}" if lines.get("ID", "").strip("\"'") == "debian" and codename else STABLE
