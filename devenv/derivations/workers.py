"""Worker processes seen from the main process: started, given work, killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from subprocess import PIPE, Popen
from typing import Any

import devenv
from devenv.derivations.builders.interpreters import release
from devenv.derivations.errors import BuildError
from devenv.events import Event, Finished, Reporter, Started, event_of

# -I and -S: nothing of the user's environment, and no site-packages; workers need only devenv itself, which
# -I would not find in a checkout that is not installed.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from devenv.derivations.worker import main; main()"


class Worker:
    """One worker process. One thread at a time may use it; `kill` and `close` may come from any.

    A process that dies is replaced by the next `send`.
    """

    def __init__(self, log: str) -> None:
        """Start it. What it prints goes to the file `log`: nothing, unless it breaks."""
        self._log = log
        self._guard = threading.Lock()
        self._ended = False
        self._process: Popen[bytes] | None = None
        self._start()

    def _start(self) -> Popen[bytes] | None:
        place = os.path.dirname(os.path.dirname(os.path.abspath(devenv.__file__)))
        with self._guard, open(self._log, "wb") as stderr:
            if self._ended:
                return None
            # In its own session, so that Ctrl-C reaches the main process only, and its children can be killed
            # with it. It ends when its standard input does.
            self._process = Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, place],
                stdin=PIPE,
                stdout=PIPE,
                stderr=stderr,
                cwd="/",
                start_new_session=True,
            )
            return self._process

    def send(self, request: dict[str, Any]) -> None:
        """Give it work. That it is dead is noticed by `receive`."""
        process = self._process or self._start()
        if process is not None and process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()

    def receive(self, label: str, reporter: Reporter) -> dict[str, Any]:
        """The answer to the last request; `reporter` gets the events before it.

        Raises BuildError naming `label` when the process has ended.
        """
        begun: set[str] = set()
        try:
            while "event" in (answer := self._line(label)):
                event = event_of(answer)
                _note(begun, event)
                reporter.event(event)
            return answer
        finally:  # a builder that failed, or died, does not say it of each step
            for key in begun:
                reporter.event(Finished(key=key, failed=True))

    def _line(self, label: str) -> dict[str, Any]:
        process = self._process
        line = b"" if process is None or process.stdout is None else process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._dead(label)
        values: dict[str, Any] = json.loads(line)
        return values

    def kill(self) -> None:
        """End it and everything it started, for good."""
        with self._guard:
            self._ended = True
            _kill(self._process)

    def close(self) -> None:
        """End it and release what it holds."""
        self.kill()
        if self._process is not None:
            release(self._process)

    def _dead(self, label: str) -> BuildError:
        with self._guard:
            process, self._process = self._process, None
        if process is not None:
            _kill(process)
            release(process)
        if process is None or self._ended:
            return BuildError(f"cannot build {label}: stopped", package=label)
        status = process.returncode
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        with open(self._log, encoding="utf-8", errors="replace") as file:
            said = file.read()[-2000:].strip()
        return BuildError(
            f"cannot build {label}: the process that did it {how}" + (f"\n{said}" if said else ""),
            package=label,
            hint="Is there enough memory? Try again with --max-jobs 1."
            if status == -signal.SIGKILL
            else None,
        )


def _note(begun: set[str], event: Event) -> None:
    """Keep account of what has begun and not ended."""
    if isinstance(event, Started):
        begun.add(event.key)
    elif isinstance(event, Finished):
        begun.discard(event.key)


def _kill(process: Popen[bytes] | None) -> None:
    if process is not None and process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
