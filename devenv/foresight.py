"""What work lies ahead: for people who want to know before it is done. Nothing is written, nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from devenv.derivations.costs import Costs
from devenv.derivations.graph import Node
from devenv.derivations.plan import make_plan, requisites
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One fetch or build. `size` in bytes for a fetch, `seconds` for a build, as before; None for not known."""

    label: str
    path: StorePath
    size: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """All that is missing, most urgent first. `open` are sentences about what can be known only by doing it."""

    fetches: tuple[Work, ...] = ()
    builds: tuple[Work, ...] = ()
    open: tuple[str, ...] = ()


def foresee(layout: Layout, targets: Iterable[Node], open: tuple[str, ...] = ()) -> Foreseen:
    """What `realise` would do for `targets` without caches."""
    wanted = tuple(targets)
    outputs = [path for node in requisites(wanted).values() for path in node.outputs.values()]
    costs = Costs(layout.cache)
    plan = make_plan(wanted, valid_paths(layout, outputs), costs.estimate)

    def build(node: Node) -> Work:
        known = costs.expected(node)
        seconds = None if known is None else known.seconds
        return Work(label=node.label, path=node.out, seconds=seconds)

    return Foreseen(
        fetches=tuple(Work(label=node.label, path=node.out, size=node.size) for node in plan.fetches),
        builds=tuple(build(node) for node in (*plan.builds, *plan.foreign)),
        open=open,
    )


def valid_paths(layout: Layout, paths: Iterable[StorePath]) -> set[StorePath]:
    """Which of `paths` are in the store; none where there is no store yet."""
    from devenv.store.local import Store

    if not os.path.exists(layout.database):
        return set()
    with Store.open(layout) as store:
        return store.valid_paths(paths)
