"""The plan of a collection, compared with a naive model of what may go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.store_path import StorePath
from devenv.store.collect import Policy, live_paths, make_plan
from devenv.store.objects import Facts, size_of
from tests.store.graphs import Graph, graphs, path, reached, some_paths

policies = st.builds(Policy, keep_derivations=st.booleans(), keep_outputs=st.booleans())


def needed_by(objects: Graph, each: StorePath, policy: Policy) -> set[StorePath]:
    facts = objects[each]
    found = set(facts.references)
    if policy.keep_derivations and facts.deriver:
        found.add(facts.deriver)
    if policy.keep_outputs:
        found |= set(facts.outputs.values())
    return found


@given(graphs(), policies, st.data())
def test_all_that_no_root_reaches_goes_and_nothing_else(
    objects: Graph, policy: Policy, data: st.DataObject
) -> None:
    roots = data.draw(some_paths(objects))
    plan = make_plan(objects, roots, policy=policy)
    assert plan.live == reached(objects, roots, lambda each: needed_by(objects, each, policy))
    assert set(plan.dead) == objects.keys() - plan.live
    assert len(plan.dead) == len(set(plan.dead))
    assert plan.kept == frozenset()


@given(graphs(), policies, st.data())
def test_at_any_instant_nothing_refers_to_what_is_gone(
    objects: Graph, policy: Policy, data: st.DataObject
) -> None:
    left = dict(objects)
    for gone in make_plan(objects, data.draw(some_paths(objects)), policy=policy).dead:
        del left[gone]
        assert all(gone not in facts.references for facts in left.values())


@given(graphs(), st.integers(0, 1500), st.data())
def test_no_more_goes_than_a_size_asks_for(objects: Graph, max_size: int, data: st.DataObject) -> None:
    roots = data.draw(some_paths(objects))
    plan = make_plan(objects, roots, max_size=max_size)
    assert {*plan.live, *plan.dead, *plan.kept} == objects.keys()
    left = size_of(objects, plan.live | plan.kept)
    assert left <= max_size or not plan.kept
    if plan.dead:  # one less would not have been enough
        assert left + objects[plan.dead[-1]].size > max_size


def test_what_was_registered_first_goes_first() -> None:
    objects = {
        path(1): Facts(registered=30),
        path(2): Facts(registered=10),
        path(3): Facts(registered=20),
        path(4): Facts(registered=5),
        path(5): Facts(registered=40, references=(path(4),)),  # young, but in the way of the oldest
    }
    assert make_plan(objects, ()).dead == (path(2), path(3), path(1), path(5), path(4))


def test_a_circle_goes_as_a_whole_at_the_end() -> None:
    objects = {
        path(1): Facts(references=(path(2),)),
        path(2): Facts(references=(path(1), path(2))),
        path(3): Facts(references=(path(1),)),
    }
    assert make_plan(objects, ()).dead == (path(3), path(1), path(2))
    assert make_plan(objects, [path(2)]).dead == (path(3),)


def test_the_defaults_are_those_of_nix() -> None:
    drv, out = path(1, drv=True), path(2)
    objects = {drv: Facts(outputs={"out": out}), out: Facts(deriver=drv)}
    assert live_paths(objects, [out]) == {drv, out}
    assert live_paths(objects, [drv]) == {drv}
