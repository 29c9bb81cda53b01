"""A web server over a directory, on loopback, that takes PUT requests and has faults on request."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class CacheServer:
    """What is served and how badly. `requests` are "METHOD path" in order.

    cut: after so many bytes of an archive the connection breaks, `cuts` times; without `ranges` none can be resumed
    statuses: what is answered instead, by path, or by method and path
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""
        self.requests: list[str] = []
        self.cut: int | None = None
        self.cuts = 0
        self.ranges = True
        self.statuses: dict[str, int] = {}
        self.login: str | None = None
        self.takes_put = True

    def asked(self, ending: str, method: str = "GET") -> int:
        """How many requests for such paths there were."""
        return sum(line.startswith(f"{method} ") and line.endswith(ending) for line in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: CacheServer

    def do_HEAD(self) -> None:
        self._get(with_body=False)

    def do_GET(self) -> None:
        self._get(with_body=True)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.served.requests.append(f"PUT {self.path}")
        status = self._forced() or (201 if self.served.takes_put else 405)
        if status == 201:
            path = self.served.directory / self.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{path.name}.{threading.get_ident()}")
            aside.write_bytes(data)
            os.rename(aside, path)
        self._answer(status, b"")

    def _forced(self) -> int | None:
        statuses = self.served.statuses
        return statuses.get(self.path) or statuses.get(f"{self.command} {self.path}")

    def _get(self, *, with_body: bool) -> None:
        served = self.served
        served.requests.append(f"{self.command} {self.path}")
        path = served.directory / self.path.lstrip("/")
        if served.login is not None and self.headers.get("Authorization") != served.login:
            self._answer(401, b"who are you?")
        elif (status := self._forced()) is not None:
            self._answer(status, b"as you wish")
        elif not path.is_file():
            self._answer(404, b"nothing here")
        else:
            self._file(path.read_bytes(), with_body)

    def _file(self, data: bytes, with_body: bool) -> None:
        served, start = self.served, 0
        asked = self.headers.get("Range", "")
        if served.ranges and asked:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start > len(data):
            self._answer(416, b"")
            return
        cut = served.cut if served.cuts > 0 and self.path.startswith("/nar/") else None
        self.send_response(206 if served.ranges and asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if served.ranges and asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            self.wfile.write(data[start:] if cut is None else data[start : start + cut])
        if cut is not None:
            served.cuts -= 1
            self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_directory(directory: Path) -> Iterator[CacheServer]:
    """A server of `directory` for the length of the block."""
    served = CacheServer(directory)
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
