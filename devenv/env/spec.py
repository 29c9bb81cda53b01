"""The environment spec: what an environment is, as data, for every shell alike.

A spec is pure and names no project directory. Two things in it are completed when the environment is applied:
the token `${project}` in any value or entry, and entries of `Prepend` and `Append` that are `.`, `..` or begin
with `./` or `../`. Both stand for places in the project whose environment it is. `docs/environment-spec.md`
describes the file format, `env.schema.json` beside this module checks it.
"""

from __future__ import annotations

from dataclasses import dataclass

PROJECT_MARK = "${project}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """The variable has exactly this value."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unset:
    """The variable does not exist."""

    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """The variable has this value where the user has not set one, not even an empty one."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepend:
    """The variable is a list, and these entries stand before whatever else it holds, in this order."""

    entries: tuple[str, ...]
    origin: str
    separator: str = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """The variable is a list, and these entries stand after whatever else it holds, in this order."""

    entries: tuple[str, ...]
    origin: str
    separator: str = ":"


Operation = Set | Unset | Default | Prepend | Append
