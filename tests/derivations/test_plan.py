"""What is planned: all that is missing, nothing that is not needed, large things first."""

from __future__ import annotations

import pytest

from devenv.adapter import Package, RemoteFile
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import bytecode_node, link_node, package_node
from devenv.derivations.plan import make_plan, requisites
from devenv.derivations.schedule import Schedule
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir


@pytest.fixture
def graph() -> Graph:
    return Graph(StoreDir("/opt/devenv/store"))


def package(graph: Graph, name: str, size: int | None = None, host: str = "a") -> Node:
    file = RemoteFile(file_name=f"{name}.whl", url=name, hash=Hash.of("sha256", name.encode()), size=size)
    return package_node(
        graph, Package(name=name, version="1", format="wheel", file=file), f"https://{host}.test/{name}"
    )


def labels(nodes: tuple[Node, ...]) -> list[str]:
    return [node.label for node in nodes]


def test_everything_below_a_target_comes_before_it(graph: Graph) -> None:
    a, b = package(graph, "a"), package(graph, "b")
    top = link_node(graph, "top", {}, [bytecode_node(graph, a, "3.11"), b])
    order = list(requisites([top, a]))
    assert len(order) == len(set(order)) == 6
    assert all(
        order.index(below.path) < order.index(path) for path in order for below in graph.nodes[path].inputs
    )


def test_a_valid_output_needs_nothing_below_it(graph: Graph) -> None:
    a, b = package(graph, "a"), package(graph, "b")
    code = bytecode_node(graph, a, "3.11")
    plan = make_plan([code, b], {code.out, b.inputs[0].out})
    assert plan.fetches == ()
    assert plan.builds == (b,)
    assert plan.waits_for == {b.out: 0}


def test_a_missing_one_brings_all_that_it_needs(graph: Graph) -> None:
    a = package(graph, "a")
    code = bytecode_node(graph, a, "3.11")
    plan = make_plan([code], set())
    assert plan.fetches == a.inputs
    assert set(plan.builds) == {a, code}
    assert plan.waits_for == {a.inputs[0].out: 0, a.out: 1, code.out: 1}


def test_the_largest_downloads_come_first(graph: Graph) -> None:
    nodes = [package(graph, name, size) for name, size in (("s", 1), ("l", 1000), ("?", None), ("m", 10))]
    plan = make_plan(nodes, set())
    assert labels(plan.fetches) == ["l 1", "m 1", "s 1", "? 1"]
    assert labels(plan.builds) == ["l 1", "m 1", "s 1", "? 1"]


def test_one_output_of_two_derivations_is_made_once(graph: Graph) -> None:
    here, there = package(graph, "a", host="here"), package(graph, "a", host="there")
    assert here.path != there.path
    plan = make_plan([here, there], set())
    assert len(plan.fetches) == len(plan.builds) == 1
    code = bytecode_node(graph, there, "3.11")
    plan = make_plan([here, code], set())
    assert plan.waits_for[code.out] == 1
    assert plan.users[here.out] == [code]


def test_a_failure_takes_only_those_that_need_it(graph: Graph) -> None:
    a, b = package(graph, "a"), package(graph, "b")
    code = bytecode_node(graph, a, "3.11")
    both = link_node(graph, "both", {}, [code, b])
    schedule = Schedule(make_plan([both, b], set()))
    fetches = {node.label: node for node in iter(schedule.fetch, None)}
    schedule.failed([fetches["a 1"]], BuildError("no a"))
    schedule.done([fetches["b 1"]])
    assert schedule.build() is b
    schedule.done([b])
    assert schedule.build() is None
    schedule.wait()
    assert [str(problem) for problem in schedule.problems] == ["no a"]


def test_what_turns_out_to_be_large_is_built_first(graph: Graph) -> None:
    """Where no size was known, that of the file that came is what counts."""
    nodes = {name: package(graph, name, None) for name in ("small", "large", "middle")}
    schedule = Schedule(make_plan(nodes.values(), set()))
    seconds = {"small 1": 0.1, "large 1": 9.0, "middle 1": 2.0}
    for fetch in iter(schedule.fetch, None):
        schedule.done([fetch], {fetch.out: seconds[fetch.label]})
    assert [schedule.build() for _ in nodes] == [nodes["large"], nodes["middle"], nodes["small"]]


def test_two_failures_below_one_node_count_it_once(graph: Graph) -> None:
    a, b = package(graph, "a"), package(graph, "b")
    schedule = Schedule(make_plan([link_node(graph, "both", {}, [a, b])], set()))
    for node in iter(schedule.fetch, None):
        schedule.failed([node], BuildError(node.label))
    schedule.wait()
    assert len(schedule.problems) == 2
    assert schedule.build() is None


def test_nothing_is_handed_out_after_a_stop(graph: Graph) -> None:
    schedule = Schedule(make_plan([package(graph, "a")], set()))
    schedule.stop(KeyboardInterrupt())
    schedule.stop(ValueError())
    assert schedule.fetch() is None
    assert schedule.build() is None
    schedule.wait()
    assert isinstance(schedule.failure, KeyboardInterrupt)
