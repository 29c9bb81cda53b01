from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from devenv.adapter import AdapterError
from devenv.adapters._npm_hoist import Graph, TooLarge, Want, hoist, hoisted_lock
from devenv.adapters._npm_lock import Entry
from devenv.formats.npm_places import resolve

MOST = 300
quick = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=60)
KEYS = [f"{name}@{version}" for name in ("a", "b", "c", "@s/d") for version in "123"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Packages of few names in several versions, with any dependencies, and up to three projects."""

    def wants() -> dict[str, Want]:
        keys = draw(st.lists(st.sampled_from(KEYS), max_size=4))
        return {
            key.rpartition("@")[0]: Want(key=key, optional=draw(st.booleans()), dev=draw(st.booleans()))
            for key in keys
        }

    directories = ["", *draw(st.sets(st.sampled_from(["ws", "packages/x"])))]
    packages = {
        key: Entry(
            place="", name=key.rpartition("@")[0], enclosing="", version=key.rpartition("@")[2] + ".0.0"
        )
        for key in KEYS
    }
    return Graph(
        packages=packages, wants={key: wants() for key in KEYS}, roots={d: wants() for d in directories}
    )


@given(graphs())
@quick
def test_each_package_finds_what_it_depends_on(graph: Graph) -> None:
    try:
        places = hoist(graph, MOST)
    except TooLarge:
        reject()
    for directory, wants in graph.roots.items():
        for name, want in wants.items():
            assert places[resolve(directory, name, places) or ""] == want.key
    for place, key in places.items():
        for name, want in graph.wants[key].items():
            assert places[resolve(place, name, places) or ""] == want.key


@given(graphs())
@quick
def test_tree_is_a_sound_lock_and_always_the_same(graph: Graph) -> None:
    try:
        lock = hoisted_lock("x.lock", graph, MOST)  # it checks where everything lies
    except AdapterError as error:
        if "more places" not in str(error):
            raise
        reject()
    assert hoisted_lock("x.lock", graph, MOST) == lock
    for place, entry in lock.entries.items():
        if entry.is_placed:
            assert place.endswith(f"node_modules/{entry.name}")


def test_what_most_ask_for_lies_at_the_top() -> None:
    packages = {
        key: Entry(place="", name=key[0], enclosing="", version="1.0.0")
        for key in ("a@1", "b@1", "b@2", "c@1")
    }
    wants = {
        "a@1": {"b": Want(key="b@2")},
        "b@2": {"c": Want(key="c@1")},
        "b@1": {},
        "c@1": {"a": Want(key="a@1")},
    }
    roots = {"": {"a": Want(key="a@1"), "b": Want(key="b@1", dev=True)}}
    assert hoist(Graph(packages=packages, wants=wants, roots=roots)) == {
        "node_modules/a": "a@1",
        "node_modules/b": "b@1",
        "node_modules/a/node_modules/b": "b@2",
        "node_modules/c": "c@1",
    }
    entries = hoisted_lock("x", Graph(packages=packages, wants=wants, roots=roots)).entries
    assert [place for place, entry in entries.items() if entry.dev] == ["node_modules/b"]


def test_circle_of_several_versions_ends_in_an_error() -> None:
    """Each nearest one is the wrong one, so they would lie inside each other without end."""
    keys = {"a@1": "b@1", "b@1": "a@2", "a@2": "b@2", "b@2": "a@1"}
    packages = {key: Entry(place="", name=key[0], enclosing="", version="1.0.0") for key in keys}
    wants = {key: {other[0]: Want(key=other)} for key, other in keys.items()}
    with pytest.raises(TooLarge):
        hoist(Graph(packages=packages, wants=wants, roots={"": {"a": Want(key="a@1")}}))
