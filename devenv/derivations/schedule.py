"""Which work may begin, shared by the threads that do it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from devenv.derivations.graph import Node
from devenv.derivations.plan import Plan
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath


@dataclass(frozen=True, slots=True)
class Resources:
    """What a build needs of the machine, or what that has: processors, and bytes of memory."""

    cores: int = 1
    memory: int = 0


class Schedule:
    """Hands out the nodes of a plan, each once its inputs are there, until all are done, failed or dropped.

    A node that fails takes those that need it with it; without `keep_going` nothing more begins after it, else
    all others do. What is being built never `needs` more together than `machine` has, unless one alone does. All
    methods may be called from any thread.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        needs: Callable[[Node], Resources] | None = None,
        machine: Resources | None = None,
        keep_going: bool = True,
    ) -> None:
        self._plan = plan
        self._needs = needs
        self._machine = machine
        self._keep_going = keep_going
        self._ended = False
        # Outputs that are being made, and what their builds need.
        self._under_way: dict[StorePath, Resources] = {}
        self._waits_for = dict(plan.waits_for)
        self._order = {node.out: position for position, node in enumerate(plan.builds)}
        self._fetches = list(reversed(plan.fetches))
        # What is known of a node only now: seconds beyond those that were planned.
        self._more: dict[StorePath, float] = {}
        # Positions are unique, so nodes are never compared.
        self._ready: list[tuple[float, int, Node]] = []
        for node in plan.builds:
            if not plan.waits_for[node.out]:
                self._is_ready(node)
        self._left = len(plan.waits_for)
        self._dropped: set[StorePath] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self.problems: list[DevenvError] = []
        self.failure: BaseException | None = None

    def fetch(self) -> Node | None:
        """The next node to fetch, None when there is none left."""
        with self._changed:
            if self._stopped or self._ended or not self._fetches:
                return None
            node = self._fetches.pop()
            self._under_way[node.out] = Resources(0, 0)
            return node

    def build(self) -> Node | None:
        """The next node to build. Waits until one is ready; None when none will be."""
        with self._changed:
            while not self._stopped and not self._ended and self._left:
                node = self._first_that_fits()
                if node is not None:
                    return node
                self._changed.wait()
            return None

    def _first_that_fits(self) -> Node | None:
        """The most urgent of the ready ones for which the machine has enough left."""
        passed = []
        found = None
        while self._ready and found is None:
            entry = heappop(self._ready)
            node = entry[-1]
            need = self._needs(node) if self._needs is not None else Resources()
            if self._fits(need):
                found = node
                self._under_way[node.out] = need
            else:
                passed.append(entry)
        for each in passed:
            heappush(self._ready, each)
        return found

    def _fits(self, need: Resources) -> bool:
        # Fetches need nothing; a build that is alone may have it all.
        taken = [each for each in self._under_way.values() if each.cores]
        if self._needs is None or self._machine is None or not taken:
            return True
        cores = sum(each.cores for each in taken) + need.cores
        memory = sum(each.memory for each in taken) + need.memory
        return cores <= self._machine.cores and memory <= self._machine.memory

    def built(self, node: Node) -> None:
        """The builder of `node` has ended: what it needed of the machine is free, though nothing is valid yet."""
        with self._changed:
            if node.out in self._under_way:
                self._under_way[node.out] = Resources(0, 0)
                self._changed.notify_all()

    def done(self, nodes: Iterable[Node], more: Mapping[StorePath, float] | None = None) -> None:
        """The outputs of `nodes` are valid. `more`: seconds that who uses an output takes beyond what was planned."""
        with self._changed:
            for node in nodes:
                late = more.get(node.out, 0.0) if more else 0.0
                self._left -= 1
                self._under_way.pop(node.out, None)
                for user in self._plan.users[node.out]:
                    self._waits_for[user.out] -= 1
                    self._more[user.out] = self._more.get(user.out, 0.0) + late
                    if not self._waits_for[user.out] and user.out not in self._dropped:
                        self._is_ready(user)
            self._changed.notify_all()

    def _is_ready(self, node: Node) -> None:
        position = self._order.get(node.out)
        if position is not None:
            urgency = self._plan.ahead[node.out] + self._more.get(node.out, 0.0)
            heappush(self._ready, (-urgency, position, node))

    def failed(self, nodes: Iterable[Node], problem: DevenvError) -> None:
        """`nodes` cannot be had, so neither can what needs them."""
        with self._changed:
            self.problems.append(problem)
            self._ended = self._ended or not self._keep_going
            stack = list(nodes)
            while stack:
                node = stack.pop()
                self._under_way.pop(node.out, None)
                if node.out not in self._dropped:
                    self._dropped.add(node.out)
                    self._left -= 1
                    stack.extend(self._plan.users[node.out])
            self._changed.notify_all()

    def stop(self, failure: BaseException | None = None) -> None:
        """Hand out nothing more. `failure` is what to raise, unless there was an earlier one."""
        with self._changed:
            self._stopped = True
            self.failure = self.failure or failure
            self._changed.notify_all()

    def wait(self) -> None:
        """Until there is nothing left to do."""
        with self._changed:
            while not self._stopped and (self._under_way if self._ended else self._left):
                self._changed.wait()
