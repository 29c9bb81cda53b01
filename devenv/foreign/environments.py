"""Libraries of the system that the packages of a Python environment are linked with, and that are not there.

A wheel brings most of what it needs along; what it does not, importing it would ask for in vain. Only what its extension
modules and libraries name themselves (DT_NEEDED) is looked at, not what they load later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError


def missing_libraries(site: str, has: Callable[[str], bool]) -> dict[str, tuple[str, ...]]:
    """Soname -> the packages and modules at the top of the directory `site` that need it and cannot have it.

    `has` says whether the system has a library. What any package brings along counts as there, by its name.
    """
    brought: set[str] = set()
    needed: dict[str, set[str]] = {}
    for path in _shared_objects(site):
        brought.add(os.path.basename(path))
        try:
            with Elf.open(path) as file:
                names = file.needed
                soname = file.soname
        except (ElfError, OSError):
            continue
        if soname:
            brought.add(soname)
        owner = os.path.relpath(path, site).split("/")[0].partition(".")[0]
        for name in names:
            needed.setdefault(name, set()).add(owner)
    return {
        soname: tuple(sorted(owners))
        for soname, owners in sorted(needed.items())
        if soname not in brought and not has(soname)
    }


def _shared_objects(site: str) -> Iterator[str]:
    for folder, _, files in os.walk(site):
        for name in files:
            if name.endswith(".so") or ".so." in name:
                yield os.path.join(folder, name)
