"""Kinds of text that stand in many tables."""

from __future__ import annotations

from devenv.config.paths import normal_path
from devenv.config.shapes import Either, Exactly, Refused, Text, Whole, quoted, refuse_path

VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
NAME = "[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"


def refuse_nul(text: str) -> None:
    if "\0" in text:
        raise Refused("holds a NUL character, which no environment can carry")


def _refuse_path(text: str) -> None:
    refuse_path(text, "a lockfile")


def _refuse_entry(text: str) -> None:
    refuse_nul(text)
    if not text:
        raise Refused(
            "an empty entry would mean the current directory", 'take it out; "." is the project itself'
        )


def refuse_script(text: str) -> None:
    refuse_nul(text)
    if not text.strip():
        raise Refused("expected the text of a program, found nothing")


def refuse_url(text: str) -> None:
    if any(ord(character) <= 32 or ord(character) == 127 for character in text):
        raise Refused(f"the URL {quoted(text)} holds a blank or control character")
    from urllib.parse import urlsplit  # seldom needed

    try:
        parts = urlsplit(text)
        host, secret = parts.hostname, parts.username or parts.password
        parts.port  # noqa: B018  # raises where it is no number
    except ValueError:
        host, secret, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise Refused(f"expected a URL with https://, found {quoted(text)}")
    if secret:
        raise Refused(
            "holds a user name or password, and this file is for everybody",
            "put them in ~/.netrc, ~/.npmrc or pip's configuration: devenv reads them there",
        )


def refuse_source(text: str) -> None:
    try:
        normal_path(text)
    except ValueError as error:
        raise Refused(f"the path {quoted(text)} {error}") from None


def _refuse_hash(text: str) -> None:
    from devenv.formats.errors import FormatError
    from devenv.formats.hashes import Hash

    try:
        found = Hash.parse_sri(text)
    except FormatError as error:
        raise Refused(f"{error}", 'a hash is written "sha256-..." in base 64') from None
    if found.algorithm not in ("sha256", "sha512"):
        raise Refused(
            f"a hash of the kind {found.algorithm} is too weak, or not known to stores", "use sha256"
        )


PATH = Text(expected="the path of a lockfile in quotes", refuse=_refuse_path)
VALUE = Text(expected="text in quotes", refuse=refuse_nul, refused_pattern=r"\u0000")
ENTRY = Text(expected="text in quotes", pattern="[^\\u0000]+", refuse=_refuse_entry)
URL = Text(expected="a URL in quotes", pattern="https?://[^@ ]+", refuse=refuse_url)
TEXT_OR_NUMBER = Either(shapes=(VALUE, Whole()), expected="text in quotes")

HASH = Text(
    expected='a hash such as "sha256-..."', refuse=_refuse_hash, pattern="(sha256|sha512)-[A-Za-z0-9+/]+=*"
)

LINE = Text(expected="one line of text", pattern=r"[^\u0000-\u001f\u007f]*")
SWITCH = Either(shapes=(Exactly(value=True), Exactly(value=False)), expected="true or false")
