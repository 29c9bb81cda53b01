"""The Python environment of a project, of all its lockfiles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from devenv.adapter import Editable, Package, SitePackages
from devenv.derivations.graph import Node
from devenv.derivations.packages import bytecode_node
from devenv.environment.nodes import InPlace, Nodes
from devenv.environment.planned import PlannedLockfile, one_of_each
from devenv.environment.views import PYTHON_VIEW, Recipe, make_recipe
from devenv.formats.store_path import StorePath
from devenv.providers.python_host import HostPython, minor_version
from devenv.views.isolated import tree_key


def python_view(nodes: Nodes, entries: Sequence[PlannedLockfile], python: HostPython) -> Recipe:
    """One environment for all Python lockfiles of the project, as `pip install -r a -r b` would make it.

    Raises DevenvError, or Problems, when two lockfiles pin one name differently.
    """
    packages, editables = merge_site_packages(entries)
    minor = minor_version(python.version)
    unpacked = {package.name: nodes.package(package) for package in packages}
    trees = {name: node.out for name, node in unpacked.items()}
    # What compiles runs on the machine, where an interpreter of a root is not.
    bytecode = (
        {} if python.in_root else {name: _compiled(nodes, node, minor) for name, node in unpacked.items()}
    )
    builds = {each.name: _environment(nodes, each) for each in editables if each.build is not None}
    document: dict[str, object] = {
        "kind": "python",
        "python": minor,
        "packages": _documented((package, trees[package.name]) for package in packages),
        "editables": {editable.name: editable.path for editable in editables},
    }
    if builds:
        document["editable_builds"] = {name: node.out for name, node in builds.items()}
    isolated = {owner: inner for entry in entries for owner, inner in _isolated(entry).items()}
    for owner, inner in isolated.items():
        trees |= {tree_key(owner, package.name): nodes.package(package).out for package in inner}
    if isolated:
        document["isolated"] = {
            owner: _documented((each, trees[tree_key(owner, each.name)]) for each in inner)
            for owner, inner in isolated.items()
        }
    return make_recipe(
        nodes.store_dir,
        "python",
        PYTHON_VIEW,
        document,
        references=[*trees.values(), *(node.out for node in builds.values())],
        view=SitePackages(packages=packages, editables=editables, isolated=isolated),
        trees=trees,
        bytecode=bytecode,
    )


def _documented(packages: Iterable[tuple[Package, StorePath]]) -> dict[str, dict[str, str]]:
    return {package.name: {"version": package.version, "path": path} for package, path in packages}


def _compiled(nodes: Nodes, unpacked: Node, minor: str) -> StorePath:
    node = bytecode_node(nodes.graph, unpacked, minor)
    nodes.later[node.path] = node
    return node.out


def _environment(nodes: Nodes, editable: Editable) -> Node:
    """What the backend of a directory runs in. It stays while the environment does: some build again on import."""
    from devenv.derivations.wheels import crates_node, environment_node

    build, crates = editable.build, None
    assert build is not None
    surroundings = nodes.surroundings(build)
    node = environment_node(nodes.graph, build.requires, surroundings, nodes.absolute_url)
    if build.crates:
        index = surroundings.default_index
        crates = nodes.target(crates_node(nodes.graph, build.crates, index, nodes.absolute_url))
    nodes.in_place[editable.name] = InPlace(environment=node, crates=crates, surroundings=surroundings)
    return nodes.target(node)


def merge_site_packages(
    entries: Sequence[PlannedLockfile],
) -> tuple[tuple[Package, ...], tuple[Editable, ...]]:
    """The packages of several Python lockfiles as one set. Raises DevenvError when two lockfiles pin one name differently."""
    editables: dict[str, Editable] = {}
    for entry in entries:
        view = entry.plan.view
        assert isinstance(view, SitePackages)
        for editable in view.editables:
            place = os.path.normpath(os.path.join(entry.directory, editable.path))
            editables[editable.name] = replace(editable, path=place)
    return one_of_each(entries), tuple(editable for _, editable in sorted(editables.items()))


def _isolated(entry: PlannedLockfile) -> Mapping[str, tuple[Package, ...]]:
    return entry.plan.view.isolated if isinstance(entry.plan.view, SitePackages) else {}
