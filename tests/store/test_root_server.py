from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath, digest_of
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.locks import lock, open_lock_file
from devenv.store.root_server import RootServer, make_socket_file
from tests.support.nix import Nix
from tests.support.programs import program


@pytest.fixture
def server(layout: Layout) -> Iterator[RootServer]:
    os.makedirs(layout.state)
    with RootServer(layout) as running:
        yield running


def connect(layout: Layout) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    here = os.open(".", os.O_RDONLY)
    try:  # the path may be longer than a socket's may be
        os.chdir(f"{layout.state}/gc-socket")
        client.connect("socket")
    except OSError:
        client.close()
        raise
    finally:
        os.fchdir(here)
        os.close(here)
    return client


def some_path(layout: Layout, number: int, name: str = "x") -> StorePath:
    return StorePath(f"{layout.store}/{number:032d}-{name}")


def test_what_is_sent_is_kept_and_answered(layout: Layout, server: RootServer) -> None:
    with connect(layout) as client:
        for number in range(3):
            client.sendall(some_path(layout, number).encode() + b"\n")
            assert client.recv(10) == b"1"
    assert server.claim(some_path(layout, number) for number in range(5)) == [
        some_path(layout, 3),
        some_path(layout, 4),
    ]
    assert server.claim([some_path(layout, 1, "other-name.lock")]) == []


def test_parts_of_lines_and_several_at_once_are_understood(layout: Layout, server: RootServer) -> None:
    with connect(layout) as client:
        first, second = (some_path(layout, number).encode() + b"\n" for number in (1, 2))
        client.sendall(first[:20])
        time.sleep(0.05)
        client.sendall(first[20:] + second)
        answers = client.recv(1)
        while len(answers) < 2:
            answers += client.recv(1)
        assert answers == b"11"
    assert server.claim([some_path(layout, 1), some_path(layout, 2)]) == []


def test_who_asks_for_what_is_being_deleted_waits(layout: Layout, server: RootServer) -> None:
    claimed = some_path(layout, 1)
    assert server.claim([claimed]) == [claimed]
    with connect(layout) as client:
        client.settimeout(0.3)
        client.sendall(claimed.encode() + b"\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.release()
        client.settimeout(10)
        assert client.recv(1) == b"1"
    assert server.claim([claimed]) == []


def test_an_end_where_nobody_asked_waits_for_nothing(layout: Layout, server: RootServer) -> None:
    with connect(layout):
        server.settle(lambda: pytest.fail("nothing was answered"), 5)


def test_an_end_waits_for_those_who_are_still_there(layout: Layout) -> None:
    os.makedirs(layout.state)
    path = some_path(layout, 1)
    written: set[str] = set()
    with RootServer(layout) as server, connect(layout) as client:
        client.sendall(path.encode() + b"\n")
        assert client.recv(1) == b"1"
        threading.Timer(0.2, written.add, [path]).start()
        began = time.monotonic()
        server.settle(lambda: set(written), 10)
        assert 0.1 < time.monotonic() - began < 5
        client.sendall(path.encode() + b"\n")  # too late for this collection
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


@pytest.mark.parametrize("leaves", [True, False])
def test_an_end_does_not_wait_for_ever(layout: Layout, leaves: bool) -> None:
    os.makedirs(layout.state)
    with RootServer(layout) as server, connect(layout) as client:
        client.sendall(some_path(layout, 1).encode() + b"\n")
        assert client.recv(1) == b"1"
        if leaves:
            client.close()
            time.sleep(0.1)
        began = time.monotonic()
        server.settle(set, 1)
        assert (time.monotonic() - began < 0.5) == leaves


@pytest.mark.parametrize(
    "data",
    [b"garbage\n", b"\n", b"/elsewhere/0-x\n", b"\0\xff\n", b"x" * 100_000, b"/\n" * 1000],
    ids=["word", "empty", "elsewhere", "bytes", "endless", "many"],
)
def test_garbage_harms_nobody(layout: Layout, server: RootServer, data: bytes) -> None:
    with connect(layout) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    with connect(layout) as client:
        client.sendall(some_path(layout, 1).encode() + b"\n")
        assert client.recv(1) == b"1"


def test_one_client_does_not_hold_up_another(layout: Layout, server: RootServer) -> None:
    clients = [connect(layout) for _ in range(20)]
    for client in clients[:-1]:
        client.sendall(b"half a line")
    clients[-1].sendall(some_path(layout, 1).encode() + b"\n")
    assert clients[-1].recv(1) == b"1"
    for client in clients:
        client.close()


def test_after_the_end_connections_are_refused(layout: Layout) -> None:
    os.makedirs(layout.state)
    with RootServer(layout) as server:
        client = connect(layout)
        server.claim([some_path(layout, 1)])
        client.sendall(some_path(layout, 1).encode() + b"\n")
    with client, suppress(ConnectionResetError):
        assert client.recv(1) in (b"", b"1")
    with pytest.raises(ConnectionRefusedError):
        connect(layout)
    with RootServer(layout), connect(layout):
        pass
    assert [thread.name for thread in threading.enumerate() if thread.name == "gc roots"] == []


def test_the_socket_file_is_there_before_anybody_serves(layout: Layout) -> None:
    make_socket_file(layout)
    with pytest.raises(ConnectionRefusedError):
        connect(layout)
    with RootServer(layout), connect(layout):
        make_socket_file(layout)  # changes nothing
        with connect(layout):
            pass
    assert os.listdir(f"{layout.state}/gc-socket") == ["socket"]


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / ("long" * 40)))
    os.makedirs(layout.state)
    with RootServer(layout), connect(layout) as client:
        client.sendall(some_path(layout, 1).encode() + b"\n")
        assert client.recv(1) == b"1"


def test_nix_registers_its_roots_with_us(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    with Store.open(layout):
        pass
    (tmp_path / "file").write_text("contents")
    descriptor = open_lock_file(layout.gc_lock)
    lock(descriptor, exclusive=True)
    try:
        with RootServer(layout) as server:
            path = StorePath(nix.store("--add", str(tmp_path / "file")))
            assert server.is_kept(path)
            assert not server.is_kept(some_path(layout, 1))
            assert server.claim([path]) == []
    finally:
        os.close(descriptor)


def test_nix_waits_until_what_it_adds_is_deleted(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("contents")
    path = StorePath(nix.store("--add", str(tmp_path / "file")))
    descriptor = open_lock_file(layout.gc_lock)
    lock(descriptor, exclusive=True)
    try:
        with RootServer(layout) as server:
            assert server.claim([path]) == [path]
            process = subprocess.Popen(
                [program("nix-store"), "--add", str(tmp_path / "file")],
                env=dict(nix.environment),
                stdout=subprocess.DEVNULL,
            )
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            assert digest_of(path)
            server.release()
            assert process.wait(20) == 0
    finally:
        os.close(descriptor)
