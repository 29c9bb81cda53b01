"""A web server that misbehaves as told, and settings that lead to it."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from devenv.fetch.endpoints import Endpoints


@dataclass
class Seen:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    connection: tuple[str, int]


@dataclass
class Answering:
    """How one path is answered. `tricks` are used up one a request, the last one stays."""

    body: bytes = b""
    content_type: str = "application/octet-stream"
    tricks: list[str] = field(default_factory=lambda: ["plain"])
    headers: Mapping[str, str] = field(default_factory=dict)


class Server:
    """Paths and their answers. `seen` holds what was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Answering] = {}
        self.seen: list[Seen] = []
        self.url = ""
        self.released = threading.Event()

    def page(self, path: str, body: bytes | str, *tricks: str, **options: object) -> str:
        """Serves `body` at `path`; gives the URL."""
        data = body.encode() if isinstance(body, str) else body
        headers = {name.replace("_", "-"): str(value) for name, value in options.items()}
        content_type = headers.pop("content-type", "application/octet-stream")
        self.pages[path] = Answering(data, content_type, list(tricks) or ["plain"], headers)
        return self.url + path

    def asked(self, path: str) -> list[Seen]:
        return [each for each in self.seen if each.path == path]


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            server.seen.append(
                Seen(
                    self.path,
                    {name.title(): value for name, value in self.headers.items()},
                    self.client_address,
                )
            )
            page = server.pages.get(self.path)
            if page is None:
                return self.reply(404, b"no such page")
            trick = page.tricks.pop(0) if len(page.tricks) > 1 else page.tricks[0]
            name, _, argument = trick.partition(":")
            getattr(self, f"answer_{name}")(page, argument)

        def reply(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
            self.head(status, len(body) if length is None else length, headers)
            self.wfile.write(body)

        def head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def full(self, page: Answering) -> None:
            self.head(200, len(page.body), {"Content-Type": page.content_type, **page.headers})
            self.wfile.write(page.body)

        def answer_plain(self, page: Answering, _: str) -> None:
            """Ranges are understood."""
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if not wanted:
                return self.full(page)
            begin, size = int(wanted[1]), len(page.body)
            if begin >= size:
                return self.reply(416, b"", Content_Range=f"bytes */{size}")
            self.reply(206, page.body[begin:], Content_Range=f"bytes {begin}-{size - 1}/{size}")

        def answer_norange(self, page: Answering, _: str) -> None:
            self.full(page)

        def answer_status(self, page: Answering, status: str) -> None:
            self.head(int(status), len(b"as told"), page.headers)
            self.wfile.write(b"as told")

        def answer_truncated(self, page: Answering, sent: str) -> None:
            """Says it all, sends `sent` bytes, hangs up."""
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            begin, size = int(wanted[1]) if wanted else 0, len(page.body)
            body = page.body[begin : begin + int(sent)]
            ranges = {"Content_Range": f"bytes {begin}-{size - 1}/{size}"} if wanted else {}
            self.reply(206 if wanted else 200, body, length=size - begin, **ranges)
            self.close_connection = True

        def answer_endless(self, page: Answering, _: str) -> None:
            """No length, closed at the end."""
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(page.body)
            self.close_connection = True

        def answer_wrongrange(self, page: Answering, _: str) -> None:
            size = len(page.body)
            self.reply(206, page.body[1:], Content_Range=f"bytes 1-{size - 1}/{size}")

        def answer_reset(self, page: Answering, _: str) -> None:
            self.close_connection = True
            self.connection.close()

        def answer_redirect(self, page: Answering, target: str) -> None:
            self.reply(302, b"over there", Location=target)

        def answer_gzip(self, page: Answering, _: str) -> None:
            self.reply(
                200,
                gzip.compress(page.body, mtime=0),
                Content_Type=page.content_type,
                Content_Encoding="gzip",
            )

        def answer_etag(self, page: Answering, tag: str) -> None:
            if self.headers.get("If-None-Match") == tag:
                return self.reply(304, b"", ETag=tag)
            self.reply(200, page.body, Content_Type=page.content_type, ETag=tag)

        def answer_stuck(self, page: Answering, sent: str) -> None:
            """Sends `sent` bytes (none: not even the head), then nothing until released."""
            if sent:
                self.reply(200, page.body[: int(sent)], length=len(page.body))
                self.wfile.flush()
            server.released.wait(20)
            self.close_connection = True

        def answer_slow(self, page: Answering, pause: str) -> None:
            time.sleep(float(pause))
            self.full(page)

    return Handler


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of this machine."""
    server = Server()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client hung up, as some tests want

    web = Quiet(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        web.shutdown()
        web.server_close()
        thread.join()


MakeEndpoints = Callable[..., Endpoints]


def make_endpoints(tmp_path: Path, **settings: object) -> Endpoints:
    """Endpoints of a home and a project that hold only what is given.

    Settings: `npmrc`, `user_npmrc`, `pip_conf`, `netrc` (texts of files), `environ`, `registries`.
    """
    home, project, etc = tmp_path / "home", tmp_path / "project", tmp_path / "etc"
    for directory in (home / ".config/pip", project, etc, tmp_path / "bin"):
        directory.mkdir(parents=True, exist_ok=True)
    (project / "package.json").write_text("{}")
    for name, path in (
        ("npmrc", project / ".npmrc"),
        ("user_npmrc", home / ".npmrc"),
        ("pip_conf", home / ".config/pip/pip.conf"),
        ("netrc", home / ".netrc"),
    ):
        if name in settings:
            path.write_text(str(settings[name]))
    environ = {"HOME": str(home), "PATH": str(tmp_path / "bin"), "XDG_CONFIG_DIRS": str(etc / "xdg")}
    given, registries = settings.get("environ", {}), settings.get("registries", {})
    assert isinstance(given, dict) and isinstance(registries, dict)
    return Endpoints.load(
        project=str(project),
        environ=environ | given,
        registries=registries,
        cache=str(tmp_path / "cache"),
        etc=str(etc),
    )


def install_npm(tmp_path: Path, default: str, *, style: str = "definition") -> Path:
    """A fake npm client whose own default registry is `default`; gives its package's directory."""
    root = tmp_path / "lib/node_modules/npm"
    sources = {
        "definition": (
            "node_modules/@npmcli/config/lib/definitions/definitions.js",
            f"  registry: new Definition('registry', {{\n    default: '{default}',\n  }}),\n",
        ),
        "define": (
            "lib/utils/config/definitions.js",
            f"define('registry', {{\n  default: '{default}',\n  type: url,\n}})\n",
        ),
        "defaults": ("lib/config/defaults.js", f"    registry: '{default}',\n    rollback: true,\n"),
    }
    path, text = sources[style]
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    (root / "package.json").write_text('{"name": "npm"}')
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/npm-cli.js").write_text("#!/bin/sh\nexit 1\n")
    (root / "bin/npm-cli.js").chmod(0o755)
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin/npm").symlink_to(root / "bin/npm-cli.js")
    return root
