"""Which work may begin, shared by the threads that do it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from heapq import heappop, heappush

from devenv.derivations.graph import Node
from devenv.derivations.plan import Plan
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath


class Schedule:
    """Hands out the nodes of a plan, each once its inputs are there, until all are done, failed or dropped.

    A node that fails takes those that need it with it, and nobody else. All methods may be called from any
    thread.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._waits_for = dict(plan.waits_for)
        self._order = {node.out: position for position, node in enumerate(plan.builds)}
        self._fetches = list(reversed(plan.fetches))
        # Positions are unique, so nodes are never compared.
        self._ready: list[tuple[int, Node]] = []
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
            return None if self._stopped or not self._fetches else self._fetches.pop()

    def build(self) -> Node | None:
        """The next node to build. Waits until one is ready; None when none will be."""
        with self._changed:
            while not self._stopped and self._left:
                if self._ready:
                    return heappop(self._ready)[1]
                self._changed.wait()
            return None

    def done(self, nodes: Iterable[Node]) -> None:
        """The outputs of `nodes` are valid."""
        with self._changed:
            for node in nodes:
                self._left -= 1
                for user in self._plan.users[node.out]:
                    self._waits_for[user.out] -= 1
                    if not self._waits_for[user.out] and user.out not in self._dropped:
                        self._is_ready(user)
            self._changed.notify_all()

    def _is_ready(self, node: Node) -> None:
        position = self._order.get(node.out)
        if position is not None:
            heappush(self._ready, (position, node))

    def failed(self, nodes: Iterable[Node], problem: DevenvError) -> None:
        """`nodes` cannot be had, so neither can what needs them."""
        with self._changed:
            self.problems.append(problem)
            stack = list(nodes)
            while stack:
                node = stack.pop()
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
            while self._left and not self._stopped:
                self._changed.wait()
