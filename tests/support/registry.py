"""An npm registry and a Python index on loopback, with packages made by the test and faults on request."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.sdists import sdist


def npm_tarball(name: str, version: str, files: dict[str, str] | None = None, **manifest: Any) -> bytes:
    """A package tarball as `npm publish` would upload it."""
    contents = {"package.json": json.dumps({"name": name, "version": version, **manifest}), **(files or {})}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, text in contents.items():
            data = text.encode()
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(data)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def wheel(
    name: str, version: str, files: dict[str, str] | None = None, entry_points: str = ""
) -> tuple[str, bytes]:
    """File name and bytes of a pure wheel."""
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{info}/entry_points.txt": entry_points} if entry_points else {}),
        **(files or {}),
    }
    lines = []
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in contents.items():
            archive.writestr(zipfile.ZipInfo(path), text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(text.encode())}")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return f"{name}-{version}-py3-none-any.whl", raw.getvalue()


class Registry:
    """What is published. `faults` maps a served path to bytes sent instead (a shorter Content-Length lies)."""

    def __init__(self) -> None:
        self.npm: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[tuple[str, str], dict[str, Any]] = {}
        self.wheels: dict[str, dict[str, bytes]] = {}
        self.faults: dict[str, bytes] = {}
        self.truncated: set[str] = set()
        self.requests: list[str] = []
        self.url = ""

    def add_npm(self, name: str, version: str, files: dict[str, str] | None = None, **manifest: Any) -> str:
        """Publish; returns the SRI integrity."""
        data = npm_tarball(name, version, files, **manifest)
        self.npm.setdefault(name, {})[version] = data
        self.manifests[name, version] = manifest
        return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()

    def add_wheel(
        self, name: str, version: str, files: dict[str, str] | None = None, entry_points: str = ""
    ) -> str:
        """Publish; returns the SHA-256 in hexadecimal."""
        file_name, data = wheel(name, version, files, entry_points)
        self.wheels.setdefault(name, {})[file_name] = data
        return hashlib.sha256(data).hexdigest()

    def add_sdist(self, name: str, version: str, files: Mapping[str, str]) -> str:
        """Publish a source; returns the SHA-256 in hexadecimal."""
        data = sdist(files, f"{name}-{version}")
        self.wheels.setdefault(name, {})[f"{name}-{version}.tar.gz"] = data
        return hashlib.sha256(data).hexdigest()

    def tarball_path(self, name: str, version: str) -> str:
        return f"/npm/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"

    def respond(self, path: str) -> tuple[str, bytes] | None:
        if path in self.faults:
            return "application/octet-stream", self.faults[path]
        kind, _, rest = path.lstrip("/").partition("/")
        if kind == "npm":
            return self._npm(rest)
        if kind == "simple":
            return self._simple(rest.strip("/"))
        if kind == "files":
            name, _, file_name = rest.partition("/")
            data = self.wheels.get(name, {}).get(file_name)
            return None if data is None else ("application/octet-stream", data)
        return None

    def _npm(self, rest: str) -> tuple[str, bytes] | None:
        rest = rest.replace("%2f", "/").replace("%2F", "/")
        for name, versions in self.npm.items():
            for version, data in versions.items():
                if rest == self.tarball_path(name, version)[5:]:
                    return "application/octet-stream", data
                if rest == f"{name}/{version}":
                    return "application/json", json.dumps(self._manifest(name, version, data)).encode()
            if rest == name:
                found = {version: self._manifest(name, version, data) for version, data in versions.items()}
                said = {"name": name, "dist-tags": {"latest": list(found)[-1]}, "versions": found}
                return "application/json", json.dumps(said).encode()
        return None

    def _manifest(self, name: str, version: str, data: bytes) -> dict[str, Any]:
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
        tarball = self.url + self.tarball_path(name, version)
        said = self.manifests.get((name, version), {})
        return {
            **said,
            "name": name,
            "version": version,
            "dist": {"tarball": tarball, "integrity": integrity},
        }

    def _simple(self, name: str) -> tuple[str, bytes] | None:
        files = self.wheels.get(name)
        if files is None:
            return None
        entries = [
            {
                "filename": file_name,
                "url": f"{self.url}/files/{name}/{file_name}",
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                "size": len(data),
            }
            for file_name, data in files.items()
        ]
        body = {"meta": {"api-version": "1.1"}, "name": name, "files": entries, "versions": []}
        return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()


@contextmanager
def serve(registry: Registry) -> Iterator[Registry]:
    """Serve a registry on a free port of loopback for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            registry.requests.append(self.path)
            found = registry.respond(self.path)
            if found is None:
                self.send_error(404)
                return
            kind, data = found
            start, status = 0, 200
            asked = self.headers.get("Range", "")
            if asked.startswith("bytes=") and asked.endswith("-") and int(asked[6:-1]) < len(data):
                start, status = int(asked[6:-1]), 206
            cut = self.path in registry.truncated
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data) - start))
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            body = data[start:]
            self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_clients_at(registry: Registry, home: Path) -> None:
    """Write the npm and pip configuration of a home directory that names this registry."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".npmrc").write_text(f"registry={registry.url}/npm/\n")
    config = home / ".config/pip"
    config.mkdir(parents=True, exist_ok=True)
    (config / "pip.conf").write_text(f"[global]\nindex-url = {registry.url}/simple\n")


def npm_lock(packages: dict[str, dict[str, Any]], **root: Any) -> str:
    """A package-lock.json version 3 with these entries by place."""
    entries = {"": {"name": "project", "version": "1.0.0", **root}, **packages}
    return json.dumps(
        {"name": "project", "version": "1.0.0", "lockfileVersion": 3, "packages": entries}, indent=2
    )
