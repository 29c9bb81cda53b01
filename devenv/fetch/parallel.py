"""Asking many questions at once, and hearing every failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Planned, Reporter, Started
from devenv.fetch.connections import CONNECTIONS
from devenv.fetch.errors import CancelledError
from devenv.fetch.http import Client

Item = TypeVar("Item")
Answered = TypeVar("Answered")


def gather(
    client: Client,
    items: Sequence[Item],
    work: Callable[[Item], Answered],
    *,
    label: Callable[[Item], str],
    reporter: Reporter,
) -> tuple[list[Answered], list[DevenvError]]:
    """`work` on each item in threads, which the reporter is told of: (answers, errors), in the order of the items.

    An interrupt cancels `client`, so that no thread goes on.
    """
    reporter.event(Planned(kind="lock", count=len(items)))
    return _in_threads(client, items, lambda item: _reported(item, work, label, reporter), CONNECTIONS)


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


Question = TypeVar("Question", bound=_Keyed)


def answer_each(
    client: Client, queries: Sequence[Question], ask: Callable[[Question], Answered], *, at_once: int
) -> dict[str, tuple[Answered, ...]]:
    """What `ask` says of each query, by its key. Raises one error for all that cannot be had.

    An interrupt cancels `client`, so that no thread goes on.
    """
    answers, errors = _in_threads(client, queries, ask, at_once)
    raise_problems(errors)
    return {query.key: (answer,) for query, answer in zip(queries, answers, strict=True)}


def _in_threads(
    client: Client, items: Sequence[Item], work: Callable[[Item], Answered], at_once: int
) -> tuple[list[Answered], list[DevenvError]]:
    with ThreadPoolExecutor(max_workers=min(at_once, max(len(items), 1))) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return _results(futures)
        except BaseException:
            client.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _results(futures: Sequence[Future[Answered]]) -> tuple[list[Answered], list[DevenvError]]:
    answers: list[Answered] = []
    errors: list[DevenvError] = []
    for future in futures:
        try:
            answers.append(future.result())
        except CancelledError:
            raise
        except DevenvError as error:
            errors.append(error)
    return answers, errors


def _reported(
    item: Item, work: Callable[[Item], Answered], label: Callable[[Item], str], reporter: Reporter
) -> Answered:
    name, failed = label(item), True
    reporter.event(Started(kind="lock", key=f"lock {name}", label=name))
    try:
        answer = work(item)
        failed = False
        return answer
    finally:
        reporter.event(Finished(key=f"lock {name}", failed=failed))
