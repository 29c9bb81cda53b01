"""Sandboxes seen from devenv's own process: started through a zygote, waited for, killed."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, Popen

import devenv
from devenv.sandbox.building import Refused
from devenv.sandbox.enter import reported, request
from devenv.sandbox.errors import SandboxError
from devenv.sandbox.probe import explained
from devenv.sandbox.spec import SandboxSpec

# As small as can be: nothing of the user's environment, no site-packages. The path is that of devenv itself,
# which -I does not find in a checkout that is not installed.
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from devenv.sandbox.zygote import main; main()"


class Launcher:
    """Starts programs in sandboxes, from any thread, in a hundredth of the time that a large process needs.

    Nothing that was started outlives it, nor devenv, however that ends.
    """

    def __init__(self) -> None:
        """The helper starts now, to be there when it is needed."""
        self._guard = threading.Lock()
        self._closed = False
        self._helper: Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._start_helper()

    def _start_helper(self) -> socket.socket:
        place = os.path.dirname(os.path.dirname(os.path.abspath(devenv.__file__)))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # In a session of its own: Ctrl-C is for devenv, which then ends it.
            self._helper = Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, place],
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                stderr=None,
                cwd="/",
                start_new_session=True,
            )
        self._orders = ours
        return ours

    def start(
        self,
        spec: SandboxSpec,
        argv: Sequence[str] | Sequence[bytes],
        env: Mapping[str, str] | Mapping[bytes, bytes],
        cwd: str,
        *,
        program: str | None = None,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> Running:
        """Start `program`, `argv[0]` unless named: a path inside, as `cwd` is.

        Raises SandboxError for a sandbox that cannot be described. One that cannot be made is found by
        `Running.wait`.
        """
        data = os.memfd_create("devenv-sandbox")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            flags, contents = request(spec, argv, env, cwd, program)
            _write_all(data, contents)
            self._send(str(flags).encode(), [theirs.fileno(), data, stdin, stdout, stderr])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(data)
        return Running(ours, program or os.fsdecode(argv[0]))

    def _send(self, order: bytes, descriptors: list[int]) -> None:
        with self._guard:
            for attempt in range(2):
                if self._closed:
                    raise SandboxError("cannot start a sandbox: devenv is being stopped")
                orders = self._orders or self._start_helper()
                try:
                    socket.send_fds(orders, [order], descriptors)
                    return
                except (BrokenPipeError, ConnectionResetError):
                    self._discard()
                    if attempt:
                        raise SandboxError(
                            "cannot start a sandbox: the process that does it was killed", hint="Try again."
                        ) from None

    def _discard(self) -> None:
        helper, self._helper = self._helper, None
        orders, self._orders = self._orders, None
        if orders is not None:
            orders.close()
        if helper is not None:
            helper.wait()

    def close(self) -> None:
        """Kill what runs; when this returns, nothing of it is left. Starts fail from now on."""
        with self._guard:
            self._closed = True
            self._discard()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Running:
    """A sandbox at work. Its descriptor (`fileno`) can be read when `wait` returns at once."""

    def __init__(self, report: socket.socket, program: str) -> None:
        self._report = report
        self._program = program
        self.memory = 0  # bytes, the most that one process of it had; known after `wait`

    def fileno(self) -> int:
        return self._report.fileno()

    def kill(self) -> None:
        """End everything in it. `wait` says when it has ended."""
        # Not by a message: one that is left unread would take those of the other side with it.
        with suppress(OSError):
            self._report.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        """The exit status of its first process, negative for a signal. Everything in it has ended by then.

        Raises SandboxError when it was never started, or the helper was killed. Call it once.
        """
        with self._report:
            refused: Refused | None = None
            while True:
                try:
                    said = self._report.recv(65536)
                except ConnectionResetError:
                    said = b""
                if not said.startswith(b"X") and said:
                    refused = reported(said)
                    continue
                break
        if refused is not None:
            raise explained(refused, f"starting {self._program} in a sandbox") from refused
        if not said:
            raise SandboxError(
                f"running {self._program} in a sandbox: the process that watches over it was killed",
                hint="Is there enough memory? Try again.",
            )
        status, memory = said[1:].split()
        self.memory = 1024 * int(memory)
        return os.waitstatus_to_exitcode(int(status))
