"""Stores as values, for property tests: small graphs of registered paths, and naive answers about them."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from devenv.formats.store_path import StorePath
from devenv.store.objects import Facts

Graph = dict[StorePath, Facts]


def path(number: int, *, drv: bool = False) -> StorePath:
    digest = f"{number:032d}".translate(str.maketrans("0123456789", "0123456789"))
    return StorePath(f"/s/store/{digest}-n{'.drv' if drv else ''}")


@st.composite
def graphs(draw: st.DrawFn, size: int = 12) -> Graph:
    """Objects that refer to earlier ones and perhaps themselves; every third one is a derivation."""
    count = draw(st.integers(0, size))
    names = [path(number, drv=number % 3 == 0) for number in range(count + 2)]  # the last are not registered
    # The names are given out in any order, so that the order of paths says nothing.
    order = draw(st.permutations(names))
    found: Graph = {}
    for number in range(count):
        own = order[number]
        below = draw(st.sets(st.sampled_from([*order[:number], own]), max_size=4))
        drvs = [name for name in order if name.endswith(".drv")]
        outputs = draw(st.lists(st.sampled_from(order), max_size=2, unique=True))
        found[own] = Facts(
            size=draw(st.integers(0, 100)),
            registered=draw(st.integers(0, 5)),
            references=tuple(sorted(below)),
            deriver=draw(st.none() | st.sampled_from(drvs)) if drvs else None,
            outputs={f"o{n}": out for n, out in enumerate(outputs)} if own.endswith(".drv") else {},
        )
    return found


def some_paths(objects: Graph) -> st.SearchStrategy[set[StorePath]]:
    """Some registered paths and perhaps one that is not."""
    return st.sets(st.sampled_from([*sorted(objects), path(9999)]), max_size=4)


def reached(objects: Graph, start: Iterable[StorePath], step: object) -> set[StorePath]:
    """Everything registered that `step` leads to, by trying until nothing is new."""
    assert callable(step)
    found = {each for each in start if each in objects}
    while True:
        more = {after for each in found for after in step(each) if after in objects} - found
        if not more:
            return found
        found |= more
