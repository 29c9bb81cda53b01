"""Asking many questions at once, and hearing every failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from devenv.errors import DevenvError
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
    """`work` on each item in threads: (answers, errors), each in the order of the items.

    An interrupt cancels `client`, so that no thread goes on.
    """
    reporter.event(Planned(kind="lock", count=len(items)))
    with ThreadPoolExecutor(max_workers=min(CONNECTIONS, max(len(items), 1))) as pool:
        futures = [pool.submit(_reported, item, work, label, reporter) for item in items]
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
