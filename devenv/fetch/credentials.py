"""Who may be told what: the login for a URL, from .npmrc, index URLs and .netrc.

A login goes only to the host that it was written down for, and over plain http only to a registry
that is itself configured with http.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from devenv.fetch.npmrc import NpmConfig
from devenv.fetch.urls import origin, parent, parsed, without_userinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """An `Authorization` value for the host of `base`, first of all for what lies beside it."""

    base: str
    header: str


class Credentials:
    """Finds logins. `configured` are all URLs that settings name, with the logins written in them."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        npm: NpmConfig,
        npm_registries: Sequence[str],
        configured: Sequence[str],
    ) -> None:
        self._environ, self._npm, self._npm_registries = environ, npm, npm_registries
        self._origins = {origin(url) for url in configured}
        self._logins = sorted(_logins(configured), key=lambda login: -len(login.base))

    def header(self, url: str) -> dict[str, str]:
        """`{"Authorization": ...}` for this URL, `{}` where its host has been given no login."""
        url, user, password = without_userinfo(url)
        parts = parsed(url)
        if user is not None:
            return {"Authorization": basic(user, password or "")}
        if parts.scheme == "http" and origin(url) not in self._origins:
            return {}
        if parts.scheme not in {"http", "https"}:
            return {}
        found = self._from_npm(url) or self._from_urls(url) or self._from_netrc(parts.hostname or "")
        return {"Authorization": found} if found else {}

    def _from_npm(self, url: str) -> str | None:
        key = npm_key(url)
        while len(key) > len("//"):
            found = self._at(key + ":")
            if found:
                return found
            # Both //host/path/:_auth and //host/path:_auth are legal.
            key = key[:-1] if key.endswith("/") else key[: key.rfind("/") + 1]
        # The login of a registry counts for the files that it keeps elsewhere on its host.
        for registry in self._npm_registries:
            if origin(registry) == origin(url):
                below = npm_key(registry)
                found = self._at(below + ":") or self._at(below.rstrip("/") + ":")
                if found:
                    return found
        return None

    def _at(self, key: str) -> str | None:
        token, auth = self._npm.text(key + "_authToken"), self._npm.text(key + "_auth")
        if token:
            return f"Bearer {token}"
        if auth:
            return f"Basic {auth}"
        user, password = self._npm.text(key + "username"), self._npm.text(key + "_password")
        if not (user and password):
            return None
        try:
            return basic(user, base64.b64decode(password).decode("utf-8", "replace"))
        except (binascii.Error, ValueError):
            return None

    def _from_urls(self, url: str) -> str | None:
        """Like pip: the login of the index that the URL lies beside, else of one on the same host."""
        same_host = [login for login in self._logins if origin(login.base) == origin(url)]
        beside = [login for login in same_host if url.startswith(parent(login.base))]
        return next((login.header for login in (*beside, *same_host)), None)

    @cached_property
    def _netrc(self) -> Mapping[str, tuple[str, str | None, str | None]]:
        import netrc

        home = self._environ.get("HOME") or os.path.expanduser("~")
        path = self._environ.get("NETRC") or os.path.join(home, ".netrc")
        try:
            return netrc.netrc(path).hosts
        except (OSError, netrc.NetrcParseError, ValueError):
            return {}

    def _from_netrc(self, host: str) -> str | None:
        # The "default" entry is left out: it would send a password to every host that is asked.
        found = self._netrc.get(host) if host != "default" else None
        return basic(found[0], found[2] or "") if found else None


def _logins(urls: Sequence[str]) -> list[Login]:
    found = []
    for each in urls:
        url, user, password = without_userinfo(each)
        if user is not None:
            found.append(Login(base=url, header=basic(user, password or "")))
    return found


def npm_key(url: str) -> str:
    """How .npmrc names a URL: without scheme and user."""
    parts = parsed(url)
    return f"//{parts.netloc.rpartition('@')[2]}{parts.path}"


def basic(user: str, password: str) -> str:
    """The value of an `Authorization` header, RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
