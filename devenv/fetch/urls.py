"""URLs: without their credentials, taken apart, compared by origin."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from devenv.fetch.errors import EndpointError

SCHEMES = frozenset({"http", "https", "file"})
_UNPRINTABLE = re.compile(r"[\x00- \x7f-\xa0]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def parsed(url: str) -> SplitResult:
    """The parts of any text that may be a URL. Raises `EndpointError` for a malformed one."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError as error:
        raise EndpointError(f"Cannot use the URL {shown(url)!r}: {error}.", url=shown(url)) from error
    return parts


def joined(base: str, target: str) -> str:
    """What a link on the page `base` leads to. Raises `EndpointError` for a malformed one."""
    try:
        return urljoin(base, target)
    except ValueError as error:
        raise EndpointError(f"Cannot use the link {shown(target)!r} on {shown(base)}: {error}.") from error


def split(url: str) -> SplitResult:
    """The parts of an absolute URL. Raises `EndpointError` for what no request can be made to."""
    parts = parsed(url)
    if parts.scheme not in SCHEMES:
        raise EndpointError(
            f"Cannot use the URL {shown(url)!r}: only http, https and file URLs can be fetched.",
            hint="Other kinds of sources, such as git, need a lockfile that names an archive.",
            url=shown(url),
        )
    if (not parts.hostname and parts.scheme != "file") or parts.port == 0 or _UNPRINTABLE.search(url):
        raise EndpointError(f"Cannot use the URL {shown(url)!r}: it is malformed.", url=shown(url))
    return parts


def shown(url: str) -> str:
    """The URL as it may be printed: without user, password, query and fragment."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url.partition("?")[0].partition("#")[0]
    rest = rest.partition("?")[0].partition("#")[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def without_userinfo(url: str) -> tuple[str, str | None, str | None]:
    """(URL without user and password, user, password), both percent-decoded, None where absent."""
    parts = parsed(url)
    userinfo, mark, host = parts.netloc.rpartition("@")
    if not mark:
        return url, None, None
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user), unquote(password)


def origin(url: str) -> tuple[str, str, int | None]:
    """(scheme, host, port) with the port that the scheme means when the URL names none."""
    parts = split(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def with_slash(url: str) -> str:
    """The URL as a base that relative paths can be appended to."""
    return url if url.endswith("/") else url + "/"


def parent(url: str) -> str:
    """The URL without the last part of its path, ending in "/"."""
    parts = parsed(url.rstrip("/"))
    return with_slash(urlunsplit(parts._replace(path=parts.path.rpartition("/")[0], query="", fragment="")))
