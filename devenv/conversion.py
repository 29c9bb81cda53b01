"""One lockfile as derivations, without a project around it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devenv.adapter import CargoSources, NodeModules, Options, Package, SitePackages
from devenv.answers import answer
from devenv.basis import make_target
from devenv.completion import all_queries, plan_lockfiles, useful_files
from devenv.config.lock import Lock
from devenv.derivations.graph import Graph, Node
from devenv.environment.nodes import Nodes
from devenv.environment.planned import PlannedLockfile
from devenv.environment.views import Recipe
from devenv.errors import DevenvError
from devenv.lockfiles import Lockfile, read
from devenv.plugins import load_adapters
from devenv.project import LOCK_NAME
from devenv.providers.python_host import HostPython, find_python
from devenv.workplace import Workplace


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
    nodes = Nodes(
        place.layout.store_dir, place.endpoints.absolute, lambda: place.endpoints.crates.default.locked
    )
    recipe = _recipe(place, nodes, planned, root, host)
    if write:
        _write(place, nodes.graph)
    return Conversion(
        path=path,
        graph=nodes.graph,
        packages=tuple(_converted(nodes, recipe, package) for package in planned.plan.packages),
        recipe=recipe,
        notices=planned.plan.notices,
    )


def _recipe(
    place: Workplace, nodes: Nodes, planned: PlannedLockfile, root: str, host: HostPython | None
) -> Recipe:
    view = planned.plan.view
    if isinstance(view, SitePackages) and host is not None:
        from devenv.environment.python import python_view

        return python_view(nodes, [planned], host)
    if isinstance(view, CargoSources):
        from devenv.environment.cargo import cargo_view

        return cargo_view(nodes, [planned], None)
    if isinstance(view, NodeModules):
        from devenv.environment.npm import NodeTools, NodeViews

        return NodeViews(nodes, NodeTools()).view(planned)
    return _r_recipe(place, nodes, planned, root)


def _r_recipe(place: Workplace, nodes: Nodes, planned: PlannedLockfile, root: str) -> Recipe:
    """The library of R, built among the packages that the devenv.lock beside the lockfile names."""
    from devenv.debian.base import url_lookup
    from devenv.environment.r import r_view
    from devenv.fhs.plan import derivations, without

    lock = _lock_beside(root)
    if lock.base is None:
        raise DevenvError(
            f"converting {planned.path}: R packages are built with the R and the compilers of a base, and "
            f"no {LOCK_NAME} in {root} says which",
            hint="`devenv init` and `devenv lock` there write one",
        )
    urls = url_lookup(place.endpoints, lock.base)
    builds = derivations(without(lock.base, lock.outside), urls, nodes.store_dir, graph=nodes.graph)
    return r_view(nodes, [planned], builds, lock.base, place.endpoints.candidates)


def _lock_beside(root: str) -> Lock:
    """The devenv.lock in a directory, an empty one where there is none. Raises LockError for a damaged one."""
    from devenv.config.lock_reading import parse_lock

    path = os.path.join(root, LOCK_NAME)
    try:
        with open(path, encoding="utf-8") as file:
            return parse_lock(file.read(), path)
    except (OSError, UnicodeDecodeError):
        return Lock()


def _converted(nodes: Nodes, recipe: Recipe, package: Package) -> Converted:
    if package.format == "r":
        made = {node.out: node for node in nodes.graph.nodes.values()}
        return Converted(name=package.name, version=package.version, node=made[recipe.trees[package.name]])
    return Converted(name=package.name, version=package.version, node=nodes.package(package))


def _plan(place: Workplace, lockfile: Lockfile, python: HostPython | None) -> PlannedLockfile:
    target = make_target(python, ())
    # Sources of R are fetched to be known, once.
    known = _lock_beside(lockfile.root).files if lockfile.ecosystem == "r" else {}
    (planned,) = plan_lockfiles((lockfile,), target, known)
    queries = all_queries([planned])
    if queries:
        answers = {key: useful_files(found, target) for key, found in answer(place, queries).items()}
        (planned,) = plan_lockfiles((lockfile,), target, {**known, **answers})
    return planned


def _write(place: Workplace, graph: Graph) -> None:
    from devenv.formats.derivation import references
    from devenv.store.local import Store

    with Store.open(place.layout) as store:
        store.add_texts((n.path, n.aterm, references(n.derivation)) for n in graph.nodes.values())
