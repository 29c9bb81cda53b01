"""What yarn asks for in place of what packages ask for: `resolutions` of package.json, catalogs of .yarnrc.yml.

    resolutions: { SELECTOR: ASKED }
    SELECTOR = [ PATTERN "/" { "**/" } ] PATTERN
    PATTERN  = NAME [ "@" RANGE ]

    .yarnrc.yml: { catalog: { NAME: ASKED }, catalogs: { CATALOG: { NAME: ASKED } } }

A dependency whose text is "catalog:" or "catalog:CATALOG" means what stands there. Sources: yarn's manual, "Manifest fields"
(resolutions) and "Catalogs"; of yarn 1, "Selective dependency resolutions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from devenv.adapters._fields import Table

_ANY = "**"


class Resolution(NamedTuple):
    """`asked` stands in for what is asked of `name`, where it is asked by `range`, and by `parent` at `parent_range`.

    None fits all. `is_deep`: whoever `parent` depends on, directly or not, is meant, which a lock does not tell.
    """

    name: str
    range: str | None
    parent: str | None
    parent_range: str | None
    is_deep: bool
    asked: str

    def fits(self, name: str, asked: str, holder: tuple[str, str]) -> bool:
        """Whether a dependency of `holder`, its name and version, is meant."""
        if self.name != name or self.is_deep:
            return False
        if self.range is not None and plain_range(self.range) != plain_range(asked):
            return False
        if self.parent is None:
            return True
        is_version = self.parent_range is None or plain_range(self.parent_range) == holder[1]
        return self.parent == holder[0] and is_version


def plain_range(text: str) -> str:
    """A range without the protocol that stands for a registry."""
    return text.removeprefix("npm:")


def read_resolutions(manifest: Table) -> tuple[Resolution, ...]:
    """Those of the project's package.json, in their order; the first that fits counts."""
    table = manifest.values.get("resolutions")
    found = []
    for key, asked in table.items() if isinstance(table, dict) else ():
        patterns = _patterns(key)
        names = [each for each in patterns if each[0] != _ANY]
        if not names or not isinstance(asked, str):
            continue  # yarn takes no notice of it, either
        (name, text), (parent, at) = names[-1], names[-2] if len(names) > 1 else (None, None)
        is_deep = parent is not None and (len(names) > 2 or patterns[-2][0] == _ANY)
        found.append(Resolution(name, text, parent, at, is_deep, asked))
    return tuple(found)


def _patterns(selector: str) -> list[tuple[str, str | None]]:
    """ "a@1/@s/b" -> ("a", "1"), ("@s/b", None)"""
    parts: list[str] = []
    for part in selector.split("/"):
        if parts and parts[-1].startswith("@") and "/" not in parts[-1]:
            parts[-1] += f"/{part}"
        else:
            parts.append(part)
    found: list[tuple[str, str | None]] = []
    for part in parts:
        name, mark, text = part[1:].partition("@")
        found.append((part[:1] + name, text if mark else None))
    return found


def read_catalogs(settings: Table | None) -> Mapping[str, Mapping[str, str]]:
    """The catalogs of .yarnrc.yml by name, the nameless one at "". Raises `AdapterError` for what is no table."""
    if settings is None:
        return {}
    named = settings.table("catalogs") or Table({}, file=settings.file)
    return {"": settings.text_map("catalog"), **{name: named.text_map(name) for name in named.values}}


def from_catalog(catalogs: Mapping[str, Mapping[str, str]], name: str, asked: str) -> str:
    """What is asked for, a catalog's text in place of its name."""
    if not asked.startswith("catalog:"):
        return asked
    return catalogs.get(asked.removeprefix("catalog:"), {}).get(name, asked)
