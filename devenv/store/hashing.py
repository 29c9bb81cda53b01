"""Hashing many store objects on all processors.

Small files cost more interpreter than hashing, which threads would not share: worker processes do, which live as
long as one `measure`. They are sent a path a line, and answer with a line of JSON: hash and size, or an error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import devenv
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath
from devenv.store.tree import scan

# Below this a worker takes longer to start than it saves.
_WORTH_A_WORKER = 48 * 1024 * 1024  # bytes

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from devenv.store.hashing import main; main()"


@dataclass(frozen=True, slots=True)
class Measured:
    """A path's NAR on the disk: SHA-256 in base 16 and bytes; or why it cannot be read."""

    path: StorePath
    nar_hash: str = ""
    nar_size: int = 0
    error: str | None = None


def measure(sizes: Mapping[StorePath, int], jobs: int) -> Iterator[Measured]:
    """Hash all paths, given with the size that each is expected to have, in no particular order."""
    order = sorted(sizes, key=lambda path: (-sizes[path], path))
    workers = min(jobs, sum(sizes.values()) // _WORTH_A_WORKER, len(order))
    if workers < 2:
        yield from map(_measure_one, order)
        return
    yield from _in_workers(order, workers)


def _in_workers(order: list[StorePath], workers: int) -> Iterator[Measured]:
    todo: SimpleQueue[StorePath] = SimpleQueue()
    for path in order:
        todo.put(path)
    done: SimpleQueue[Measured | BaseException] = SimpleQueue()
    processes = [_start() for _ in range(workers)]
    threads = [
        threading.Thread(target=_feed, args=(process, todo, done), daemon=True) for process in processes
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in order:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        with suppress(Empty):
            while True:
                todo.get_nowait()
        for process in processes:
            process.kill()
        for thread in threads:
            thread.join()
        for process in processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()


def _start() -> Popen[bytes]:
    place = os.path.dirname(os.path.dirname(os.path.abspath(devenv.__file__)))
    return Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, place],
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C is for the main process, which ends this one
    )


def _feed(
    process: Popen[bytes], todo: SimpleQueue[StorePath], done: SimpleQueue[Measured | BaseException]
) -> None:
    """Give one worker one path at a time; where it dies, go on without it."""
    assert process.stdin is not None and process.stdout is not None
    alive = True
    try:
        while True:
            path = todo.get_nowait()
            answer = b""
            if alive:
                with suppress(BrokenPipeError):
                    process.stdin.write(json.dumps(path).encode() + b"\n")
                    process.stdin.flush()
                    answer = process.stdout.readline()
            if answer.endswith(b"\n"):
                done.put(Measured(path, **json.loads(answer)))
            else:
                alive = False
                done.put(_measure_one(path))
    except Empty:
        return
    except BaseException as error:  # noqa: BLE001 - the main thread raises it
        done.put(error)


def _measure_one(path: StorePath) -> Measured:
    return Measured(path, **_answer(path))


def _answer(path: StorePath) -> dict[str, Any]:
    try:
        found = scan(path, ())
    except DevenvError as error:
        return {"error": str(error)}
    return {"nar_hash": found.nar_hash.hex, "nar_size": found.nar_size}


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(_answer(StorePath(json.loads(line)))) + "\n")
        sys.stdout.flush()
