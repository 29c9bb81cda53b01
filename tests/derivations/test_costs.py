"""What builds took: remembered by kind, forgiving to damage, the reason for the order of the next ones."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.derivations.costs import Cost, Costs, base_name
from devenv.derivations.errors import BuildError
from devenv.derivations.graph import Graph, Node
from devenv.derivations.plan import make_plan
from devenv.derivations.schedule import Resources, Schedule
from devenv.formats.store_path import StoreDir


@pytest.fixture
def graph() -> Graph:
    return Graph(StoreDir("/opt/devenv/store"))


def node(graph: Graph, name: str, *inputs: Node, builder: str = "/bin/sh") -> Node:
    return graph.add(name=name, builder=builder, system="x86_64-linux", env={}, inputs=inputs)


def test_what_was_never_built_is_not_known(graph: Graph, tmp_path: Path) -> None:
    costs = Costs(str(tmp_path / "cache"))
    assert costs.expected(node(graph, "a")) is None
    assert costs.estimate(node(graph, "a")) > 0
    assert not costs.know_memory


def test_a_new_version_is_expected_to_take_as_long(graph: Graph, tmp_path: Path) -> None:
    Costs(str(tmp_path)).record([(node(graph, "hello-1.0"), Cost(20.0, 5 << 20))])
    costs = Costs(str(tmp_path))
    assert costs.expected(node(graph, "hello-1.1")) == Cost(20.0, 5 << 20)
    assert costs.know_memory
    assert costs.expected(node(graph, "hello-1.1", builder="builtin:devenv-unpack")) is None
    assert costs.expected(node(graph, "hello-data-1.1")) is None


def test_one_odd_time_does_not_count(graph: Graph, tmp_path: Path) -> None:
    costs = Costs(str(tmp_path))
    for seconds in (10.0, 11.0, 900.0, 12.0, 11.0):
        costs.record([(node(graph, "a"), Cost(seconds))])
    assert costs.expected(node(graph, "a")) == Cost(11.0)
    for seconds in (50.0, 51.0, 52.0):  # the last five count
        costs.record([(node(graph, "a"), Cost(seconds))])
    assert costs.expected(node(graph, "a")) == Cost(50.0)


def test_what_took_no_time_is_not_recorded(graph: Graph, tmp_path: Path) -> None:
    costs = Costs(str(tmp_path / "cache"))
    costs.record([(node(graph, "a"), Cost(0.01))])
    assert not (tmp_path / "cache").exists()


DAMAGED = {
    "noise": "\0\xff\x01",
    "half a line": '{"name": "a", "kin',
    "a list": "[1, 2]",
    "missing": '{"name": "a", "kind": "program", "seconds": 1.0}',
    "text for a number": '{"name": "a", "kind": "program", "seconds": "1", "memory": 0}',
    "true": '{"name": "a", "kind": "program", "seconds": true, "memory": 0}',
    "not a number": '{"name": "a", "kind": "program", "seconds": NaN, "memory": 0}',
    "infinite": '{"name": "a", "kind": "program", "seconds": 1e999, "memory": 0}',
    "negative": '{"name": "a", "kind": "program", "seconds": -1, "memory": 0}',
    "nested": "[" * 100_000,
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_lines_are_passed_over(graph: Graph, tmp_path: Path, line: str) -> None:
    costs = Costs(str(tmp_path))
    costs.record([(node(graph, "a"), Cost(3.0))])
    with open(tmp_path / "costs", "a", encoding="latin-1") as file:
        file.write(line)
    costs.record([(node(graph, "b"), Cost(4.0))])
    costs = Costs(str(tmp_path))
    assert (costs.expected(node(graph, "a")), costs.expected(node(graph, "b"))) == (Cost(3.0), Cost(4.0))


@pytest.mark.parametrize("kind", ["a directory", "read-only", "a directory above that is a file"])
def test_a_record_that_cannot_be_kept_is_no_error(graph: Graph, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "cache"
    if kind == "a directory":
        (place / "costs").mkdir(parents=True)
    elif kind == "read-only":
        place.mkdir(mode=0o555)
    else:
        place.write_text("")
    costs = Costs(str(place))
    costs.record([(node(graph, "a"), Cost(3.0))])
    costs.expected(node(graph, "a"))


def test_the_file_does_not_grow_for_ever(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.derivations.costs._LONGEST_FILE", 2000)
    costs = Costs(str(tmp_path))
    for number in range(200):
        costs.record([(node(graph, f"n{number % 3}x"), Cost(number + 1.0))])
    assert os.path.getsize(tmp_path / "costs") < 2500
    assert Costs(str(tmp_path)).expected(node(graph, "n1x")) == Cost(194.0)


def test_lines_of_several_writers_do_not_mix(graph: Graph, tmp_path: Path) -> None:
    nodes = [node(graph, f"writer{number}") for number in range(4)]

    def write(each: Node) -> None:
        for _ in range(50):
            Costs(str(tmp_path)).record([(each, Cost(1.0))])

    threads = [threading.Thread(target=write, args=(each,)) for each in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for line in (tmp_path / "costs").read_text().splitlines() if line]
    assert len(lines) == 200
    assert all(json.loads(line)["seconds"] == 1.0 for line in lines)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("hello-1.0", "hello"),
        ("hello", "hello"),
        ("python3-numpy-1.2-doc", "python3-numpy"),
        ("a-b-c", "a-b-c"),
        ("x-", "x-"),
        ("lib-2to3-1", "lib"),
    ],
)
def test_the_version_begins_at_a_dash_with_no_letter_behind_it(name: str, base: str) -> None:
    assert base_name(name) == base


# The order


def seconds_of(**known: float) -> object:
    return lambda each: known.get(each.derivation.name, 0.0)


def test_the_longest_row_of_work_begins_first(graph: Graph) -> None:
    alone = node(graph, "alone")
    first = node(graph, "first")
    middle = node(graph, "middle", first)
    last = node(graph, "last", middle)
    seconds = seconds_of(alone=5.5, first=1.0, middle=1.0, last=4.0)
    plan = make_plan([alone, last], set(), seconds)  # type: ignore[arg-type]
    assert [each.derivation.name for each in plan.builds] == ["first", "alone", "middle", "last"]


@given(st.lists(st.tuples(st.floats(0, 100), st.sets(st.integers(0, 7), max_size=3)), min_size=1, max_size=8))
def test_nothing_comes_before_something_that_more_work_waits_for(
    shape: list[tuple[float, set[int]]],
) -> None:
    graph = Graph(StoreDir("/opt/devenv/store"))
    nodes: list[Node] = []
    seconds: dict[str, float] = {}
    for number, (cost, below) in enumerate(shape):
        nodes.append(node(graph, f"n{number}x", *(nodes[each] for each in sorted(below) if each < number)))
        seconds[f"n{number}x"] = cost
    plan = make_plan(nodes, set(), seconds_of(**seconds))  # type: ignore[arg-type]

    def ahead(each: Node) -> float:
        return seconds[each.derivation.name] + max(
            (ahead(user) for user in plan.users[each.out]), default=0.0
        )

    lengths = [ahead(each) for each in plan.builds]
    assert lengths == sorted(lengths, reverse=True)


# What the machine has


def schedule(*nodes: Node, machine: Resources, **needs: Resources) -> Schedule:
    plan = make_plan(nodes, set(), lambda each: -ord(each.derivation.name[0]))
    return Schedule(plan, needs=lambda each: needs.get(each.derivation.name, Resources()), machine=machine)


def handed_out(found: Schedule) -> Node | None:
    """What can begin now; asking for what cannot would wait."""
    with found._changed:
        return found._first_that_fits()


@pytest.mark.parametrize(
    ("needs", "together"),
    [
        ({"a": Resources(2, 0), "b": Resources(2, 0)}, "a c"),
        ({"a": Resources(1, 6), "b": Resources(1, 6)}, "a c"),
        ({"a": Resources(1, 3), "b": Resources(1, 3)}, "a b c"),
        ({"a": Resources(9, 0)}, "a"),
        ({"b": Resources(9, 99)}, "a c"),
    ],
    ids=["processors", "memory", "both fit", "more than there is", "too large beside others"],
)
def test_builds_share_what_the_machine_has(graph: Graph, needs: dict[str, Resources], together: str) -> None:
    nodes = [node(graph, name) for name in "abc"]
    found = schedule(*nodes, machine=Resources(3, 8), **needs)
    begun = list(iter(lambda: handed_out(found), None))
    assert [each.derivation.name for each in begun] == together.split()
    while begun:
        found.done([begun.pop()])
        begun += iter(lambda: handed_out(found), None)
    found.wait()


def test_what_is_built_gives_back_what_it_had_before_it_is_registered(graph: Graph) -> None:
    a, b = node(graph, "a"), node(graph, "b")
    found = schedule(a, b, machine=Resources(2, 0), a=Resources(2, 0), b=Resources(2, 0))
    assert handed_out(found) is a
    found.built(a)
    assert handed_out(found) is b
    found.done([a, b])
    found.built(a)
    found.wait()


def test_what_failed_gives_back_what_it_had(graph: Graph) -> None:
    a, b = node(graph, "a"), node(graph, "b")
    found = schedule(a, b, machine=Resources(2, 0), a=Resources(2, 0), b=Resources(2, 0))
    assert handed_out(found) is a
    assert handed_out(found) is None
    found.failed([a], BuildError("no a"))
    assert handed_out(found) is b


def test_without_going_on_a_failure_lets_end_what_runs_and_begins_nothing(graph: Graph) -> None:
    a, b, c = (node(graph, name) for name in "abc")
    found = Schedule(make_plan([a, b, c], set(), lambda _: 0.0), keep_going=False)
    running, failing = found.build(), found.build()
    assert running is not None
    assert failing is not None
    found.failed([failing], BuildError("no"))
    assert found.build() is None
    assert found.fetch() is None
    waiting = threading.Thread(target=found.wait)
    waiting.start()
    assert waiting.is_alive()
    found.done([running])
    waiting.join(10)
    assert not waiting.is_alive()
