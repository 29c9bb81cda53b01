"""A process that builds: `python -c ...` started by `workers`, which talks to it in JSON lines.

A request has: builder, label, env, target (the tree to make), candidates (store paths that it may refer to)
and pythons. The answer has either `nar_hash` (hex), `nar_size`, `references` and `notices`, or `error` and
`hint` (what a person should read) and `errno`, or `bug` (a traceback). Lines with `event` may come before it: the
builder says how far it is (`devenv.events.event_values`).

Standard input is read by a thread of its own: when it ends, because the parent asks for it or is dead,
the process and all that it started are killed at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from devenv.derivations.builders.interpreters import Interpreters
from devenv.derivations.builders.job import Job
from devenv.errors import DevenvError
from devenv.events import Event, Reporter, event_values
from devenv.formats.store_path import StorePath
from devenv.store.errors import explaining
from devenv.store.meter import Meter
from devenv.store.tree import scan

Builder = Callable[[Job], tuple[str, ...]]


def main() -> None:
    """Serve requests until standard input ends. Never returns; expects to lead a session of its own."""
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    interpreters = Interpreters()
    while True:
        _say(_answer(requests.get(), interpreters))


def _say(values: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(values).encode() + b"\n")
    sys.stdout.buffer.flush()


class _Sender(Reporter):
    """Tells the parent. Only the thread that builds may use it."""

    def event(self, event: Event) -> None:
        _say(event_values(event))


def _read(requests: SimpleQueue[bytes]) -> None:
    try:
        while line := sys.stdin.buffer.readline():
            requests.put(line)
    finally:
        os.killpg(0, signal.SIGKILL)


def _answer(line: bytes, interpreters: Interpreters) -> dict[str, Any]:
    label = "a package"
    try:
        request = json.loads(line)
        label = request["label"]
        with explaining("building", label):
            return _build(request, interpreters)
    except DevenvError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__
        return {"error": str(error), "hint": error.hint, "errno": getattr(cause, "errno", None)}
    except Exception:  # noqa: BLE001 - the parent raises it
        import traceback

        return {"bug": f"while building {label}:\n{traceback.format_exc()}"}


def _build(request: dict[str, Any], interpreters: Interpreters) -> dict[str, Any]:
    candidates = [StorePath(path) for path in request["candidates"]]
    meter = Meter(candidates)
    job = Job(
        label=request["label"],
        env=request["env"],
        target=request["target"],
        pythons=request["pythons"],
        interpreters=interpreters,
        reporter=_Sender(),
        meter=meter,
    )
    notices = builder(request["builder"])(job)
    found = meter.scanned() if meter.is_used else scan(job.target, candidates)
    return {
        "nar_hash": found.nar_hash.hex,
        "nar_size": found.nar_size,
        "references": found.references,
        "notices": notices,
    }


def builder(name: str) -> Builder:
    """The function behind "builtin:devenv-unpack" and so on. Imported when it is first used."""
    from importlib import import_module

    module = import_module(f"devenv.derivations.builders.{name.removeprefix('builtin:devenv-')}")
    build: Builder = module.build
    return build
