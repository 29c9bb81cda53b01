"""HTTP for many threads: few reused connections, the user's proxies and certificates, retries.

Only hosts that the settings name are told a login (`Endpoints.credentials`), anew on every redirect.
"""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, NoReturn, Self
from weakref import WeakSet

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    EmptyPoolError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from devenv.fetch.cache import Cached, MetadataCache
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import (
    CancelledError,
    EndpointError,
    FetchError,
    StatusError,
    TransientError,
)
from devenv.fetch.urls import joined, origin, parsed, shown, split, without_userinfo

CONNECTIONS = 16
CHUNK = 1 << 16
_REDIRECTS = 10
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_METADATA_LIMIT = 512 << 20  # bytes; no index page or packument comes near
_STORED_STATUSES = frozenset({200, 201, 204})
_LONGEST_DELAY = 60.0
_MOST_ATTEMPTS = 50  # whatever progress each of them makes
_SHORT_BODY = 1 << 16
_USER_AGENT = "devenv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response. `url` is where redirects ended, without credentials."""

    url: str
    content_type: str
    body: bytes


class Stream:
    """A response whose body is still on the wire, exactly as the server sends it.

    `offset`: where in the file the body begins. `total`: bytes of the whole file, None if not said.
    """

    def __init__(self, response: BaseHTTPResponse, url: str, *, offset: int, total: int | None) -> None:
        self._response, self.url, self.offset, self.total = response, url, offset, total

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of at most 64 KiB. Raises `TransientError` when the connection breaks."""
        try:
            yield from self._response.stream(CHUNK, decode_content=False)
        except (HTTPError, OSError) as error:
            raise _translated(error, self.url) from error


class Retries:
    """Counts failed attempts on one thing, and waits between them."""

    def __init__(self, attempts: int, backoff: float, cancelled: threading.Event) -> None:
        self._attempts, self._backoff, self._cancelled = attempts, backoff, cancelled
        self._failed = self._total = 0

    def failed(self, error: TransientError, *, progressed: bool = False) -> None:
        """Waits before the next attempt, or raises `error` after the last. Progress starts the count anew."""
        self._failed = 1 if progressed else self._failed + 1
        self._total += 1
        if self._failed >= self._attempts or self._total >= _MOST_ATTEMPTS:
            raise error
        delay = self._backoff * 2 ** (self._failed - 1) * random.uniform(0.5, 1.5)  # noqa: S311
        if self._cancelled.wait(min(max(delay, error.delay or 0.0), _LONGEST_DELAY)):
            raise CancelledError("Fetching was stopped.") from error


class Client:
    """Makes requests, from any number of threads. Close it, or use it as a context manager.

    `cache`: directory for index answers, revalidated at each use; None is the endpoints' own.
    `environ`: where the proxies are named; None is the endpoints' own.
    `offline`: every request raises `FetchError`.
    `cancelled`: once set, waiting and transferring threads stop with `CancelledError`.
    `attempts`, `backoff` (seconds): how often and how patiently failures that may pass are retried.
    `silent`: servers ("host:port") that did not answer, so that others are asked first where there is a choice.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        cache: str | None = None,
        environ: Mapping[str, str] | None = None,
        offline: bool = False,
        cancelled: threading.Event | None = None,
        attempts: int = 5,
        backoff: float = 0.5,
        connect_timeout: float = 15.0,
        read_timeout: float = 60.0,
    ) -> None:
        self.endpoints, self.offline = endpoints, offline
        self.cancelled = cancelled or threading.Event()
        self._environ = endpoints.environ if environ is None else environ
        self._cache = MetadataCache(os.path.join(cache or endpoints.cache, "http"))
        self._attempts, self._backoff = attempts, backoff
        self.silent: set[str] = set()
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._lock = threading.Lock()
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections."""
        self._closed.set()
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.clear()

    def cancel(self) -> None:
        """Stops all requests, those of other threads too: their sockets are shut down."""
        self.cancelled.set()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            # Not SSLSocket's own shutdown: it drops the TLS state under the thread that is reading.
            with suppress(OSError, TypeError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def retries(self, *, patient: bool = True) -> Retries:
        """A fresh count of attempts; of a single one without patience."""
        return Retries(self._attempts if patient else 1, self._backoff, self.cancelled)

    def get(self, url: str, *, accept: str = "*/*", patient: bool = True) -> Answer:
        """A small file as a whole, content encoding undone. Raises `StatusError` and other `FetchError`s."""
        retries = self.retries(patient=patient)
        while True:
            try:
                return self._get_once(url, accept)
            except TransientError as error:
                retries.failed(error)

    def get_json(self, url: str, *, accept: str = "application/json") -> Any:
        """The JSON value at a URL. Raises `FetchError` if it is none."""
        answer = self.get(url, accept=accept)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise FetchError(
                f"Cannot read the answer of {answer.url}: it is not JSON ({answer.content_type or 'no type'}).",
                url=answer.url,
            ) from error

    def read(self, url: str, *, limit: int, missing: Collection[int] = (404, 410)) -> bytes | None:
        """A file of at most `limit` bytes as it is now, None where the server answers one of `missing`."""
        retries = self.retries()
        while True:
            try:
                with self._response(url, {"Accept": "*/*", "Accept-Encoding": "gzip"}) as (response, final):
                    if response.status in missing:
                        _discard(response)
                        return None
                    _check_status(response, final)
                    return _whole_body(response, final, limit)
            except TransientError as error:
                retries.failed(error)

    def put(self, url: str, body: bytes | str, *, content_type: str) -> None:
        """Upload bytes, or the file at a path. The server must take PUT requests for this URL."""
        retries = self.retries()
        while True:
            try:
                self._put_once(url, body, content_type)
                return
            except TransientError as error:
                retries.failed(error)

    def _put_once(self, url: str, body: bytes | str, content_type: str) -> None:
        login = self.endpoints.credentials(url)
        headers = {"User-Agent": _USER_AGENT, "Content-Type": content_type, **login}
        with ExitStack() as held:
            data: bytes | BinaryIO = body if isinstance(body, bytes) else held.enter_context(open(body, "rb"))
            size = len(body) if isinstance(body, bytes) else os.path.getsize(body)
            response = self._send(url, {**headers, "Content-Length": str(size)}, method="PUT", body=data)
            held.callback(response.close)
            if response.status not in _STORED_STATUSES:
                _raise_status(response, url, "upload to")
            _discard(response)

    def _get_once(self, url: str, accept: str) -> Answer:
        known = self._cache.load(url, accept)
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if known:
            headers |= known.validators
        with self._response(url, headers) as (response, final):
            if response.status == HTTPStatus.NOT_MODIFIED and known:
                _discard(response)
                return Answer(url=known.url, content_type=known.content_type, body=known.body)
            _check_status(response, final)
            body = _whole_body(response, final)
            answer = Answer(url=shown(final), content_type=_content_type(response), body=body)
            self._remember(url, accept, response.headers, answer)
            return answer

    def _remember(self, url: str, accept: str, headers: Mapping[str, str], answer: Answer) -> None:
        fields = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
        validators = {name: headers[source] for name, source in fields if headers.get(source)}
        if validators:
            kept = Cached(
                url=answer.url, content_type=answer.content_type, validators=validators, body=answer.body
            )
            self._cache.store(url, accept, kept)

    @contextmanager
    def stream(self, url: str, *, offset: int = 0) -> Iterator[Stream]:
        """The file from byte `offset` on, or from its beginning where the server cannot do ranges.

        One attempt only. Raises `TransientError` where another may help, `StatusError` 416 where the
        file has no byte `offset`, and other `FetchError`s.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        with self._response(url, headers) as (response, final):
            _check_status(response, final)
            begin, total = 0, _length(response)
            if response.status == HTTPStatus.PARTIAL_CONTENT:
                begin, total = _content_range(response, final)
            yield Stream(response, shown(final), offset=begin, total=total)

    @contextmanager
    def _response(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[BaseHTTPResponse, str]]:
        """The response where redirects end, and its URL.

        A body that is read to its end leaves a connection that can be used again, any other closes it.
        """
        response, final = self._follow(url, headers)
        try:
            yield response, final
        except FetchError:
            self._check_cancelled()
            raise
        finally:
            response.close()

    def _follow(self, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str]:
        for _ in range(_REDIRECTS + 1):
            login = self.endpoints.credentials(url)
            response = self._send(url, {"User-Agent": _USER_AGENT, **headers, **login})
            target = response.headers.get("Location")
            if response.status not in _REDIRECT_STATUSES or not target:
                return response, url
            _discard(response)
            url = _redirected(url, target)
        raise FetchError(f"Cannot fetch {shown(url)}: more than {_REDIRECTS} redirects.", url=shown(url))

    def _send(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        method: str = "GET",
        body: bytes | BinaryIO | None = None,
    ) -> BaseHTTPResponse:
        url = without_userinfo(url)[0]
        if self.offline:
            raise FetchError(
                f"Cannot ask {shown(url)}: devenv works offline.",
                hint="Run the command once without --offline.",
                url=shown(url),
            )
        if split(url).scheme == "file":
            raise FetchError(f"Cannot make a request to {shown(url)}: it is a local file.", url=shown(url))
        pool = self._pool(url)
        while True:
            self._check_cancelled()
            try:
                return pool.urlopen(
                    method,
                    url,
                    body=body,
                    headers=dict(headers),
                    preload_content=False,
                    redirect=False,
                    retries=False,
                    timeout=self._timeout,
                    pool_timeout=0.5,
                )
            except EmptyPoolError:
                continue  # all connections to this host are busy
            except (HTTPError, LocationValueError, OSError, ValueError) as error:
                self._check_cancelled()
                raise _translated(error, url) from error

    def _check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError("Fetching was stopped.")

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_for(url, self._environ)
        verifies = self.endpoints.verifies(url)
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
            if self.cancelled.is_set():
                self.cancel()

    def _context(self, verifies: bool) -> ssl.SSLContext:
        if verifies not in self._contexts:
            self._contexts[verifies] = _new_context(self.endpoints, verifies)
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


def _redirected(url: str, target: str) -> str:
    """Where a redirect leads. Raises `FetchError` where it must not be followed."""
    target = joined(without_userinfo(url)[0], target)
    parts = split(target)
    if parts.scheme not in {"http", "https"}:
        raise FetchError(
            f"Cannot fetch {shown(url)}: it redirects to {shown(target)}, which is no web address.",
            url=shown(url),
        )
    # A login inside a redirect is the server's word, not the user's.
    target = without_userinfo(target)[0]
    if origin(url)[0] == "https" and parts.scheme == "http":
        raise FetchError(
            f"Cannot fetch {shown(url)}: it redirects to the unencrypted {shown(target)}.", url=shown(url)
        )
    return target


def _check_status(response: BaseHTTPResponse, url: str) -> None:
    if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        _raise_status(response, url, "fetch")


def _raise_status(response: BaseHTTPResponse, url: str, doing: str) -> NoReturn:
    status = response.status
    _discard(response)
    found = f"{status} {response.reason or HTTPStatus(status).phrase if status in _KNOWN else ''}".strip()
    message = f"Cannot {doing} {shown(url)}: the server answered {found}."
    if status in _RETRIED_STATUSES:
        raise TransientError(message, url=shown(url), delay=_retry_after(response))
    hint = None
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        hint = (
            "Put a login for this host into .npmrc, pip.conf or ~/.netrc, or check the one there. One that the "
            "project's own .npmrc takes from a variable waits for `devenv allow`."
        )
    raise StatusError(message, status=status, url=shown(url), hint=hint)


_KNOWN = frozenset(int(status) for status in HTTPStatus)


def _discard(response: BaseHTTPResponse) -> None:
    """Reads a short body away, so that the connection can be used again."""
    length = _length(response)
    if length is not None and length <= _SHORT_BODY:
        response.drain_conn()
    else:
        response.close()


def _retry_after(response: BaseHTTPResponse) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _length(response: BaseHTTPResponse) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def _content_range(response: BaseHTTPResponse, url: str) -> tuple[int, int | None]:
    """(first byte, bytes of the whole file) of a 206 response, RFC 9110 section 14.4."""
    value = response.headers.get("Content-Range", "")
    unit, _, rest = value.partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit.lower() != "bytes" or not (first.isascii() and first.isdigit() and len(first) < 20):
        raise FetchError(
            f"Cannot fetch {shown(url)}: its Content-Range {value!r} means nothing.", url=shown(url)
        )
    is_known = total.isascii() and total.isdigit() and len(total) < 20
    return int(first), int(total) if is_known else None


def _content_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _whole_body(response: BaseHTTPResponse, url: str, limit: int = _METADATA_LIMIT) -> bytes:
    parts, size = [], 0
    try:
        for chunk in response.stream(CHUNK, decode_content=True):
            size += len(chunk)
            if size > limit:
                raise FetchError(
                    f"Cannot read {shown(url)}: it is larger than {limit >> 20} MiB.", url=shown(url)
                )
            parts.append(chunk)
    except (HTTPError, OSError) as error:
        raise _translated(error, url) from error
    return b"".join(parts)


def _translated(error: Exception, url: str) -> FetchError:
    """urllib3's and the system's errors as ours; those that may pass as `TransientError`."""
    where = shown(url)
    if isinstance(error, SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return FetchError(
            f"Cannot fetch {where}: the connection is not trusted: {error}.",
            hint="A certificate authority of your own can be named in SSL_CERT_FILE, PIP_CERT or npm's cafile.",
            url=where,
        )
    causes = (
        (ProxyError, "the proxy cannot be reached"),
        (NameResolutionError, "the host name is not known"),
        (NewConnectionError, "no connection could be made"),
        (ConnectTimeoutError, "the server did not accept a connection in time"),
        (ReadTimeoutError, "the server stopped sending"),
        (ProtocolError, "the connection broke"),
    )
    for kind, text in causes:
        if isinstance(error, kind):
            return TransientError(f"Cannot fetch {where}: {text}.", url=where)
    if isinstance(error, OSError):
        return TransientError(f"Cannot fetch {where}: {error.strerror or error}.", url=where)
    return FetchError(f"Cannot fetch {where}: {error}", url=where)
