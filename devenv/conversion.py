"""One lockfile as derivations, without a project around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devenv.adapter import Options, Package, SitePackages
from devenv.derivations.graph import Graph, Node
from devenv.environment import PlannedLockfile, Recipe, ViewMaker
from devenv.lockfiles import Lockfile, read
from devenv.plugins import load_adapters
from devenv.project import Workplace, all_queries, make_target, plan_lockfiles, useful_files
from devenv.providers.python_host import HostPython, find_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One package and the derivation that makes its store object."""

    name: str
    version: str
    node: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A lockfile's derivations and the view they make."""

    path: str
    graph: Graph
    packages: tuple[Converted, ...]
    recipe: Recipe
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`derivations` has the form of `nix show-derivation`."""
        import json

        return {
            "lockfile": self.path,
            "packages": [
                {"name": e.name, "version": e.version, "derivation": e.node.path, "out": e.node.out}
                for e in self.packages
            ],
            "view": {"path": self.recipe.path, "recipe": json.loads(self.recipe.text)},
            "derivations": {path: node.derivation.to_json() for path, node in self.graph.nodes.items()},
        }


def convert_lockfile(
    place: Workplace,
    path: str,
    *,
    python: str | None = None,
    omit: Sequence[str] = (),
    extras: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    write: bool = False,
) -> Conversion:
    """Plan one lockfile, asking the registries for what it leaves open, and make its derivations.

    `python` is a version request, None the host's newest. `write` puts the .drv files into the store.
    """
    root, name = os.path.split(os.path.realpath(path))
    options = Options(
        omit=frozenset(omit), extras=tuple(extras), groups=None if groups is None else tuple(groups)
    )
    lockfile = read(root, name, options, load_adapters())
    host = find_python(python or ">=3.9", place.settings.environ) if lockfile.ecosystem == "python" else None
    planned = _plan(place, lockfile, host)
    maker = ViewMaker(place.layout.store_dir, place.endpoints.absolute)
    if isinstance(planned.plan.view, SitePackages):
        assert host is not None
        recipe = maker.python_view([planned], host)
    else:
        recipe = maker.node_view(planned)
    if write:
        _write(place, maker.graph)
    return Conversion(
        path=path,
        graph=maker.graph,
        packages=tuple(_converted(maker, package) for package in planned.plan.packages),
        recipe=recipe,
        notices=planned.plan.notices,
    )


def _converted(maker: ViewMaker, package: Package) -> Converted:
    return Converted(name=package.name, version=package.version, node=maker.package(package))


def _plan(place: Workplace, lockfile: Lockfile, python: HostPython | None) -> PlannedLockfile:
    target = make_target(python, ())
    (planned,) = plan_lockfiles((lockfile,), target, {})
    queries = all_queries([planned])
    if queries:
        answers = {key: useful_files(found, target) for key, found in place.answer(queries).items()}
        (planned,) = plan_lockfiles((lockfile,), target, answers)
    return planned


def _write(place: Workplace, graph: Graph) -> None:
    from devenv.formats.derivation import references
    from devenv.store.local import Store

    with Store.open(place.layout) as store:
        store.add_texts((n.path, n.aterm, references(n.derivation)) for n in graph.nodes.values())
