"""A store as a binary cache on the web: nix-cache-info, narinfos made when they are asked for, archives as they are read.

Only valid objects are served, and nothing but them. Collectors are kept out while an archive is sent, not longer.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

from devenv.errors import DevenvError
from devenv.formats.content_address import ContentAddress
from devenv.formats.narinfo import CACHE_INFO, CacheInfo, NarInfo
from devenv.formats.nix32 import ALPHABET
from devenv.formats.signing import SecretKey
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.binary_cache import PRIORITY, signed
from devenv.store.database import Database, PathInfo
from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.locks import lock, open_lock_file
from devenv.store.tree import dump

_INFO = re.compile(f"/([{ALPHABET}]{{32}})\\.narinfo")
_NAR = re.compile(f"/nar/([{ALPHABET}]{{32}})-([{ALPHABET}]{{52}})\\.nar")
_IDLE = 60.0  # seconds until a connection on which nothing happens is closed


class Server:
    """Serves the store of `layout` at `address`, (host, port); port 0 is any free one. `serve` runs until `close`."""

    def __init__(
        self,
        layout: Layout,
        address: tuple[str, int],
        *,
        keys: Sequence[SecretKey] = (),
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Raises `StoreError` where there is no store, or the address cannot be used."""
        self._layout, self._keys = layout, tuple(keys)
        with explaining("opening the store", layout.store):
            os.stat(layout.database)  # a server makes no store
        with closing(Database(layout.database)):
            pass

        class Handler(_Handler):
            source = self
            logged = staticmethod(log)

        class Listening(ThreadingHTTPServer):
            address_family = AF_INET6 if ":" in address[0] else ThreadingHTTPServer.address_family
            daemon_threads = True
            request_queue_size = 128

        with explaining(f"listening on {address[0]} port {address[1]}", layout.store):
            self._server = Listening(address, Handler)
        host, port = self._server.server_address[:2]
        host = host.decode() if isinstance(host, bytes | bytearray) else str(host)
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer until `close` is called."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def close(self) -> None:
        """End `serve`; may be called from anywhere, a signal handler too."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    def cache_info(self) -> str:
        return CacheInfo(store_dir=self._layout.store, want_mass_query=True, priority=PRIORITY).to_text()

    def find(self, digest: str) -> PathInfo | None:
        """The valid path with this digest."""
        with closing(Database(self._layout.database)) as database:
            path = database.path_with_digest(f"{self._layout.store}/{digest}")
            found = database.info(path) if path is not None else None
        return found if found is not None and os.path.lexists(found.path) else None

    def describe(self, info: PathInfo) -> str:
        """Its narinfo."""
        claim = info.content_address
        found = NarInfo(
            path=info.path,
            url=f"nar/{digest_of(info.path)}-{info.nar_hash.nix32}.nar",
            compression="none",
            file_hash=info.nar_hash,
            file_size=info.nar_size,
            nar_hash=info.nar_hash,
            nar_size=info.nar_size,
            references=info.references,
            deriver=info.deriver,
            signatures=info.signatures,
            content_address=ContentAddress.parse(claim) if claim else None,
        )
        return signed(found, self._keys).to_text()

    @contextmanager
    def archive(self, path: StorePath) -> Iterator[Iterator[bytes]]:
        """The NAR of a path that no collector takes away meanwhile."""
        descriptor = open_lock_file(self._layout.gc_lock)
        try:
            lock(descriptor, exclusive=False)
            yield dump(path)
        finally:
            os.close(descriptor)


class _Handler(BaseHTTPRequestHandler):
    source: Server
    logged: Callable[[str], None]

    protocol_version = "HTTP/1.1"
    server_version = "devenv"
    sys_version = ""
    timeout = _IDLE
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            self._route(self.path.partition("?")[0])
        except DevenvError as error:
            self.logged(str(error))
            self.close_connection = True
            if not self._began:
                self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    _began = False

    def _route(self, path: str) -> None:
        self._began = False
        if path == f"/{CACHE_INFO}":
            self._send(self.source.cache_info().encode(), "text/x-nix-cache-info")
            return
        named = _INFO.fullmatch(path) or _NAR.fullmatch(path)
        info = self.source.find(named[1]) if named else None
        if named is None or info is None:
            self._send(b"404 there is no such object\n", "text/plain", HTTPStatus.NOT_FOUND)
        elif named.re is _INFO:
            self._send(self.source.describe(info).encode(), "text/x-nix-narinfo")
        elif named[2] != info.nar_hash.nix32:
            self._send(b"404 it is another archive by now\n", "text/plain", HTTPStatus.NOT_FOUND)
        else:
            self._send_archive(info)

    def _head(self, status: HTTPStatus, kind: str, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self._began = True

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(status, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_archive(self, info: PathInfo) -> None:
        with self.source.archive(info.path) as chunks:
            self._head(HTTPStatus.OK, "application/x-nix-nar", info.nar_size)
            if self.command == "HEAD":
                return
            left = info.nar_size
            for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    break
                self.wfile.write(chunk)
        if left:
            # The receiver sees that as broken off, or as another hash: never as whole.
            self.logged(f"{info.path} is not what was registered: its archive has another size")
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        self.logged(f"{self.address_string()} {format % args}")
