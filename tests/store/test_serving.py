from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.formats import narinfo
from devenv.formats.hashes import Hash
from devenv.formats.store_path import digest_of
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.locks import open_lock_file, try_lock
from devenv.store.serving import Server
from tests.store.caches import KEY, Objects


@pytest.fixture
def objects(layout: Layout, tmp_path: Path) -> Objects:
    with Store.open(layout) as store:
        return Objects(store, tmp_path / "scratch")


class Serving:
    """A running server; `logged` is what it would print."""

    def __init__(self, layout: Layout) -> None:
        self.logged: list[str] = []
        self.server = Server(layout, ("127.0.0.1", 0), keys=[KEY], log=self.logged.append)
        self.address = self.server.url.removeprefix("http://")

    def ask(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def serving(layout: Layout, objects: Objects) -> Iterator[Serving]:
    running = Serving(layout)
    thread = threading.Thread(target=running.server.serve, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.server.close()
        thread.join(10)
        assert not thread.is_alive()


def test_everything_valid_is_described_and_sent(layout: Layout, objects: Objects, serving: Serving) -> None:
    status, text = serving.ask("/nix-cache-info")
    assert status == 200 and narinfo.CacheInfo.parse(text.decode()).store_dir == layout.store
    for path in objects.all:
        status, text = serving.ask(f"/{narinfo.info_name(path)}")
        assert status == 200
        info = narinfo.parse(text.decode(), layout.store_dir)
        assert info.path == path and KEY.public.verifies(info.fingerprint, info.signatures[0])
        status, data = serving.ask(f"/{info.url}")
        assert status == 200 and data == b"".join(tree.dump(path))
        assert Hash.of("sha256", data) == info.nar_hash == info.file_hash
        assert serving.ask(f"/{info.url}", "HEAD") == (200, b"")


NOTHING = [
    "/",
    "/nar",
    "/nar/",
    "/" + "a" * 32 + ".narinfo",
    "/../state/db/db.sqlite",
    "/%2e%2e/state",
    "/a.narinfo",
    "/nar/x.nar",
]


@pytest.mark.parametrize("path", NOTHING)
def test_there_is_nothing_else(serving: Serving, path: str) -> None:
    assert serving.ask(path)[0] == 404


def test_other_methods_change_nothing(serving: Serving, objects: Objects) -> None:
    for method in ("PUT", "DELETE", "POST"):
        assert serving.ask(f"/{narinfo.info_name(objects.text)}", method)[0] == 501


def test_what_was_deleted_or_altered_is_not_sent_as_whole(
    serving: Serving, objects: Objects, layout: Layout
) -> None:
    _, text = serving.ask(f"/{narinfo.info_name(objects.lib)}")
    url = narinfo.parse(text.decode(), layout.store_dir).url
    assert serving.ask(f"/{url.replace(url[-10:-4], 'a' * 6)}")[0] == 404, "another archive than there is"
    os.chmod(objects.lib, 0o755)
    (Path(objects.lib) / "more").write_text("more")
    with pytest.raises(http.client.IncompleteRead):
        serving.ask(f"/{url}")
    assert any("another size" in line for line in serving.logged)
    tree.remove(objects.lib)
    assert serving.ask(f"/{narinfo.info_name(objects.lib)}")[0] == 404


def test_collectors_are_kept_out_only_while_an_archive_is_sent(
    layout: Layout, objects: Objects, serving: Serving
) -> None:
    descriptor = open_lock_file(layout.gc_lock)
    try:
        serving.ask(f"/{narinfo.info_name(objects.tree)}")
        assert try_lock(descriptor, exclusive=True), "nobody is served"
    finally:
        os.close(descriptor)


def test_a_client_that_goes_away_harms_nobody(serving: Serving, objects: Objects, layout: Layout) -> None:
    _, text = serving.ask(f"/{narinfo.info_name(objects.tree)}")
    url = narinfo.parse(text.decode(), layout.store_dir).url
    host, _, port = serving.address.partition(":")
    for request in (f"GET /{url} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"nonsense\r\n\r\n", b""):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request)
    assert serving.ask("/nix-cache-info")[0] == 200


def test_a_path_is_found_by_its_whole_digest_only(serving: Serving, objects: Objects) -> None:
    digest = digest_of(objects.text)
    assert serving.ask(f"/{digest[:31]}.narinfo")[0] == 404
    assert serving.ask(f"/{digest[:31]}%.narinfo")[0] == 404
    assert serving.ask(f"/{digest[:31]}_.narinfo")[0] == 404


def test_there_must_be_a_store_and_an_address(tmp_path: Path, layout: Layout) -> None:
    with pytest.raises(DevenvError, match="opening the store"):
        Server(Layout(str(tmp_path / "absent")), ("127.0.0.1", 0))
    with Store.open(layout):
        pass
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DevenvError, match=r"listening on 127\.0\.0\.1"):
            Server(layout, ("127.0.0.1", taken.getsockname()[1]))
    with pytest.raises(DevenvError, match="listening on"):
        Server(layout, ("no.such.host.test", 0))


def test_the_command_ends_when_it_is_told_to(layout: Layout, objects: Objects, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "devenv",
            "cache",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store-dir",
            layout.store,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    assert process.stdout is not None
    with process:
        address = process.stdout.readline().strip().removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/nix-cache-info")
        assert connection.getresponse().status == 200
        process.terminate()
        assert process.wait(timeout=20) == 0
        connection.close()
