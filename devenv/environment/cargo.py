"""The crates of a project, and where cargo looks for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from devenv.adapter import CargoSource, CargoSources
from devenv.derivations.packages import link_node
from devenv.environment.nodes import Nodes
from devenv.environment.planned import PlannedLockfile
from devenv.environment.views import CARGO_VIEW, CargoLocks, Recipe, make_recipe

if TYPE_CHECKING:
    from devenv.fhs.plan import RootPlan


def cargo_view(
    nodes: Nodes,
    entries: Sequence[PlannedLockfile],
    default_index: str | None,
    root: RootPlan | None = None,
    source_name: Callable[[str, CargoSource], str | None] = lambda directory, source: None,
) -> Recipe:
    """The crates of all Cargo locks of the project; a crate that several of them name is one object.

    `default_index`: the registry that cargo takes by default, as a Cargo.lock names it. `root`: the system packages
    that crates are compiled among. `source_name`: what cargo's configuration in a directory calls a source already.
    """
    from devenv.views.cargo import crate_key, source_links

    unpacked, locks, documents = {}, [], []
    names: dict[str, str] = {}
    for entry in entries:
        view = entry.plan.view
        assert isinstance(view, CargoSources)
        locks.append((entry.directory, view))
        for source, crates in view.crates.items():
            for name, package in crates.items():
                unpacked[crate_key(source, name)] = nodes.package(package)
        documents.append({"lockfile": entry.path, "sources": list(view.sources)})
        found = {key: source_name(entry.directory, source) for key, source in view.sources.items()}
        names |= {key: name for key, name in found.items() if name is not None}
    trees = {key: node.out for key, node in unpacked.items()}
    links = nodes.target(
        link_node(nodes.graph, "cargo-sources", source_links(locks, trees), unpacked.values())
    )
    around = "host" if root is None else os.path.basename(root.configured.out)
    document: dict[str, object] = {
        "kind": "cargo",
        "locks": documents,
        "crates": trees,
        "default": default_index,
    }
    document |= {"directories": links.out, "around": around, "names": names}
    value = CargoLocks(
        locks=tuple(locks), default_index=default_index, names=names, sources=links.out, around=around
    )
    return make_recipe(
        nodes.store_dir,
        "cargo",
        CARGO_VIEW,
        document,
        references=[*trees.values(), links.out],
        view=value,
        trees=trees,
    )
