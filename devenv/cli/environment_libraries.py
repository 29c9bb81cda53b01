"""Says which libraries of the system the Python packages of an environment need in vain, before one is imported."""

from __future__ import annotations

import glob
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.cli.context import Context
    from devenv.project import Project

_VIEW = ".devenv/python"
_SEEN = ".devenv/python-libraries"  # what was found of the environment as it is


def library_notices(project: Project, spec: str, context: Context) -> list[str]:
    """Lines about what is missing; none where the environment was looked at before and is as it was."""
    from devenv.views.compose import composed_key

    key = composed_key(os.path.join(project.root, _VIEW))
    seen = os.path.join(project.root, _SEEN)
    if key is None:
        return []
    with suppress(OSError, ValueError, KeyError, TypeError), open(seen, encoding="utf-8") as file:
        if json.load(file)["key"] == key:
            return []
    lines = _look(project, spec, context)
    with suppress(OSError), open(seen, "w", encoding="utf-8") as file:
        json.dump({"key": key}, file)
    return lines


def _look(project: Project, spec: str, context: Context) -> list[str]:
    from devenv.debian.default import default_base
    from devenv.debian.family import architecture_of
    from devenv.debian.suites import Places
    from devenv.fhs.entering import root_of
    from devenv.foreign.environments import missing_libraries
    from devenv.foreign.suppliers import Suppliers
    from devenv.foreign.systems import System

    machine = architecture_of(os.uname().machine)
    system = System(root_of(spec) or "")
    missing: dict[str, tuple[str, ...]] = {}
    for site in glob.glob(os.path.join(glob.escape(project.root), _VIEW, "lib/python3.*/site-packages")):
        missing |= missing_libraries(site, lambda name: system.find(name, machine) is not None)
    if not missing:
        return []
    place = project.workplace
    base = default_base(project.config.base)
    packages: dict[str, str | None] = {}
    with suppress(DevenvError):  # without the archive's index the libraries can still be named
        places = Places(place.client, place.layout.cache, place.settings.reporter)
        with Suppliers(places, base, machine=machine, max_age=7 * 86400.0) as suppliers:
            packages = {name: suppliers.library(name, machine) for name in missing}
    return [_sentence(name, owners, packages.get(name), base) for name, owners in missing.items()]


def _sentence(soname: str, owners: tuple[str, ...], package: str | None, base: str) -> str:
    needs = f"{', '.join(owners[:4])} need{'s' if len(owners) == 1 else ''} {soname}, which is not there"
    if package is None:
        return f"{needs}; `devenv locate {soname}` may say which system package has it"
    return f'{needs}; in {base} the package {package} has it: system = ["{package}"] under [packages]'
