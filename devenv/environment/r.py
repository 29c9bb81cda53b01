"""The library of R of a project, of all its lockfiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from devenv.adapter import RLibrary
from devenv.environment.nodes import Nodes
from devenv.environment.planned import PlannedLockfile, one_of_each
from devenv.environment.views import R_VIEW, Recipe, RPackages, make_recipe
from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase
    from devenv.fhs.plan import RootPlan


def r_view(
    nodes: Nodes,
    entries: Sequence[PlannedLockfile],
    root: RootPlan | None,
    base: LockedBase | None,
    candidates: Callable[[str], Sequence[str]],
) -> Recipe:
    """One library for all R lockfiles of the project, built among the packages of `root`, which are of `base`.

    `candidates`: all URLs of a file. Raises DevenvError where R is not among the system packages.
    """
    from devenv.derivations.in_root import root_node
    from devenv.derivations.r_packages import library_nodes
    from devenv.providers.r_base import library_directory, r_of_base

    version = r_of_base(base, "") if base is not None else None
    if root is None or base is None or version is None:
        raise DevenvError(
            f"{entries[0].path} needs R, which is not among the locked system packages",
            hint='add `r = "4.5"`, or the version you need, to [packages] of devenv.toml, then run `devenv lock`',
        )
    library = merge_r_libraries(entries)
    inside = root_node(nodes.graph, root.packages, root.configured)
    built = library_nodes(nodes.graph, library, inside, candidates, machine=os.uname().machine)
    trees = {name: nodes.target(node).out for name, node in built.items()}
    directory = library_directory(base, version)
    document = {
        "kind": "r",
        "r": version,
        "directory": directory,
        "packages": {
            package.name: {"version": package.version, "path": trees[package.name]}
            for package in library.packages
        },
    }
    view = RPackages(packages=library.packages, directory=directory)
    return make_recipe(
        nodes.store_dir, "r", R_VIEW, document, references=trees.values(), view=view, trees=trees
    )


def merge_r_libraries(entries: Sequence[PlannedLockfile]) -> RLibrary:
    """The packages of several R lockfiles as one library. Raises DevenvError when two lockfiles pin one name differently."""
    packages = one_of_each(entries)
    inputs: dict[str, tuple[str, ...]] = {}
    provenance: dict[str, Mapping[str, str]] = {}
    directories: dict[str, str] = {}
    for entry in entries:
        view = entry.plan.view
        assert isinstance(view, RLibrary)
        inputs = {**view.inputs, **inputs}
        provenance = {**view.provenance, **provenance}
        directories = {**view.directories, **directories}
    return RLibrary(packages=packages, inputs=inputs, provenance=provenance, directories=directories)
