from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.errors import DevenvError
from devenv.store.in_order import in_order


class Log:
    """What was begun and finished, in order; `bad` fail at their beginning, `worse` at their end."""

    def __init__(self, bad: set[int] | None = None, worse: set[int] | None = None) -> None:
        self.begun: set[int] = set()
        self.finished: list[int] = []
        self.batches: list[list[int]] = []
        self.bad, self.worse = bad or set(), worse or set()

    def begin(self, key: int) -> int:
        self.begun.add(key)
        if key in self.bad:
            raise DevenvError(f"{key} is bad")
        return key * 10

    def finish(self, ready: list[tuple[int, int]]) -> Mapping[int, DevenvError]:
        assert all(value == key * 10 for key, value in ready)
        self.batches.append([key for key, _ in ready])
        self.finished += [key for key, _ in ready if key not in self.worse]
        return {key: DevenvError(f"{key} is worse") for key, _ in ready if key in self.worse}

    def run(self, needs: Mapping[int, list[int]]) -> dict[int, DevenvError]:
        return in_order(needs, self.begin, self.finish, threads=4, stop=lambda: None)


GRAPHS = st.integers(1, 12).flatmap(
    lambda size: st.fixed_dictionaries(
        {key: st.lists(st.integers(0, max(key - 1, 0)), max_size=3) for key in range(size)}
    )
)


def above(needs: Mapping[int, list[int]], keys: set[int]) -> set[int]:
    found = set(keys)
    for key in sorted(needs):
        if found & (set(needs[key]) - {key}):
            found.add(key)
    return found


@settings(max_examples=60, deadline=None)
@given(GRAPHS, st.sets(st.integers(0, 11), max_size=2), st.sets(st.integers(0, 11), max_size=2))
def test_everything_comes_after_what_it_needs_and_failures_take_only_users_along(
    needs: dict[int, list[int]], bad: set[int], worse: set[int]
) -> None:
    log = Log(bad & needs.keys(), worse & needs.keys())
    problems = log.run(needs)
    lost = above(needs, log.bad | log.worse)
    assert set(log.finished) == needs.keys() - lost
    assert log.begun == needs.keys()
    assert log.bad <= problems.keys() <= log.bad | log.worse
    for key in log.finished:
        before = log.finished[: log.finished.index(key)]
        assert set(needs[key]) - {key} <= set(before)
    for batch in log.batches:
        assert not any(set(needs[key]) & set(batch) - {key} for key in batch)


def test_needs_that_are_no_keys_do_not_count() -> None:
    log = Log()
    assert not log.run({1: [99], 2: [1]})
    assert log.finished == [1, 2]


def test_a_circle_is_left_out() -> None:
    log = Log()
    assert not log.run({1: [2], 2: [1], 3: [], 4: [1]})
    assert log.finished == [3]


def test_nothing_is_nothing() -> None:
    assert Log().run({}) == {}


def test_work_is_done_at_once() -> None:
    together = threading.Barrier(4, timeout=10)
    in_order(
        dict.fromkeys(range(4), ()),
        lambda key: together.wait(),
        lambda ready: {},
        threads=4,
        stop=lambda: None,
    )


def test_an_interrupt_stops_what_is_running() -> None:
    stopped = threading.Event()

    def begin(key: int) -> None:
        if key == 0:
            raise KeyboardInterrupt
        if not stopped.wait(10):
            raise AssertionError("nobody stopped it")

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_order(dict.fromkeys(range(50), ()), begin, lambda ready: {}, threads=4, stop=stopped.set)
    assert time.monotonic() - began < 5
