"""Binary caches, in devenv.toml and in the user's own config.toml."""

from __future__ import annotations

import re

from devenv.config.fields.texts import refuse_nul, refuse_url
from devenv.config.shapes import Array, Field, Refused, Table, Text, quoted

CACHE_URL = "https?://[^@?# ]+|(file://)?/.*"
PUBLIC_KEY = "[!-9;-~]+:[A-Za-z0-9+/]{43}="


def _refuse_cache(text: str) -> None:
    if re.match(r"https?://", text):
        refuse_url(text)
        return
    _refuse_cache_of_user(text)


def _refuse_cache_of_user(text: str) -> None:
    """A user's own file may hold a login."""
    refuse_nul(text)
    if not re.fullmatch(r"https?://[^/?#\s]+[^?#\s]*|(file://)?/.*", text):
        raise Refused(
            f"expected the URL of a binary cache, found {quoted(text)}",
            'write "https://cache.example.org", or "file:///srv/cache" for a directory',
        )


def _refuse_public_key(text: str) -> None:
    from devenv.formats.errors import FormatError
    from devenv.formats.signing import PublicKey

    try:
        PublicKey.parse(text)
    except FormatError as error:
        raise Refused(
            f"{error}", "`devenv cache key public` prints the public half of a secret key"
        ) from None


_PUBLIC_KEYS = Field(
    shape=Array(
        items=Text(expected="a public key in quotes", pattern=PUBLIC_KEY, refuse=_refuse_public_key),
        expected="an array of public keys",
    ),
    doc="Keys whose signatures count, as NAME:BASE64.",
)


def _caches(url: Text) -> dict[str, Field]:
    return {
        "substituters": Field(
            shape=Array(items=url, expected="an array of URLs"),
            doc="Binary caches that are asked before anything is fetched or built.",
        ),
        "trusted-keys": _PUBLIC_KEYS,
    }


_CACHE_HINTS = {
    "trusted-public-keys": "did you mean `trusted-keys`?",
    "trusted_keys": "did you mean `trusted-keys`?",
    "substituter": "did you mean `substituters`?",
    "urls": "did you mean `substituters`?",
}

_CACHES = Table(
    fields=_caches(Text(expected="a URL in quotes", pattern=CACHE_URL, refuse=_refuse_cache)),
    elsewhere={**_CACHE_HINTS, "signing-key": "it belongs into your own configuration, config.toml"},
)

# What stands in the user's own config.toml.
USER_DOCUMENT = Table(
    fields={
        "caches": Field(
            shape=Table(
                fields={
                    **_caches(Text(expected="a URL in quotes", refuse=_refuse_cache_of_user)),
                    "signing-key": Field(
                        shape=Text(expected="the name or path of a key", pattern="[^\\u0000]+"),
                        doc="The secret key that `devenv cache push` signs with.",
                    ),
                },
                elsewhere=_CACHE_HINTS,
            ),
            doc="Binary caches.",
        ),
    }
)

FIELDS = {
    "caches": Field(shape=_CACHES, doc="Binary caches: what others have built is not built again."),
}
