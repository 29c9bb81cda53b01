"""The use cases around packages of a base: searching, locating files, describing. Nothing here prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from devenv.debian.base import OpenBase, open_base, resolve
from devenv.debian.browse import Match, describe, search
from devenv.debian.contents import Contents, Found, open_contents
from devenv.debian.database import DamagedDatabase
from devenv.debian.default import default_base
from devenv.debian.errors import DebianError
from devenv.debian.family import architecture_of, parse_base
from devenv.debian.request import parse_request
from devenv.debian.suites import Places
from devenv.project import Project
from devenv.workplace import Workplace

# A look at what there is need not be of today; `devenv lock` always asks anew.
FRESH = 7 * 86400.0  # seconds

Answer = TypeVar("Answer")


class Where(NamedTuple):
    """A base to look into. `max_age`: seconds for which what was seen of it counts as present."""

    base: str
    architecture: str
    max_age: float = FRESH


class Located(NamedTuple):
    """Files by what was asked for.

    `elsewhere`: of that name in other places than the one given. `variants`: programs that the distribution may offer
    under the name. `similar`: names that may have been meant, where there is nothing else.
    """

    found: list[Found]
    elsewhere: list[Found]
    variants: list[Found]
    similar: tuple[str, ...]


class Described(NamedTuple):
    """A package: its versions, the latest first, and what it takes to have it, itself included (None: it cannot be)."""

    matches: list[Match]
    packages: int | None
    size: int | None  # bytes to fetch
    problem: str | None


def chosen_where(
    base: str | None, architecture: str | None, project: Project | None, *, refresh: bool = False
) -> Where:
    """The base that is meant: the one named, the project's, this machine's own, or Debian's stable."""
    named = base or (project.config.base if project is not None else None)
    machine = architecture or architecture_of(os.uname().machine)
    return Where(default_base(named), machine, 0.0 if refresh else FRESH)


def search_packages(place: Workplace, where: Where, words: Sequence[str]) -> list[Match]:
    """Packages that have all words in their name or description, the likeliest first. Raises `UnknownPackage`."""
    return _within(place, where, lambda opened: search(opened, words))


def describe_package(place: Workplace, where: Where, name: str) -> Described:
    """All about a package. Raises `UnknownPackage`."""
    request = parse_request(name)
    wanted = request.architecture or where.architecture
    matches = _within(place, where, lambda opened: describe(opened, request.name, wanted), wanted)
    try:
        locked = resolve(
            where.base,
            [f"{request.name}:{wanted}"],
            architecture=where.architecture,
            cache_dir=place.layout.cache,
            events=place.settings.reporter,
            client=place.client,
            max_age=FRESH,
        )
    except DebianError as error:
        return Described(matches, None, None, str(error))
    return Described(matches, len(locked.packages), sum(deb.size for deb in locked.packages), None)


def locate_file(place: Workplace, where: Where, name: str) -> Located:
    """Which packages have a file, by its name, the end of its path, its path, or a pattern."""
    places = _places(place)

    def once() -> Located:
        with open_contents(
            places, parse_base(where.base), where.architecture, max_age=where.max_age
        ) as contents:
            return _located(contents, name)

    return _twice(once)


def _located(contents: Contents, name: str) -> Located:
    found = contents.find(name)
    last = name.rstrip("/").rpartition("/")[2]
    elsewhere = contents.find(last) if not found and last != name else []
    variants = contents.variants(name)
    nothing = not (found or elsewhere or variants)
    return Located(found, elsewhere, variants, contents.similar(last) if nothing else ())


def _within(place: Workplace, where: Where, work: Callable[[OpenBase], Answer], *further: str) -> Answer:
    """`work` with the base opened, for `further` architectures too."""
    places = _places(place)
    architectures = list(dict.fromkeys((where.architecture, *further)))

    def once() -> Answer:
        base = parse_base(where.base)
        with open_base(places, base, architectures=architectures, max_age=where.max_age) as opened:
            return work(opened)

    return _twice(once)


def _twice(work: Callable[[], Answer]) -> Answer:
    """A damaged database is deleted when it is found out, and made again by another attempt."""
    try:
        return work()
    except DamagedDatabase:
        return work()


def _places(place: Workplace) -> Places:
    return Places(place.client, place.layout.cache, place.settings.reporter)
