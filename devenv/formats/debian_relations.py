"""Relations between binary packages, as Depends, Conflicts, Provides and their like write them. After deb-control(5).

field       = group { "," group }
group       = alternative { "|" alternative }
alternative = name [ ":" architecture ] [ "(" operator version ")" ]
operator    = "<<" | "<=" | "=" | ">=" | ">>"       # and, in old packages, "<" for "<=", ">" for ">="
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from devenv.formats.errors import FormatError

_ALTERNATIVE = re.compile(
    r"\s*([A-Za-z0-9][A-Za-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()|,<>=]+)\s*\))?\s*"
)
_OLD_OPERATORS = {"<": "<=", ">": ">="}


class Relation(NamedTuple):
    """One alternative. `architecture`, `operator` and `version` are empty where it names none."""

    name: str
    architecture: str = ""
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        qualified = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{qualified} ({self.operator} {self.version})" if self.operator else qualified


Group = tuple[Relation, ...]


@lru_cache(maxsize=1 << 14)
def parse_relations(text: str) -> tuple[Group, ...]:
    """The groups of a field; of each group one alternative is enough. Raises `FormatError`."""
    groups = []
    for part in text.split(","):
        if part.strip():
            groups.append(tuple([_alternative(each) for each in part.split("|")]))
    return tuple(groups)


def _alternative(text: str) -> Relation:
    found = _ALTERNATIVE.fullmatch(text)
    if found is None:
        raise FormatError(f"{text.strip()[:200]!r} is no relation to a package")
    name, architecture, operator, version = found.groups("")
    return Relation(name, architecture, _OLD_OPERATORS.get(operator, operator), version)


def show_group(group: Group) -> str:
    """As a control file has it: "a (>= 1) | b"."""
    return " | ".join(str(each) for each in group)
