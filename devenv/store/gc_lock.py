"""Takes gc.lock for a collection, from whatever number of processes that share it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from devenv.events import Notice, Reporter
from devenv.store.database import Database
from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.locks import holders, lock, open_lock_file, try_lock
from devenv.store.root_server import RootServer, make_socket_file

# How long those who come while a collection waits are made to wait, and how long they are not. In seconds.
_FIRST_FOR, _LAST_FOR = 2.0, 8.0
_POLL = 0.01


@contextmanager
def collecting(layout: Layout, reporter: Reporter) -> Iterator[tuple[RootServer, Database]]:
    """The lock held alone, with Nix's socket for roots served. Raises `StoreError`."""
    make_socket_file(layout)
    with ExitStack() as held:
        held.enter_context(locked(layout, reporter, exclusive=True))
        server = held.enter_context(RootServer(layout))
        yield server, held.enter_context(closing(Database(layout.database)))


@contextmanager
def locked(layout: Layout, reporter: Reporter, *, exclusive: bool) -> Iterator[None]:
    """The lock held; who is waited for is told. Raises `StoreError`."""
    with explaining("locking the store", layout.gc_lock):
        descriptor = open_lock_file(layout.gc_lock)
    try:
        if not try_lock(descriptor, exclusive=exclusive):
            who = ", ".join(holders(descriptor)[:4]) or "another program that uses the store"
            reporter.event(Notice(text=f"Waiting for {who} ..."))
            with explaining("locking the store", layout.gc_lock):
                _wait(layout, descriptor) if exclusive else lock(descriptor, exclusive=False)
        yield
    finally:
        os.close(descriptor)


def _wait(layout: Layout, descriptor: int) -> None:
    """Get the lock that others share, even if there is always one of them.

    For some seconds at a time, those who come later are kept waiting; not for longer, since somebody may need one
    of them to be done.
    """
    turn = open_lock_file(layout.gc_turn)
    try:
        while True:
            for seconds, first in ((_FIRST_FOR, True), (_LAST_FOR, False)):
                fcntl.flock(turn, fcntl.LOCK_EX if first else fcntl.LOCK_UN)
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    if try_lock(descriptor, exclusive=True):
                        return
                    time.sleep(_POLL)
    finally:
        os.close(turn)
