"""Looking for packages: by words of their names and descriptions, and all about one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from devenv.debian.base import OpenBase
from devenv.debian.errors import UnknownPackage
from devenv.debian.index import Details
from devenv.debian.suggestions import close_names
from devenv.formats.debian_version import version_key

# What few look for when they name what it belongs to.
_BESIDES = ("-dbg", "-dbgsym", "-doc", "-docs", "-data", "-l10n", "-examples")


class Match(NamedTuple):
    """A package and the suite that it is from."""

    details: Details
    suite: str


def search(opened: OpenBase, words: Sequence[str]) -> list[Match]:
    """Packages that have every word in their name or description, those with it in their name first.

    Of each name the latest version. Raises `UnknownPackage` where there is none, with names that may have been meant.
    """
    found: dict[str, Match] = {}
    for origin, index in zip(opened.origins, opened.indices, strict=True):
        if not origin.automatic:
            continue
        for details in index.matching(words):
            _take_later(found, Match(details, origin.suite))
    if not found:
        what = " and ".join(repr(word) for word in words)
        known = {name for index in opened.indices for name in index.names()}
        known |= {part for name in known for part in name.split("-")}
        near = dict.fromkeys(name for word in words for name in close_names(word, known))
        raise UnknownPackage(
            f"no package of {opened.base} has {what} in its name or description",
            name=" ".join(words),
            suggestions=tuple(near)[:4],
        )
    lower = [word.lower() for word in words]
    return sorted(found.values(), key=lambda match: _rank(match.details, lower))


def _take_later(found: dict[str, Match], match: Match) -> None:
    name = match.details.package.name
    known = found.get(name)
    if known is None or version_key(match.details.package.version) > version_key(
        known.details.package.version
    ):
        found[name] = match


def _rank(details: Details, words: Sequence[str]) -> tuple[int, bool, int, str]:
    name = details.package.name.lower()
    parts = name.replace("+", "-").replace(".", "-").split("-")
    joined = "-".join(words)
    if name == joined:
        place = 0
    else:
        told = {each.strip("()[],;:") for each in details.description.lower().split()}
        place = sum(_distance(name, parts, told, word) for word in words) + 1
    return place, name.endswith(_BESIDES), len(name), name


def _distance(name: str, parts: Sequence[str], told: set[str], word: str) -> int:
    if name == word:
        return 0
    if word in parts or f"lib{word}" in parts:
        return 1
    if name.startswith((word, f"lib{word}")):
        return 2
    if word in told:
        return 4
    return 5 if word in name else 6


def describe(opened: OpenBase, name: str, architecture: str) -> list[Match]:
    """All versions of a package that a base has for an architecture, the latest first. Raises `UnknownPackage`."""
    found = [
        Match(details, origin.suite)
        for origin, index in zip(opened.origins, opened.indices, strict=True)
        for details in index.details(name)
        if details.package.architecture in (architecture, "all")
    ]
    if not found:
        known = {each for index in opened.indices for each in index.names()}
        providers = sorted({package.name for index in opened.indices for package, _ in index.providers(name)})
        what = f"{opened.base} has no package {name!r}"
        raise UnknownPackage(
            f"{what}: it is a name that others provide" if providers else what,
            name=name,
            suggestions=tuple(providers[:6]) or close_names(name, known),
        )
    unique = {
        (match.details.package.version, match.details.package.architecture): match
        for match in reversed(found)
    }
    return sorted(unique.values(), key=lambda match: version_key(match.details.package.version), reverse=True)


def source_name(details: Details) -> str:
    """The source package: Source names it where it is called otherwise, with a version perhaps."""
    return details.source.partition(" ")[0] or details.package.name
