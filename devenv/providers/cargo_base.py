"""The registry that the cargo among a project's system packages takes by default: read in its program, which need not run.

A Cargo.lock names registries by their indexes. The default one is that whose index stands in the program itself, and
beside it stands the sparse index that this cargo asks in its place.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from devenv.debian.base import url_lookup
from devenv.debian.locked import LockedBase, LockedDeb
from devenv.derivations.graph import Graph
from devenv.derivations.realise import realise
from devenv.fetch.cargo_default import DefaultRegistry, sparse_index
from devenv.fhs.plan import package_node
from devenv.store.local import Store

if TYPE_CHECKING:
    from devenv.events import Reporter
    from devenv.fetch.http import Client
    from devenv.store.layout import Layout

_PACKAGE = "cargo"
_PROGRAM = "usr/bin/cargo"


def cargo_of_base(base: LockedBase | None) -> LockedDeb | None:
    """The base's cargo, None without one."""
    found = base.packages if base is not None else ()
    return next((deb for deb in found if deb.name == _PACKAGE), None)


def default_registry(
    indexes: Iterable[str], base: LockedBase | None, *, client: Client, layout: Layout, reporter: Reporter
) -> DefaultRegistry:
    """What the base's cargo takes by default, or the one on PATH where the base has none.

    `indexes` are those that locks name: only among them is that of a base's cargo found, "" if it is none of them.
    Its package is fetched and unpacked, as the root will need it anyway. Raises what these do, and `EndpointError`
    where there is no cargo, or one that knows no sparse index.
    """
    deb = cargo_of_base(base)
    if base is None or deb is None:
        return client.endpoints.crates.default
    with Store.open(layout, reporter=reporter) as store:
        graph = Graph(store.store_dir)
        node = package_node(graph, deb, url_lookup(client.endpoints, base)(deb))
        realise(store, graph, [node], client=client, pythons={}, reporter=reporter, jobs=1)
        program = os.path.join(str(node.out), _PROGRAM)
        return DefaultRegistry(locked=named_index(program, sorted(indexes)), sparse=sparse_index(program))


def named_index(program: str, indexes: Sequence[str]) -> str:
    """The first of `indexes` that stands in a cargo's program, "" if none does."""
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return next((index for index in indexes if data.find(index.encode()) >= 0), "")
