"""Versions of Python packages that one package alone imports, in a directory of their own beside site-packages.

lib/python3.X/isolated/OWNER/             their modules
lib/python3.X/site-packages/_devenv_isolated.{py,pth}     what leads OWNER's imports there: `isolated_imports`
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files

from devenv.adapter import Package, SitePackages
from devenv.errors import DevenvError, raise_problems
from devenv.views.operations import File, Op, Tree, ViewError
from devenv.views.wheel_tree import WheelTree, read_wheel

_MODULE = "_devenv_isolated"
_HINT = "docs/overrides.md says what can be isolated; lock versions that fit each other otherwise"


def tree_key(owner: str, name: str) -> str:
    """By what name the trees of a view know an isolated package."""
    return f"{owner}/{name}"


def isolated_ops(view: SitePackages, *, trees: Mapping[str, str], site: str, root: str) -> list[Op]:
    """The operations of what is isolated; none where nothing is. `site`: site-packages, relative to `root`.

    Raises ViewError, or Problems of them, for what the import system cannot tell apart.
    """
    if not view.isolated:
        return []
    packages = {package.name: package for package in view.packages}
    own = {name: _modules(_wheel(package, trees[name], site)) for name, package in packages.items()}
    table: dict[str, dict[str, object]] = {}
    found: list[Op] = []
    problems: list[DevenvError] = []
    for owner, inner in sorted(view.isolated.items()):
        above = f"{os.path.dirname(site)}/isolated/{owner}"
        wheels = [_wheel(each, trees[tree_key(owner, each.name)], above) for each in inner]
        names = {name for wheel in wheels for name in _modules(wheel)}
        problems += [ViewError(text, hint=_HINT, root=root) for text in _faults(owner, inner, names, own)]
        for wheel in wheels:
            found += [
                Tree(source=f"{wheel.path}/{part.source}".rstrip("/"), dest=part.dest, skip=part.skip)
                for part in wheel.parts
                if part.dest == above
            ]
        table[owner] = {
            "importers": sorted(own.get(owner, ())),
            "names": sorted(names),
            "directory": os.path.relpath(above, site),
        }
    raise_problems(problems)
    text = (files("devenv.views") / "isolated_imports.py").read_text("utf-8")
    text += f"\n\ninstall({json.dumps(table, sort_keys=True, indent=1)})\n"
    return [
        *found,
        File(dest=f"{site}/{_MODULE}.py", contents=text.encode()),
        File(dest=f"{site}/{_MODULE}.pth", contents=f"import {_MODULE}\n".encode()),
    ]


def _faults(
    owner: str, inner: Iterable[Package], names: set[str], own: Mapping[str, set[str]]
) -> Iterator[str]:
    """Why imports could not be told apart by the first part of a module's name."""
    versions = ", ".join(f"{package.name} {package.version}" for package in inner)
    importers = own.get(owner, set())
    if not importers:
        yield f"{versions} cannot be isolated for {owner}, which has no modules"
    for name in sorted(importers & names):
        yield f"{versions} cannot be isolated for {owner}: both have modules in {name}"
    for name in sorted(importers):
        others = sorted(other for other, modules in own.items() if other != owner and name in modules)
        if others:
            yield (
                f"{versions} cannot be isolated for {owner}: {', '.join(others)} has modules in {name} as well, and "
                "would import them, too"
            )


def _wheel(package: Package, path: str, site: str) -> WheelTree:
    label = f"{package.name} {package.version}"
    return read_wheel(path, label=label, name=package.name, site=site, include="include")


def _modules(wheel: WheelTree) -> set[str]:
    """The top-level modules of a package, by the names of its files."""
    found = set()
    for dest in wheel.files:
        if not dest.startswith(f"{wheel.site}/"):
            continue
        top, _, rest = dest[len(wheel.site) + 1 :].partition("/")
        is_code = dest.endswith((".py", ".so", ".pyi"))
        if is_code and top.partition(".")[0].isidentifier() and (not rest or top.isidentifier()):
            found.add(top.partition(".")[0])
    return found
