"""What `devenv add`, `remove` and `update` are asked for: "pip:httpx>=0.27", "npm:@scope/name@^1", "crate:serde"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devenv.adapter import Ecosystem
from devenv.errors import DevenvError, raise_problems

# What people write before the colon -> whose packages these are. "system" are those of the base.
KINDS: Mapping[str, Ecosystem | None] = {
    "pip": "python",
    "npm": "npm",
    "crate": "cargo",
    "r": "r",
    "system": None,
}
_OTHERS = {
    "pypi": "pip",
    "python": "pip",
    "cargo": "crate",
    "crates": "crate",
    "cran": "r",
    "node": "npm",
    "deb": "system",
}

_NAMES = {
    "pip": re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w., -]+\])?(\s*[@=<>!~].*)?", re.ASCII),
    "npm": re.compile(r"((?:@[\w.~-]+/)?[\w.~-]+)()(@.+)?", re.ASCII),
    "crate": re.compile(r"(?:[\w-]+/)?([\w-]+)()(@.+)?", re.ASCII),  # of a registry that cargo knows by name
    # As renv::install() takes them: NAME@VERSION, bioc::NAME, OWNER/NAME@REF, OWNER/NAME#PULL, gitlab@HOST::..., git::URL
    "r": re.compile(r"((?:\w+(?:@[\w.:-]+)?::)?[\w.:/~-]+)()([@#].+)?", re.ASCII),
    "system": re.compile(r"([a-z0-9][a-z0-9+.:-]*)()(=.+)?", re.ASCII),
}


class RequestError(DevenvError):
    """What was asked for cannot be understood or done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One package: `kind` as people write it, `name`, and `text` with extras and version as its own tool takes it."""

    kind: str
    name: str
    text: str


def parse_requests(texts: Sequence[str]) -> tuple[Request, ...]:
    """Each "KIND:PACKAGE". Raises RequestError for all that are none."""
    found, problems = [], []
    for text in texts:
        try:
            found.append(_parse(text))
        except RequestError as error:
            problems.append(error)
    raise_problems(problems)
    return tuple(found)


def _parse(text: str) -> Request:
    kind, mark, rest = text.partition(":")
    kinds = ", ".join(f"{each}:NAME" for each in KINDS)
    if not mark or not rest:
        raise RequestError(f"{text!r} does not say whose package it is", hint=f"write one of {kinds}")
    if kind not in KINDS:
        close = _OTHERS.get(kind) or next(iter(difflib.get_close_matches(kind, KINDS, 1)), None)
        raise RequestError(
            f"{text!r}: there is no kind of package {kind!r}",
            hint=f"did you mean {close}:{rest}?" if close else f"write one of {kinds}",
        )
    match = _NAMES[kind].fullmatch(rest.strip())
    # A leading dash would be an option of the tool that is called.
    if match is None or rest.startswith("-") or not rest.isprintable():
        raise RequestError(f"{text!r}: {rest[:80]!r} is no package of that kind")
    return Request(kind=kind, name=match[1], text=rest.strip())
