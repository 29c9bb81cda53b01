"""Which objects of a store are garbage, and in which order they may go. Pure: `sweep` does it.

Live is what a root reaches. A path reaches what it refers to; with `keep_derivations` also the derivation that it
says it was made by, with `keep_outputs` a derivation its outputs. The defaults are Nix's, so that both
collectors delete the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from devenv.formats.store_path import StorePath
from devenv.store.objects import Facts, Objects, referrers, size_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a path keeps besides its references: its deriver; a derivation its outputs."""

    keep_derivations: bool = True
    keep_outputs: bool = False


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a collection does. `dead` is in the order of deletion: who refers to a path goes before it.

    kept: garbage that may stay, as the store is small enough without it
    """

    live: frozenset[StorePath]
    dead: tuple[StorePath, ...]
    kept: frozenset[StorePath] = frozenset()


def make_plan(
    objects: Objects,
    roots: Iterable[StorePath],
    *,
    policy: Policy = DEFAULT_POLICY,
    max_size: int | None = None,
) -> Plan:
    """The plan for a store with these objects and roots.

    `max_size`: delete only until the NARs of what is left have no more than so many bytes, oldest first.
    """
    live = live_paths(objects, roots, policy)
    order = deletion_order(objects, objects.keys() - live)
    count = len(order)
    if max_size is not None:
        left = size_of(objects, objects)
        count = 0
        while count < len(order) and left > max_size:
            left -= objects[order[count]].size
            count += 1
    return Plan(live=frozenset(live), dead=tuple(order[:count]), kept=frozenset(order[count:]))


def live_paths(
    objects: Objects, roots: Iterable[StorePath], policy: Policy = DEFAULT_POLICY
) -> set[StorePath]:
    """All registered paths that `roots` reach."""
    live: set[StorePath] = set()
    todo = list(roots)
    while todo:
        path = todo.pop()
        facts = objects.get(path)
        if facts is not None and path not in live:
            live.add(path)
            todo.extend(reached_from(facts, policy))
    return live


def reached_from(facts: Facts, policy: Policy) -> Iterable[StorePath]:
    """What one path keeps alive while it is so itself, registered or not."""
    yield from facts.references
    if policy.keep_derivations and facts.deriver is not None:
        yield facts.deriver
    if policy.keep_outputs:
        yield from facts.outputs.values()


def deletion_order(objects: Objects, dead: Collection[StorePath]) -> list[StorePath]:
    """`dead`, each before what it refers to; among those that may go next, what was registered first goes first.

    `dead` has all its referrers in it. Circles are put at the end: they can only go as a whole.
    """
    users = referrers(objects)
    waits_for = {path: len(users[path]) for path in dead}
    ready = [(objects[path].registered, path) for path in dead if not waits_for[path]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, path = heapq.heappop(ready)
        order.append(path)
        for reference in objects[path].references:
            if reference != path and reference in waits_for:
                waits_for[reference] -= 1
                if not waits_for[reference]:
                    heapq.heappush(ready, (objects[reference].registered, reference))
    return [*order, *sorted(set(waits_for).difference(order))]
