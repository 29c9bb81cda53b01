"""Packages unpacked for tests: made to order, and one with enough of this machine's programs for their scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from devenv.derivations.builders.deb import fold, unpack_deb
from tests.derivations.archives import Entry, deb, directory, entry

PROGRAMS = (
    "sh", "bash", "cat", "chmod", "chown", "cp", "grep", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "mv", "rm",
    "rmdir", "sleep", "stat", "touch",
)  # fmt: skip


def unpacked(
    place: Path,
    name: str,
    entries: Iterable[Entry] = (),
    postinst: str = "",
    *,
    triggers: str = "",
    **fields: Any,
) -> str:
    """A package's tree, below `place`. `postinst` is what follows the first line of its script."""
    scripts = {"postinst": f"#!/bin/sh\nset -e\n{postinst}\n"} if postinst else {}
    data = deb(name, entries, scripts=scripts, files={"triggers": triggers} if triggers else {}, **fields)
    return unpack_data(place, name, data)


def unpack_data(place: Path, name: str, data: bytes) -> str:
    place.mkdir(parents=True, exist_ok=True)
    archive = place / f"{name}.deb"
    archive.write_bytes(data)
    unpack_deb(str(archive), str(place / name))
    return str(place / name)


@cache
def base_deb() -> bytes:
    """A package with programs of this machine. Not compressed, which would take longest."""
    return deb("base", _base_entries(), pack=lambda data: data, extension="")


def _base_entries() -> list[Entry]:
    """The machine's own programs, with the libraries that they need."""
    found: dict[str, bytes] = {}
    for name in PROGRAMS:
        path = shutil.which(name, path="/usr/bin:/bin")
        assert path is not None, f"this machine has no {name}"
        found[f"usr/bin/{name}"] = Path(path).read_bytes()
        listed = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            found[fold(library.lstrip("/").encode()).decode()] = Path(os.path.realpath(library)).read_bytes()
    directories = [directory(f"./{name}/") for name in ("etc", "var/lib/dpkg")]
    return [*directories, *(entry(f"./{path}", data, mode=0o755) for path, data in found.items())]
