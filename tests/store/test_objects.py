"""What follows from references alone, compared with naive answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.store_path import StorePath
from devenv.store.objects import (
    Facts,
    closure,
    references_first,
    referrers,
    referrers_closure,
    shortest_chains,
    size_of,
    tree_lines,
)
from tests.store.graphs import Graph, graphs, path, reached, some_paths


def users(objects: Graph, of: StorePath) -> set[StorePath]:
    return {each for each, facts in objects.items() if of in facts.references}


@given(graphs(), st.data())
def test_closures_are_what_is_reached_step_by_step(objects: Graph, data: st.DataObject) -> None:
    start = data.draw(some_paths(objects))
    assert closure(objects, start) == reached(objects, start, lambda each: objects[each].references)
    assert referrers_closure(objects, start) == reached(objects, start, lambda each: users(objects, each))


@given(graphs())
def test_referrers_turn_references_around(objects: Graph) -> None:
    assert referrers(objects) == {each: sorted(users(objects, each) - {each}) for each in objects}


@given(graphs(), st.data())
def test_references_come_first(objects: Graph, data: st.DataObject) -> None:
    wanted = data.draw(some_paths(objects))
    order = references_first(objects, wanted)
    assert sorted(order) == sorted(wanted)
    for position, each in enumerate(order):
        below = set(objects[each].references) - {each} if each in objects else set()
        assert below & wanted <= set(order[:position])


@given(graphs())
def test_a_tree_names_everything_reached_and_repeats_no_branch(objects: Graph) -> None:
    for top in objects:
        lines = [line.lstrip("│├└─ ") for line in tree_lines(objects, top)]
        assert lines[0] == top
        full = [line for line in lines if not line.endswith(" [...]")]
        assert sorted(full) == sorted({*closure(objects, [top]), *(r for r in full if r not in objects)})


@given(graphs(), st.data())
def test_shortest_chains_are_chains_and_none_is_shorter(objects: Graph, data: st.DataObject) -> None:
    if not objects:
        return
    start, end = (data.draw(st.sampled_from(sorted(objects))) for _ in range(2))
    chains = shortest_chains(objects, start, end, 100)
    assert bool(chains) == (end in closure(objects, [start]))
    every = all_simple_chains(objects, (start,), end)
    shortest = min(map(len, every), default=0)
    assert sorted(chains) == sorted(chain for chain in every if len(chain) == shortest)


def all_simple_chains(
    objects: Graph, begun: tuple[StorePath, ...], end: StorePath
) -> list[tuple[StorePath, ...]]:
    if begun[-1] == end:
        return [begun]
    return [
        chain
        for each in objects[begun[-1]].references
        if each not in begun and each in objects
        for chain in all_simple_chains(objects, (*begun, each), end)
    ]


def test_the_number_of_chains_is_limited() -> None:
    """Thirty diamonds in a row have a thousand million ways through."""
    objects: Graph = {path(0): Facts()}
    top = path(0)
    for number in range(1, 90, 3):
        left, right, above = path(number), path(number + 1), path(number + 2)
        objects |= {left: Facts(references=(top,)), right: Facts(references=(top,))}
        objects[above] = Facts(references=(left, right))
        top = above
    chains = shortest_chains(objects, top, path(0), 7)
    assert len(set(chains)) == 7
    assert {len(chain) for chain in chains} == {61}


def test_long_chains_need_no_deep_stack() -> None:
    objects = {path(n): Facts(references=(path(n - 1),) if n else (), size=1) for n in range(5000)}
    top = path(4999)
    assert len(closure(objects, [top])) == len(tree_lines(objects, top)) == 5000
    assert references_first(objects, set(objects)) == [path(n) for n in range(5000)]
    assert [len(chain) for chain in shortest_chains(objects, top, path(0), 2)] == [5000]
    assert size_of(objects, objects) == 5000


def test_what_is_not_registered_is_reached_by_nothing() -> None:
    objects = {path(1): Facts(references=(path(2),))}
    assert closure(objects, [path(1), path(3)]) == {path(1)}
    assert shortest_chains(objects, path(3), path(1), 1) == []
