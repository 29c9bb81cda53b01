"""From a base and the names of packages to the files that these mean: what `devenv lock` writes down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from devenv.debian.database import DamagedDatabase
from devenv.debian.errors import ArchiveError, DebianError, MissingSuite, UnknownPackage, Unsolvable
from devenv.debian.family import COMPONENTS, Base, Suite, parse_base
from devenv.debian.index import Index, open_index
from devenv.debian.locked import LockedBase, LockedDeb, SuiteState
from devenv.debian.request import Request, parse_request
from devenv.debian.solve import solve
from devenv.debian.suggestions import close_names
from devenv.debian.suites import OpenSuite, Places, open_places, open_suite
from devenv.debian.universe import Candidate, Origin, Universe
from devenv.errors import DevenvError, raise_problems
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError
from devenv.fetch.http import Client


class OpenBase:
    """The indices of a base, opened. Close it, or use it as a context manager."""

    def __init__(
        self, base: Base, suites: Sequence[OpenSuite], origins: Sequence[Origin], indices: Sequence[Index]
    ) -> None:
        self.base, self.suites, self.origins, self.indices = base, suites, origins, indices

    @property
    def states(self) -> tuple[SuiteState, ...]:
        return tuple(suite.state for suite in self.suites)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for index in self.indices:
            index.close()


def open_base(
    places: Places,
    base: Base,
    *,
    architectures: Sequence[str],
    further: Iterable[str] = (),
    max_age: float = 0.0,
) -> OpenBase:
    """The base's suites, with those that are asked for by name (`further`), and their indices.

    A suite without which the base can do is left out with a notice where it cannot be found. Raises `ArchiveError`.
    """
    wanted = [(suite, True) for suite in base.suites]
    known = {suite.name for suite, _ in wanted}
    wanted += [(base.further_suite(name), False) for name in dict.fromkeys(further) if name not in known]
    suites: list[OpenSuite] = []
    origins: list[Origin] = []
    indices: list[Index] = []
    for suite, automatic in wanted:
        opened = _open_if_there(places, suite, max_age)
        if opened is None:
            continue
        suites.append(opened)
        for architecture in architectures:
            _check_architecture(opened, suite, architecture)
            for component in COMPONENTS:
                required = suite.required or architecture == architectures[0]
                index = _index_if_there(opened, component, architecture, required)
                if index is not None:
                    indices.append(index)
                    origins.append(Origin(suite.archive, suite.name, architecture, automatic, index))
    return OpenBase(base, suites, origins, indices)


def _open_if_there(places: Places, suite: Suite, max_age: float) -> OpenSuite | None:
    try:
        return open_suite(places, suite, max_age=max_age)
    except (MissingSuite, EndpointError) as error:
        if suite.required:
            raise
        places.notice(f"going on without {suite.name}", error)
        return None


def _index_if_there(opened: OpenSuite, component: str, architecture: str, required: bool) -> Index | None:
    """Mirrors often have the indices of rarer architectures late. The main suite's are enough then."""
    try:
        return open_index(opened, component, architecture)
    except ArchiveError as error:
        if required:
            raise
        opened.places.notice(f"going on without {opened.suite.name} for {architecture}", error)
        return None


def _check_architecture(opened: OpenSuite, suite: Suite, architecture: str) -> None:
    known = opened.release.architectures
    if suite.required and architecture not in known:
        raise DebianError(
            f"{suite.name} has no packages for the architecture {architecture!r}",
            hint=f"known there are {', '.join(each for each in known if each != 'all')}",
        )


def resolve(
    base: str,
    packages: Sequence[str],
    *,
    architecture: str = "amd64",
    cache_dir: str,
    events: Reporter,
    offline: bool = False,
    client: Client | None = None,
    kept: LockedBase | None = None,
    max_age: float = 0.0,
) -> LockedBase:
    """The package files that `packages` of a base mean, with all that they need.

    `client` knows the mirrors; without it those of the environment hold. Versions in `kept` stay as long as the
    archive has them. Suites looked at within `max_age` seconds are not asked for again. Raises `DebianError`s, all
    that can be told at once.
    """
    parsed, requests = parse_base(base), _parse_all(packages)
    with open_places(client, cache_dir, events, offline=offline) as places:

        def once() -> LockedBase:
            architectures = [architecture, *(request.architecture for request in requests)]
            unique = [each for each in dict.fromkeys(architectures) if each and each != "all"]
            further = [request.suite for request in requests if request.suite]
            with open_base(places, parsed, architectures=unique, further=further, max_age=max_age) as opened:
                return _locked(opened, architecture, requests, kept)

        try:
            return once()
        except DamagedDatabase:
            return once()  # it was deleted, and is made again


def _parse_all(packages: Sequence[str]) -> list[Request]:
    found: list[Request] = []
    problems: list[DevenvError] = []
    for text in dict.fromkeys(packages):
        try:
            found.append(parse_request(text))
        except DebianError as error:
            problems.append(error)
    raise_problems(problems)
    return found


def _locked(
    opened: OpenBase, architecture: str, requests: Sequence[Request], kept: LockedBase | None
) -> LockedBase:
    universe = _universe(opened, architecture, kept)
    try:
        chosen = _solve_all(universe, opened.base, requests)
    except Unsolvable:
        if kept is None:
            raise
        # The versions of before may be what is in the way.
        chosen = _solve_all(_universe(opened, architecture, None), opened.base, requests)
    packages = tuple(sorted(map(_locked_deb, chosen)))
    return LockedBase(str(opened.base), architecture, opened.states, packages)


def _universe(opened: OpenBase, architecture: str, kept: LockedBase | None) -> Universe:
    versions = {}
    if kept is not None and kept.base == str(opened.base):
        for deb in kept.packages:
            versions[deb.name, architecture if deb.architecture == "all" else deb.architecture] = deb.version
    return Universe(opened.origins, architecture, versions)


def _solve_all(universe: Universe, base: Base, requests: Sequence[Request]) -> list[Candidate]:
    roots: list[list[Candidate]] = []
    problems: list[DevenvError] = []
    for request in requests:
        try:
            roots.append(_root(universe, base, request))
        except DebianError as error:
            problems.append(error)
    raise_problems(problems)
    try:
        return solve(universe, roots)
    except Unsolvable as error:
        raise_problems(
            _each_alone(universe, roots) or [error], summary=f"{base} cannot satisfy what was asked for"
        )
        raise


def _each_alone(universe: Universe, roots: Sequence[Sequence[Candidate]]) -> list[DevenvError]:
    """What is wrong with single packages, so that all of them can be mended at once."""
    found: dict[str, DevenvError] = {}
    for root in roots if len(roots) > 1 else ():
        try:
            solve(universe, [root])
        except Unsolvable as error:
            found.setdefault(str(error), error)
    return list(found.values())


def _root(universe: Universe, base: Base, request: Request) -> list[Candidate]:
    """The candidates that a request means, the best first."""
    architecture = request.architecture if request.architecture not in ("", "all") else universe.architecture
    named = [each for each in universe.named(request.name) if each.key[1] == architecture]
    if request.version:
        named = [each for each in named if each.version == request.version] or _no_version(request, named)
    if request.suite:
        named = [each for each in named if each.suite == request.suite] or _no_version(request, named)
    if named:
        return named
    providers = {
        each.name: each for each, _ in universe.providers(request.name) if each.key[1] == architecture
    }
    if len(providers) == 1:
        return [*providers.values()]
    if providers:
        raise UnknownPackage(
            f"{base} has no package {request.name!r}: it is a name that several others provide",
            name=request.name,
            suggestions=tuple(providers)[:6],
        )
    elsewhere = sorted({each.key[1] for each in universe.named(request.name)})
    where = f" for {architecture}, only for {', '.join(elsewhere)}" if elsewhere else ""
    raise UnknownPackage(
        f"{base} has no package {request.name!r}{where}",
        name=request.name,
        suggestions=() if elsewhere else close_names(request.name, universe.names()),
    )


def _no_version(request: Request, there: Sequence[Candidate]) -> list[Candidate]:
    if not there:
        return []
    versions = ", ".join(dict.fromkeys(f"{each.version} ({each.suite})" for each in there))
    raise DebianError(
        f"{request.text}: there is no such version of {request.name}", hint=f"there is {versions}"
    )


def _locked_deb(candidate: Candidate) -> LockedDeb:
    package = candidate.package
    return LockedDeb(
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        path=package.path,
        size=package.size,
        sha256=package.sha256.hex(),
        archive=candidate.archive,
    )


def urls(deb: LockedDeb, endpoints: Endpoints, base: LockedBase | None = None) -> list[str]:
    """Every place that may have a package file, in order to try. With `base`, archives of the past as well.

    Raises `EndpointError` where nothing says where the archive is.
    """
    date = ""
    if base is not None:
        dates = [state.date for state in base.suites if state.archive == deb.archive]
        date = re.sub(r"[:-]", "", max(dates, default=""))
    return [mirror + deb.path for mirror in endpoints.archives.mirrors(deb.archive, date=date)]


def url_lookup(endpoints: Endpoints, base: LockedBase) -> Callable[[LockedDeb], list[str]]:
    """`urls` for one base, as the planning of roots wants it."""
    return lambda deb: urls(deb, endpoints, base)
