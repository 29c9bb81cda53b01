"""[packages] and `base`: what is asked for by name and version."""

from __future__ import annotations

import re

from devenv.config.shapes import Array, Field, Refused, Table, Text, quoted
from devenv.debian.request import BASE_PATTERN, PATTERN

VERSION = r"[0-9]+(\.[0-9]+)*(-?[A-Za-z][A-Za-z0-9.-]*)?"
VERSION_EXPECTED = 'a version such as "20" or "3.11"'


def _refuse_version(text: str) -> None:
    if re.fullmatch(f"[v=]+{VERSION}", text):
        raise Refused(f"expected {VERSION_EXPECTED}, found {quoted(text)}", f'write "{text.lstrip("v=")}"')
    if re.search(r"[\^~<>=*!|, ]|\.x$|^(latest|lts|node|stable|current)\b", text):
        raise Refused(
            f"expected {VERSION_EXPECTED}, found {quoted(text)}",
            "write the beginning of a version, as much of it as matters; the newest that begins so is used",
        )


def _refuse_system_package(text: str) -> None:
    from devenv.debian.errors import DebianError
    from devenv.debian.request import parse_request

    try:
        parse_request(text)
    except DebianError as error:
        raise Refused(f"{error}", error.hint) from None


def _refuse_base(text: str) -> None:
    from devenv.debian.errors import DebianError
    from devenv.debian.family import parse_base

    try:
        parse_base(text)
    except DebianError as error:
        raise Refused(f"{error}", error.hint) from None


_VERSION = Text(expected=VERSION_EXPECTED, pattern=VERSION, refuse=_refuse_version)

SYSTEM_PACKAGE = Text(
    expected='a package such as "libgdal-dev"', pattern=PATTERN, refuse=_refuse_system_package
)

FIELDS = {
    "base": Field(
        shape=Text(expected='a base such as "debian/bookworm"', pattern=BASE_PATTERN, refuse=_refuse_base),
        doc="The distribution that system packages are from.",
    ),
    "packages": Field(
        shape=Table(
            fields={
                "node": Field(shape=_VERSION, doc="Node.js: the newest version that begins so."),
                "npm": Field(shape=_VERSION, doc="npm; chosen to fit node when absent."),
                "python": Field(shape=_VERSION, doc="Python, from this machine."),
                "r": Field(shape=_VERSION, doc="R with compilers, from the base."),
                "system": Field(
                    shape=Array(items=SYSTEM_PACKAGE, expected="an array of package names"),
                    doc='Packages of the base: ["libgdal-dev", "g++", "libgl1:i386"].',
                ),
            },
            later={
                "rust": "Rust",
            },
            elsewhere={
                "nodejs": "did you mean `node`?",
                "python3": "did you mean `python`?",
                "apt": "did you mean `system`?",
                "debian": "did you mean `system`?",
            },
        ),
        doc="Toolchains, each with the beginning of a version, and packages of the base.",
    ),
}
