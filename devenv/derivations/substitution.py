"""Which outputs to ask caches for: what is wanted first, and what it is made of only where that cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from devenv.derivations.graph import Node
from devenv.formats.store_path import StorePath

# Makes those of some paths valid that it can, and says which.
Bring = Callable[[Iterable[StorePath]], set[StorePath]]


def substitute(targets: Iterable[Node], valid: Collection[StorePath], bring: Bring) -> set[StorePath]:
    """`valid` and what became so. Everything at one depth is asked for at once; nothing, where nothing is missing."""
    wanted = tuple(targets)
    there = set(valid)
    asked: set[StorePath] = set()
    while ask := _ahead(wanted, there, asked):
        asked |= ask
        there |= bring(sorted(ask))
    return there


def _ahead(targets: Iterable[Node], valid: set[StorePath], asked: set[StorePath]) -> set[StorePath]:
    """Missing outputs that nobody was asked for yet; below a node only where its own could not be had."""
    ask: set[StorePath] = set()
    stack = [(node, frozenset(node.outputs.values())) for node in targets]
    seen: set[tuple[StorePath, frozenset[StorePath]]] = set()
    while stack:
        node, outputs = stack.pop()
        missing = outputs - valid
        if not missing or (node.path, missing) in seen:
            continue
        seen.add((node.path, missing))
        ask |= missing - asked
        if missing <= asked:
            names = node.derivation.input_derivations
            stack.extend(
                (below, frozenset(below.outputs[name] for name in names[below.path])) for below in node.inputs
            )
    return ask
