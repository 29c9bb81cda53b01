"""Python interpreters that stay running to compile byte code, one process for each path."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from devenv.derivations.errors import BuildError

if TYPE_CHECKING:
    from subprocess import Popen

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compile_tree.py")


class Interpreters:
    """Starts an interpreter when it is first asked for. `close` ends them all."""

    def __init__(self) -> None:
        self._running: dict[str, Popen[bytes]] = {}

    def compile(self, interpreter: str, source: str, target: str) -> int:
        """Compile the wheel object `source` into the new directory `target`; how many files came of it.

        Raises BuildError when the interpreter cannot be started or ends.
        """
        import json

        process = self._running.get(interpreter) or self._start(interpreter)
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps([source, target]).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline().decode().strip()
        except OSError as error:
            answer = f"error: {error}"
        if answer.isdigit():
            return int(answer)
        release(self._running.pop(interpreter))
        raise BuildError(f"the interpreter {interpreter} said: {answer.removeprefix('error: ') or 'nothing'}")

    def close(self) -> None:
        while self._running:
            release(self._running.popitem()[1])

    def _start(self, interpreter: str) -> Popen[bytes]:
        from subprocess import DEVNULL, PIPE, Popen

        # A fixed hash seed makes the order in sets the same in every run. Nothing of the user's environment
        # may reach the byte code; the library path is needed by interpreters that were moved.
        environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        try:
            process = Popen(
                [interpreter, "-S", "-s", "-B", "-W", "ignore", _PROGRAM],
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment,
                cwd="/",
            )
        except OSError as error:
            raise BuildError(f"the interpreter {interpreter} cannot be started: {error.strerror}") from error
        self._running[interpreter] = process
        return process


def release(process: Popen[bytes]) -> None:
    """Kill a process if it runs, and give back what it holds here."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # a request that was never read
                pipe.close()
