"""A registry of crates on loopback that wants a token, by a sparse index and by one that is a git repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.sdists import sdist


def _folder(name: str) -> str:
    """Where an index has a crate. Source: the Cargo Book, "Registry Index", "Index files"."""
    name = name.lower()
    if len(name) <= 3:
        return f"{len(name)}/{name[0]}" if len(name) == 3 else str(len(name))
    return f"{name[:2]}/{name[2:4]}"


class CrateRegistry:
    """What is published, and what was asked for. Without `token` anybody may read.

    deps: rows as an index has them, with "name" and "req" at least
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.url = ""
        self.crates: dict[tuple[str, str], bytes] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []

    def add(
        self,
        name: str,
        version: str,
        files: Mapping[str, str],
        *deps: dict[str, Any],
        more: str = "",
        **row: Any,
    ) -> None:
        """Publish a crate; `more` goes to its Cargo.toml after [package]."""
        manifest = f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n{more}\n'
        data = sdist({"Cargo.toml": manifest, "src/lib.rs": "", **files}, f"{name}-{version}")
        self.crates[name, version] = data
        whole = {
            "features": [],
            "optional": False,
            "default_features": True,
            "target": None,
            "kind": "normal",
        }
        self.rows.setdefault(name, []).append(
            {
                "name": name,
                "vers": version,
                "deps": [whole | dep for dep in deps],
                "cksum": hashlib.sha256(data).hexdigest(),
                "features": {},
                "yanked": False,
                **row,
            }
        )

    def files(self) -> dict[str, str]:
        """The index."""
        config: dict[str, Any] = {"dl": f"{self.url}/files", "api": self.url}
        if self.token is not None:
            config["auth-required"] = True
        rows = {
            f"{_folder(name)}/{name}": "".join(json.dumps(row) + "\n" for row in rows)
            for name, rows in self.rows.items()
        }
        return {"config.json": json.dumps(config), **rows}

    def write_repository(self, directory: Path) -> str:
        """The index as a git repository; its URL."""
        for name, text in self.files().items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        identity = ("-c", "user.name=t", "-c", "user.email=t@t.test")
        for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "index")):
            subprocess.run(["git", *words], cwd=directory, check=True)
        return directory.as_uri()

    def answer(self, path: str, token: str | None) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.token is not None and token != self.token:
            return 401, b"who are you?"
        if path.startswith("/index/"):
            found = self.files().get(path.removeprefix("/index/"))
            return (404, b"") if found is None else (200, found.encode())
        parts = path.split("/")
        crate = self.crates.get((parts[2], parts[3])) if path.startswith("/files/") else None
        return (404, b"") if crate is None else (200, crate)


@contextmanager
def serve_crates(registry: CrateRegistry) -> Iterator[CrateRegistry]:
    """Answer for the registry, whose `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = registry.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", f'Cargo login_url="{registry.url}/me"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
