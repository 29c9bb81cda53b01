"""[registries]: where each is."""

from __future__ import annotations

import re

from devenv.config.fields.texts import URL, refuse_url
from devenv.config.shapes import Array, Either, Field, Names, Refused, Text, quoted

ARCHIVES = ("debian", "debian-security")

REGISTRY = (
    r"npm|npm\+@[A-Za-z0-9._~-]+|pypi|pypi-files|crates|cran|cran\+[A-Za-z0-9._-]+|bioconductor"
    r"|debian|debian-security"
)


def _refuse_registry_name(text: str) -> None:
    if re.fullmatch(REGISTRY, text):
        return
    if not re.match(r"https?://", text):
        raise Refused(
            f"{quoted(text)} is no registry",
            'known are npm, "npm+@scope", pypi, pypi-files, crates, cran, "cran+NAME", bioconductor, debian, '
            "debian-security, and any beginning of a URL, with https://",
        )
    refuse_url(text)


FIELDS = {
    "registries": Field(
        shape=Names(
            names=Text(
                expected="a registry",
                pattern=f"{REGISTRY}|https?://[^@ ]+",
                refuse=_refuse_registry_name,
            ),
            values=Either(
                shapes=(URL, Array(items=URL, expected="an array of mirrors", minimum=1)),
                expected="a URL in quotes",
            ),
        ),
        doc="Where registries are, by npm, pypi, pypi-files, debian, debian-security, or by a beginning of URLs to replace.",
    ),
}
