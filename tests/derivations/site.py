"""A web server for tests, packages on it, and a store to bring them into."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from devenv.adapter import Package, RemoteFile
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import package_node
from devenv.derivations.realise import realise
from devenv.events import Event, Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.formats.hashes import Hash
from devenv.store.local import Store
from tests.derivations.archives import npm_package, wheel

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Site:
    """Files by path. `asked` are the paths requested; those in `silent` send half of the file and then wait."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.silent: set[str] = set()
        self.stalled = threading.Event()
        self.going_on = threading.Event()
        self.url = ""

    def npm(self, name: str, files: dict[str, bytes] | None = None, **more: tuple[str, ...]) -> Package:
        return self.publish(
            "npm", name, f"{name}-1.0.tgz", npm_package(files or {"index.js": name.encode()}), **more
        )

    def wheel(self, name: str, files: dict[str, bytes] | None = None) -> Package:
        data = wheel(files or {f"{name}.py": b"value = 1\n"}, name=name)
        return self.publish("wheel", name, f"{name}-1.0-py3-none-any.whl", data)

    def publish(self, format: str, name: str, file: str, data: bytes, **more: tuple[str, ...]) -> Package:
        self.files[f"/{file}"] = data
        remote = RemoteFile(file_name=file, url=f"test:{file}", hash=Hash.of("sha512", data))
        return Package(name=name, version="1.0", format=format, file=remote, **more)  # type: ignore[arg-type]

    def url_of(self, package: Package) -> str:
        return f"{self.url}/{package.file.file_name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        data = self.files.get(request.path)
        if data is None:
            request.send_error(404)
            return
        start = 0
        if wanted := request.headers.get("Range"):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        if request.path in self.silent:
            request.wfile.write(data[start : len(data) // 2])
            request.wfile.flush()
            self.stalled.set()
            self.going_on.wait(30)
            start = max(start, len(data) // 2)
        request.wfile.write(data[start:])


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                site.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield site
        finally:
            site.going_on.set()
            server.shutdown()
            thread.join()


class Recorder(Reporter):
    """Keeps all events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


class Bench:
    """A store, a graph and a client: everything that realising takes."""

    def __init__(self, store: Store, site: Site, home: str) -> None:
        self.store = store
        self.site = site
        self.graph = Graph(store.store_dir)
        self.home = home
        self.recorder = Recorder()

    def node(self, package: Package) -> Node:
        return package_node(self.graph, package, self.site.url_of(package))

    def realise(self, *targets: Node, jobs: int = 2, pythons: dict[str, str] | None = None) -> None:
        endpoints = Endpoints.load(
            project=self.home,
            environ={"HOME": self.home, "PATH": ""},
            registries={},
            cache=f"{self.home}/cache",
        )
        with Client(endpoints, attempts=2, backoff=0.01) as client:
            realise(
                self.store,
                self.graph,
                targets,
                client=client,
                pythons={PYTHON: sys.executable} if pythons is None else pythons,
                reporter=self.recorder,
                jobs=jobs,
            )
