"""Work on things that need each other: much of it at once, the last step of each after those that it needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

from devenv.errors import DevenvError

Key = TypeVar("Key")
Value = TypeVar("Value")

Finish = Callable[[list[tuple[Key, Value]]], Mapping[Key, DevenvError]]


def in_order(
    needs: Mapping[Key, Collection[Key]],
    begin: Callable[[Key], Value],
    finish: Finish[Key, Value],
    *,
    threads: int,
    stop: Callable[[], None],
) -> dict[Key, DevenvError]:
    """`begin` each key, in threads and any order; then `finish` it, in this thread, once what it needs is finished.

    `needs` maps every key to those that must come first; what is not a key itself does not count. `finish` takes as
    many as are ready, none of which needs another, and tells which failed. What is given back are the problems: a key
    that fails takes along those that need it, which are not in there. Keys that need each other in a circle are left
    out. On any error that is no DevenvError, `stop` is called to end what is running.
    """
    return _Run(needs, begin, finish).run(threads, stop)


class _Run(Generic[Key, Value]):
    def __init__(
        self,
        needs: Mapping[Key, Collection[Key]],
        begin: Callable[[Key], Value],
        finish: Finish[Key, Value],
    ) -> None:
        self._begin, self._finish = begin, finish
        self._missing = {key: {need for need in needs[key] if need in needs and need != key} for key in needs}
        self._users: dict[Key, list[Key]] = {key: [] for key in needs}
        for key, missing in self._missing.items():
            for need in missing:
                self._users[need].append(key)
        self._begun: dict[Key, Value] = {}
        self._ready: list[Key] = []  # begun, and nothing missing
        self._dropped: set[Key] = set()
        self._problems: dict[Key, DevenvError] = {}

    def run(self, threads: int, stop: Callable[[], None]) -> dict[Key, DevenvError]:
        done: SimpleQueue[tuple[Key, Future[Value]]] = SimpleQueue()
        with ThreadPoolExecutor(max_workers=threads) as pool:
            try:
                left = len(self._missing)
                for key in self._missing:
                    future = pool.submit(self._begin, key)
                    future.add_done_callback(lambda future, key=key: done.put((key, future)))  # type: ignore[misc]
                while left:
                    left -= self._take(done)
                    self._finish_ready()
            except BaseException:
                stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self._problems

    def _take(self, done: SimpleQueue[tuple[Key, Future[Value]]]) -> int:
        """Note what has begun by now, one thing at least."""
        count = 0
        while not count or not done.empty():
            key, future = done.get()
            count += 1
            try:
                self._begun[key] = future.result()
            except DevenvError as error:
                self._fail(key, error)
                continue
            if not self._missing[key]:
                self._ready.append(key)
        return count

    def _finish_ready(self) -> None:
        while self._ready:
            ready, self._ready = self._ready, []
            failed = self._finish([(key, self._begun.pop(key)) for key in ready])
            for key in ready:
                if key in failed:
                    self._fail(key, failed[key])
                    continue
                for user in self._users[key]:
                    self._missing[user].discard(key)
                    if not self._missing[user] and user in self._begun and user not in self._dropped:
                        self._ready.append(user)

    def _fail(self, key: Key, error: DevenvError) -> None:
        self._problems[key] = error
        self._dropped.update(self._above(key))

    def _above(self, key: Key) -> Iterator[Key]:
        """`key` and all that need it."""
        seen = {key}
        stack = [key]
        while stack:
            below = stack.pop()
            yield below
            for user in self._users[below]:
                if user not in seen:
                    seen.add(user)
                    stack.append(user)
