from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from devenv.derivations.graph import Graph, Node
from devenv.derivations.substitution import substitute
from devenv.formats.store_path import StoreDir, StorePath


class Cache:
    """Has some paths, and remembers what it was asked for each time."""

    def __init__(self, has: Iterable[StorePath] = ()) -> None:
        self.has = set(has)
        self.asked: list[set[StorePath]] = []

    def __call__(self, paths: Iterable[StorePath]) -> set[StorePath]:
        wanted = set(paths)
        self.asked.append(wanted)
        return wanted & self.has


def make(*inputs: tuple[int, ...]) -> list[Node]:
    """Nodes by number, each with the numbers of those before that it uses."""
    graph = Graph(StoreDir("/x/store"))
    nodes: list[Node] = []
    for number, used in enumerate(inputs):
        nodes.append(
            graph.add(name=f"n{number}", builder="/bin/sh", env={}, inputs=[nodes[each] for each in used])
        )
    return nodes


def test_nobody_is_asked_where_nothing_is_missing() -> None:
    nodes = make((), (0,))
    cache = Cache()
    assert substitute(nodes[1:], {nodes[1].out}, cache) == {nodes[1].out}
    assert not cache.asked


def test_what_is_below_is_asked_for_only_where_the_top_is_not_to_be_had() -> None:
    nodes = make((), (0,), (), (2,))
    cache = Cache([nodes[1].out, nodes[2].out])
    found = substitute([nodes[1], nodes[3]], set(), cache)
    assert cache.asked == [{nodes[1].out, nodes[3].out}, {nodes[2].out}]
    assert found == {nodes[1].out, nodes[2].out}


def test_everything_of_one_depth_is_asked_for_at_once_and_once() -> None:
    nodes = make((), (), (0, 1), (0, 1), (2, 3))
    cache = Cache()
    substitute([nodes[4]], set(), cache)
    assert cache.asked == [{nodes[4].out}, {nodes[2].out, nodes[3].out}, {nodes[0].out, nodes[1].out}]


GRAPHS = st.integers(1, 9).flatmap(
    lambda size: st.tuples(
        *(st.sets(st.integers(0, max(n - 1, 0)), max_size=3).map(tuple) for n in range(size))
    )
)


@given(GRAPHS, st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
def test_just_what_a_build_would_need_is_asked_for(
    inputs: tuple[tuple[int, ...], ...], valid: set[int], offered: set[int]
) -> None:
    nodes = make(*(tuple(each for each in used if each < number) for number, used in enumerate(inputs)))
    there = {nodes[number].out for number in valid if number < len(nodes)}
    cache = Cache(nodes[number].out for number in offered if number < len(nodes))
    found = substitute([nodes[-1]], there, cache)
    needed: set[StorePath] = set()
    stack = [nodes[-1]]
    while stack:
        node = stack.pop()
        if node.out not in there:
            needed.add(node.out)
            if node.out not in cache.has:
                stack.extend(node.inputs)
    asked = [path for paths in cache.asked for path in paths]
    assert set(asked) == needed and len(asked) == len(needed)
    assert found == there | (needed & cache.has)
