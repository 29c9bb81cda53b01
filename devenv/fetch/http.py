"""HTTP for many threads: few reused connections, the user's proxies and certificates, retries.

Only hosts that the settings name are told a login (`Endpoints.credentials`), anew on every redirect.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, Self

import urllib3
from urllib3.exceptions import EmptyPoolError, HTTPError, LocationValueError
from urllib3.response import BaseHTTPResponse

from devenv.fetch.cache import Cached, MetadataCache
from devenv.fetch.connections import Connections
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import CancelledError, FetchError, TransientError
from devenv.fetch.responses import (
    Stream,
    check_status,
    content_range,
    content_type_of,
    discard,
    length_of,
    raise_status,
    redirected,
    translated,
    whole_body,
)
from devenv.fetch.urls import shown, split, without_userinfo

_REDIRECTS = 10
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_STORED_STATUSES = frozenset({200, 201, 204})
_LONGEST_DELAY = 60.0
_MOST_ATTEMPTS = 50  # whatever progress each of them makes
_USER_AGENT = "devenv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole response. `url` is where redirects ended, without credentials."""

    url: str
    content_type: str
    body: bytes


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
        self._cache = MetadataCache(os.path.join(cache or endpoints.cache, "http"))
        self._attempts, self._backoff = attempts, backoff
        self.silent: set[str] = set()
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._connections = Connections(
            endpoints, endpoints.environ if environ is None else environ, self.cancelled
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections."""
        self._connections.close()

    def cancel(self) -> None:
        """Stops all requests, those of other threads too: their sockets are shut down."""
        self.cancelled.set()
        self._connections.shut_down()

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
                        discard(response)
                        return None
                    check_status(response, final)
                    return whole_body(response, final, limit)
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
                raise_status(response, url, "upload to")
            discard(response)

    def _get_once(self, url: str, accept: str) -> Answer:
        known = self._cache.load(url, accept)
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if known:
            headers |= known.validators
        with self._response(url, headers) as (response, final):
            if response.status == HTTPStatus.NOT_MODIFIED and known:
                discard(response)
                return Answer(url=known.url, content_type=known.content_type, body=known.body)
            check_status(response, final)
            body = whole_body(response, final)
            answer = Answer(url=shown(final), content_type=content_type_of(response), body=body)
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
            check_status(response, final)
            begin, total = 0, length_of(response)
            if response.status == HTTPStatus.PARTIAL_CONTENT:
                begin, total = content_range(response, final)
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
            discard(response)
            url = redirected(url, target)
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
        pool = self._connections.pool(url)
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
                raise translated(error, url) from error

    def _check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CancelledError("Fetching was stopped.")
