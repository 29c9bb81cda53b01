"""Takes roots from other processes while a collection runs, by Nix's protocol, so that they need not wait.

They connect to `state/gc-socket/socket`, send a store path and a newline, and go on when they have got the byte "1":
from then on the path is not deleted or, where that had begun already, is completely gone. What counts is the hash
in the path, as for Nix: locks and other files beside a path are kept with it.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from devenv.formats.store_path import DIGEST_LENGTH, StorePath, digest_of
from devenv.store.errors import explaining
from devenv.store.layout import Layout

_LINE_LIMIT = 8192


class RootServer:
    """Serves while it is entered. Its user holds gc.lock exclusively, and claims what it is about to delete."""

    def __init__(self, layout: Layout) -> None:
        self._directory = os.path.join(layout.state, "gc-socket")
        self._prefix = os.fsencode(layout.store) + b"/"
        self._state = threading.Condition()
        self._kept: set[str] = set()
        self._claimed: set[str] = set()
        self._buffers: dict[socket.socket, bytes] = {}
        # What each client that is still there was told to be kept.
        self._answered: dict[socket.socket, set[str]] = {}
        self._is_closing = False

    def __enter__(self) -> Self:
        with explaining("listening for roots", self._directory):
            self._listener = _listen(self._directory)
        self._awake, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._awake):
            self._selector.register(each, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="gc roots", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._wake.send(b"x")
        self._thread.join()
        # The socket's file stays: who connects to it is refused and tries gc.lock again, whereas Nix takes its
        # absence for an error.
        for each in (self._listener, self._awake, self._wake, *self._buffers):
            each.close()
        self._selector.close()

    def keep(self, digests: Iterable[str]) -> None:
        """Keep the paths with these hashes, as if they had been sent."""
        with self._state:
            self._kept.update(digests)

    def claim(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Those of `paths` that may be deleted. Who asks to keep one of them now waits for `release`."""
        with self._state:
            free = [path for path in paths if digest_of(path) not in self._kept]
            self._claimed = {digest_of(path) for path in free}
        return free

    def release(self) -> None:
        """What was claimed is deleted, or is not going to be."""
        with self._state:
            self._claimed = set()
            self._state.notify_all()

    def is_kept(self, path: StorePath) -> bool:
        with self._state:
            return digest_of(path) in self._kept

    def settle(self, recorded: Callable[[], set[str]], patience: float) -> None:
        """Answer nobody any more, and wait until what was answered is `recorded`, at most `patience` seconds.

        A client writes a path to its file of temporary roots only when it has got the answer. Until then a
        collection that begins after this one would know nothing of it.
        """
        with self._state:
            self._is_closing = True
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with self._state:
                answered = set().union(*self._answered.values())
            if not answered or answered <= recorded():
                return
            time.sleep(0.005)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._awake:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._receive(key.fileobj)

    def _accept(self) -> None:
        with suppress(OSError):  # gone again; or too many open files: the others come first
            client, _ = self._listener.accept()
            client.settimeout(10)
            self._buffers[client] = b""
            with self._state:
                self._answered[client] = set()
            self._selector.register(client, selectors.EVENT_READ)

    def _receive(self, client: socket.socket) -> None:
        if self._is_closing:
            self._selector.unregister(client)  # it tries again when it finds the connection closed
            return
        try:
            data = client.recv(65536)
            *lines, rest = (self._buffers[client] + data).split(b"\n")
            if data and len(rest) <= _LINE_LIMIT:
                self._buffers[client] = rest
                for line in lines:
                    self._take(line, client)
                    client.sendall(b"1")
                return
        except OSError:
            pass
        self._selector.unregister(client)
        del self._buffers[client]
        with self._state:
            del self._answered[client]
        client.close()

    def _take(self, line: bytes, client: socket.socket) -> None:
        if not line.startswith(self._prefix):
            return  # nothing of this store; like Nix, answer all the same
        digest = line[len(self._prefix) :][:DIGEST_LENGTH].decode("ascii", "replace")
        with self._state:
            self._kept.add(digest)
            self._answered[client].add(os.fsdecode(line))
            while digest in self._claimed:
                self._state.wait()


def make_socket_file(layout: Layout) -> None:
    """Have a socket's file, without anybody behind it, where no collection has ever run.

    To be called before gc.lock is taken: who comes between that and the first `accept` is then refused and
    tries again.
    """
    directory = os.path.join(layout.state, "gc-socket")
    with explaining("listening for roots", directory):
        if not os.path.lexists(os.path.join(directory, "socket")):
            os.makedirs(directory, exist_ok=True)
            with _bound(directory) as (unused, aside, place):
                with suppress(FileExistsError):
                    os.link(aside, "socket", src_dir_fd=place, dst_dir_fd=place)
                os.unlink(aside, dir_fd=place)
                unused.close()


@contextmanager
def _bound(directory: str) -> Iterator[tuple[socket.socket, str, int]]:
    """A socket, the temporary name to which it is bound, and the open directory of that name."""
    # A socket's path may have 107 bytes only; this way it is short wherever the store is.
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    aside = f"socket.{os.getpid()}"
    try:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=place)
        bound.bind(f"/proc/self/fd/{place}/{aside}")
        os.chmod(aside, 0o666, dir_fd=place)  # noqa: S103 - a shared store has several users
        yield bound, aside, place
    except BaseException:
        bound.close()
        raise
    finally:
        os.close(place)


def _listen(directory: str) -> socket.socket:
    """A socket under its final name. There is one at any time once there was one, so nobody finds none."""
    os.makedirs(directory, exist_ok=True)
    with _bound(directory) as (listener, aside, place):
        listener.listen(128)
        os.rename(aside, "socket", src_dir_fd=place, dst_dir_fd=place)
        return listener
