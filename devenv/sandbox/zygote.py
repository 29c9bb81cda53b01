"""The small process that sandboxes are born from: `python -I -S -c ...` started by `launcher`.

To fork a process costs time for all the memory that it has; devenv's own has much, this one little. Its only
thread waits for orders on descriptor 0, a SOCK_SEQPACKET socket:

    order  = flags of clone(2) in decimal; with it the descriptors report, request, stdin, stdout, stderr
    report = [ what enter.report_refusal writes ]      the program was not started
             [ "X", wait status, " ", memory ]         the first process has ended, and all others with it

`request` is a file with the bytes of `enter.request`, `report` a socket of the same kind. `memory` is the most
that a process in it had, in kilobytes, as far as it was waited for; both numbers are decimal. When nothing
can be said any more on its other side, the sandbox is killed. When the orders end, because devenv wants that or is
dead, all sandboxes are killed, and this process ends when they have.
"""

from __future__ import annotations

import _socket  # what `socket` is made of; that would bring twenty modules into every process forked here
import os
import select
import sys

from devenv.sandbox import syscalls
from devenv.sandbox.building import Refused
from devenv.sandbox.enter import become, clone, report_refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_DESCRIPTORS = 5
_FD_SIZE = 4
_KILL = 9


def main() -> NoReturn:
    """Serve orders until they end. Expects to lead a session of its own."""
    syscalls.new_session_keyring()
    orders = _socket.socket(fileno=0)
    os.set_inheritable(0, False)
    _Zygote(orders).serve()
    os._exit(0)


class _Zygote:
    """Sandboxes by what is waited for: their first process (pidfd) and the end of interest in it (report)."""

    def __init__(self, orders: _socket.socket) -> None:
        self._orders = orders
        self._poll = select.poll()
        self._poll.register(orders.fileno(), select.POLLIN)
        self._processes: dict[int, tuple[int, int]] = {}  # pidfd -> (process id, report)
        self._reports: dict[int, int] = {}  # report -> process id
        self._myself = os.pidfd_open(os.getpid())

    def serve(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._orders.fileno():
                    if not self._take_order():
                        self._kill_all()
                        return
                elif descriptor in self._processes:
                    self._ended(descriptor)
                elif descriptor in self._reports:
                    self._no_longer_wanted(descriptor)

    def _take_order(self) -> bool:
        """Whether there was one."""
        size = _socket.CMSG_SPACE(_DESCRIPTORS * _FD_SIZE)
        flags, sent, _, _ = self._orders.recvmsg(32, size, _socket.MSG_CMSG_CLOEXEC)
        if not flags:
            return False
        descriptors = [
            int.from_bytes(data[start : start + _FD_SIZE], sys.byteorder)
            for _, _, data in sent
            for start in range(0, len(data), _FD_SIZE)
        ]
        report, *others = descriptors
        try:
            self._start(int(flags), report, others)
        except Refused as refused:
            report_refusal(report, refused)
            os.close(report)
        for descriptor in others:
            os.close(descriptor)
        return True

    def _start(self, flags: int, report: int, others: list[int]) -> None:
        child = clone(flags)
        if child == 0:
            self._child(report, others)
        pidfd = os.pidfd_open(child)
        self._processes[pidfd] = child, report
        self._reports[report] = child
        self._poll.register(pidfd, select.POLLIN)
        self._poll.register(report, select.POLLIN)

    def _child(self, report: int, others: list[int]) -> NoReturn:
        request, stdin, stdout, stderr = others
        size = os.fstat(request).st_size
        become(os.pread(request, size, 0), (stdin, stdout, stderr), report, self._myself)

    def _no_longer_wanted(self, report: int) -> None:
        self._poll.unregister(report)
        os.kill(self._reports[report], _KILL)

    def _ended(self, pidfd: int) -> None:
        child, report = self._processes.pop(pidfd)
        _, status, usage = os.wait4(child, 0)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        del self._reports[report]
        # Both fail when it was killed because nobody is interested any more. contextlib would cost milliseconds.
        try:  # noqa: SIM105
            self._poll.unregister(report)
        except KeyError:
            pass
        try:  # noqa: SIM105
            os.write(report, b"X%d %d" % (status, usage.ru_maxrss))
        except OSError:
            pass
        os.close(report)

    def _kill_all(self) -> None:
        for child, _ in self._processes.values():
            os.kill(child, _KILL)
        for child, _ in self._processes.values():
            os.waitpid(child, 0)
