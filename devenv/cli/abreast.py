"""The same work on many things, in as many processes as there are processors; cheap enough for short work."""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 8  # more processes than this get in each other's way on one disk


def map_abreast(work: Callable[[str], str], things: Sequence[str], *, least: int = 64) -> list[str]:
    """`work` of each thing, in order; fewer than `least` things are done in this process.

    What happens to the things must not depend on their order. A process that dies leaves its things to this one.
    """
    count = min(len(os.sched_getaffinity(0)), MOST)
    if len(things) < least or count < 2:
        return [work(thing) for thing in things]
    children = [_start(work, things[number::count]) for number in range(1, count)]
    results = [""] * len(things)
    results[0::count] = [work(thing) for thing in things[0::count]]
    for number, (pid, reading) in enumerate(children, 1):
        with open(reading, "rb") as pipe:
            data = pipe.read()
        status = os.waitpid(pid, 0)[1]
        own = things[number::count]
        results[number::count] = marshal.loads(data) if status == 0 else [work(thing) for thing in own]  # noqa: S302 - from our own child
    return results


def _start(work: Callable[[str], str], things: Sequence[str]) -> tuple[int, int]:
    """A child that does the work; its number, and where its answers can be read."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        os.close(reading)
        with open(writing, "wb") as pipe:
            pipe.write(marshal.dumps([work(thing) for thing in things]))
        status = 0
    finally:
        os._exit(status)  # without what the parent meant to do at its end
