"""Few connections for many threads: pools by proxy and by trust, whose sockets can all be shut down at once."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError
from devenv.fetch.urls import parsed, shown, without_userinfo

CONNECTIONS = 16


class Connections:
    """Pools of connections, made when first used. `environ` names the proxies.

    `cancelled`: once set, all sockets are shut down, and every thread that waits for data gets an error.
    """

    def __init__(self, endpoints: Endpoints, environ: Mapping[str, str], cancelled: threading.Event) -> None:
        self._endpoints, self._environ, self._cancelled = endpoints, environ, cancelled
        self._lock = threading.Lock()
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Closes idle connections."""
        self._closed.set()
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.clear()

    def shut_down(self) -> None:
        """Ends all transfers, those of other threads too."""
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            # Not SSLSocket's own shutdown: it drops the TLS state under the thread that is reading.
            with suppress(OSError, TypeError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def pool(self, url: str) -> urllib3.PoolManager:
        """The pool for a URL. Raises EndpointError for a proxy or certificates that cannot be used."""
        proxy = proxy_for(url, self._environ)
        verifies = self._endpoints.verifies(url)
        with self._lock:
            found = self._pools.get((proxy, verifies))
            if found is None:
                found = self._pools[proxy, verifies] = _new_pool(proxy, self._context(verifies))
                found.pool_classes_by_scheme = _pool_classes(self._opened)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="devenv-cancel", daemon=True)
                self._watcher.start()
            return found

    def _opened(self, connection: HTTPConnection) -> None:
        with self._lock:
            if isinstance(connection.sock, socket.socket):
                self._sockets.add(connection.sock)

    def _watch(self) -> None:
        """Shuts sockets down as soon as the event is set: a thread that waits for data sees only that."""
        while not self._closed.wait(0.1):
            if self._cancelled.is_set():
                self.shut_down()

    def _context(self, verifies: bool) -> ssl.SSLContext:
        if verifies not in self._contexts:
            self._contexts[verifies] = _new_context(self._endpoints, verifies)
        return self._contexts[verifies]


def _pool_classes(opened: Callable[[HTTPConnection], None]) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, by URL scheme, that tell `opened` about each connection."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened(self)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _new_pool(proxy: str | None, context: ssl.SSLContext) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(num_pools=32, maxsize=CONNECTIONS, block=True, ssl_context=context)
    address, user, password = without_userinfo(proxy)
    if parsed(address).scheme not in {"http", "https"}:
        raise EndpointError(
            f"Cannot use the proxy {shown(address)}: only http and https proxies can be used."
        )
    headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user is not None else None
    return urllib3.ProxyManager(
        address,
        num_pools=32,
        maxsize=CONNECTIONS,
        block=True,
        ssl_context=context,
        proxy_ssl_context=context,
        proxy_headers=headers,
    )


def _new_context(endpoints: Endpoints, verifies: bool) -> ssl.SSLContext:
    """The system's certificates and those that the settings add."""
    context = ssl.create_default_context()
    for setting, path in endpoints.ca_files():
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise EndpointError(
                f"Cannot read the certificates in {path}, named by {setting}: {error}."
            ) from error
    try:
        if endpoints.ca_data():
            context.load_verify_locations(cadata=endpoints.ca_data())
    except (ssl.SSLError, ValueError) as error:
        raise EndpointError(f"Cannot read the certificates of npm's `ca` setting: {error}.") from error
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that *_proxy variables name for a URL; lower case counts before upper case."""
    parts = parsed(url)

    def setting(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    if _is_exempt(parts.hostname or "", parts.netloc.rpartition("@")[2], setting("no_proxy")):
        return None
    found = setting(f"{parts.scheme}_proxy") or setting("all_proxy")
    return (found if "://" in found else f"http://{found}") if found else None


def _is_exempt(host: str, host_and_port: str, no_proxy: str) -> bool:
    """Whether a list such as "localhost, .corp.test, cache.test:8080, *" has the host or its domain."""
    for entry in (each.strip().lower().lstrip(".") for each in no_proxy.split(",")):
        if entry == "*" or entry in {host, host_and_port}:
            return True
        if entry and (host.endswith("." + entry) or host_and_port.endswith("." + entry)):
            return True
    return False
