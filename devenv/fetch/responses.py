"""What responses say: statuses, ranges, redirects, bodies; and what went wrong with them, as our errors.

RFC 9110 for all but the errors, which are urllib3's and the system's.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import NoReturn

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from devenv.fetch.errors import FetchError, StatusError, TransientError
from devenv.fetch.urls import joined, origin, shown, split, without_userinfo

CHUNK = 1 << 16
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_METADATA_LIMIT = 512 << 20  # bytes; no index page or packument comes near
_SHORT_BODY = 1 << 16
_KNOWN = frozenset(int(status) for status in HTTPStatus)


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
            raise translated(error, self.url) from error


def redirected(url: str, target: str) -> str:
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


def check_status(response: BaseHTTPResponse, url: str) -> None:
    """Raises `StatusError` or `TransientError` unless there is a body to read."""
    if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise_status(response, url, "fetch")


def raise_status(response: BaseHTTPResponse, url: str, doing: str) -> NoReturn:
    """Raises `StatusError`, or `TransientError` where the status may pass; `doing` as in "upload to"."""
    status = response.status
    discard(response)
    found = f"{status} {response.reason or HTTPStatus(status).phrase if status in _KNOWN else ''}".strip()
    message = f"Cannot {doing} {shown(url)}: the server answered {found}."
    if status in _RETRIED_STATUSES:
        raise TransientError(message, url=shown(url), delay=_retry_after(response))
    hint = None
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        hint = (
            "Put a login for this host into .npmrc, pip.conf or ~/.netrc, for a registry of crates its token into "
            "CARGO_REGISTRIES_NAME_TOKEN or cargo's credentials.toml, or check the one there. One that the project's own "
            ".npmrc takes from a variable waits for `devenv allow`."
        )
    raise StatusError(message, status=status, url=shown(url), hint=hint)


def discard(response: BaseHTTPResponse) -> None:
    """Reads a short body away, so that the connection can be used again."""
    length = length_of(response)
    if length is not None and length <= _SHORT_BODY:
        response.drain_conn()
    else:
        response.close()


def _retry_after(response: BaseHTTPResponse) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def length_of(response: BaseHTTPResponse) -> int | None:
    """The bytes of the body as they are sent, None if not said."""
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def content_range(response: BaseHTTPResponse, url: str) -> tuple[int, int | None]:
    """(first byte, bytes of the whole file) of a 206 response, RFC 9110 section 14.4. Raises `FetchError`."""
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


def content_type_of(response: BaseHTTPResponse) -> str:
    """The media type without its parameters, in lower case, "" if not said."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def whole_body(response: BaseHTTPResponse, url: str, limit: int = _METADATA_LIMIT) -> bytes:
    """The body, its content encoding undone, of at most `limit` bytes. Raises `FetchError`."""
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
        raise translated(error, url) from error
    return b"".join(parts)


def translated(error: Exception, url: str) -> FetchError:
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
