"""All packages that a base offers: several suites and architectures as one set of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple, Protocol

from devenv.debian.index import Package
from devenv.formats.debian_relations import Group, Relation, parse_relations
from devenv.formats.debian_version import satisfies, version_key

Key = tuple[str, str]  # (name, architecture), "all" counted as the base's own architecture


class Source(Protocol):
    """The packages of one suite for one architecture."""

    def named(self, name: str) -> list[Package]: ...
    def providers(self, name: str) -> list[tuple[Package, str]]: ...
    def essential(self) -> list[Package]: ...
    def names(self) -> list[str]: ...


class Candidate:
    """A package that could be chosen, and where it is from. `order`: the lower, the sooner its suite is taken."""

    def __init__(self, package: Package, key: Key, archive: str, suite: str, order: int) -> None:
        self.package, self.key, self.archive, self.suite, self.order = package, key, archive, suite, order

    @property
    def name(self) -> str:
        return self.package.name

    @property
    def version(self) -> str:
        return self.package.version

    @property
    def identity(self) -> tuple[Key, str]:
        return self.key, self.package.version

    @cached_property
    def depends(self) -> tuple[Group, ...]:
        return parse_relations(self.package.depends)

    @cached_property
    def conflicts(self) -> tuple[Relation, ...]:
        return tuple(each for group in parse_relations(self.package.conflicts) for each in group)

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        return tuple(each for group in parse_relations(self.package.provides) for each in group)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Origin(NamedTuple):
    """One index of a base. `automatic`: whether packages are taken from it unasked."""

    archive: str
    suite: str
    architecture: str
    automatic: bool
    source: Source


class Universe:
    """Candidates by name. `kept` are versions that are taken before later ones, by key."""

    def __init__(
        self, origins: Sequence[Origin], architecture: str, kept: Mapping[Key, str] | None = None
    ) -> None:
        self.architecture = architecture
        self._origins, self._kept = origins, dict(kept or {})
        self._named: dict[str, list[Candidate]] = {}
        self._providers: dict[str, list[tuple[Candidate, str]]] = {}

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(origin.architecture for origin in self._origins))

    def named(self, name: str) -> list[Candidate]:
        """All candidates of a name, the best first: kept ones, those from unasked suites, later versions."""
        found = self._named.get(name)
        if found is None:
            found = [
                candidate
                for order, origin in enumerate(self._origins)
                for candidate in self._candidates(origin, order, origin.source.named(name))
            ]
            self._named[name] = found = self._sorted(found)
        return found

    def providers(self, name: str) -> list[tuple[Candidate, str]]:
        """(candidate, the version that it provides the name with), the most important first, then by name.

        Of each provider only the candidate that would be taken by its own name.
        """
        found = self._providers.get(name)
        if found is None:
            found = []
            for order, origin in enumerate(self._origins):
                for package, version in origin.source.providers(name):
                    for candidate in self._candidates(origin, order, [package]):
                        best = self.best(candidate.key)
                        if best is not None and best.identity == candidate.identity:
                            found.append((best, version))
            unique = {(each.identity, version): (each, version) for each, version in found}
            found = sorted(unique.values(), key=lambda item: (item[0].package.rank, *item[0].key))
            self._providers[name] = found
        return found

    def best(self, key: Key) -> Candidate | None:
        return next((each for each in self.named(key[0]) if each.key == key), None)

    def essential(self) -> list[Candidate]:
        """What every root has, of the base's own architecture."""
        names = {
            package.name
            for origin in self._origins
            if origin.automatic and origin.architecture == self.architecture
            for package in origin.source.essential()
        }
        found = (self.best((name, self.architecture)) for name in sorted(names))
        return [each for each in found if each is not None and each.package.essential]

    def names(self) -> set[str]:
        return {name for origin in self._origins for name in origin.source.names()}

    def _candidates(self, origin: Origin, order: int, packages: Sequence[Package]) -> list[Candidate]:
        found = []
        order += 0 if origin.automatic else len(self._origins)
        for package in packages:
            if package.architecture == "all":
                # Every architecture's index has them; they count as the base's own.
                if origin.architecture != self.architecture:
                    continue
            elif package.architecture != origin.architecture:
                continue
            key = package.name, origin.architecture
            found.append(Candidate(package, key, origin.archive, origin.suite, order))
        return found

    def _sorted(self, found: list[Candidate]) -> list[Candidate]:
        limit = len(self._origins)
        found.sort(key=attrgetter("order"))
        found.sort(key=lambda each: version_key(each.version), reverse=True)
        found.sort(key=lambda each: (self._kept.get(each.key) != each.version, each.order >= limit))
        unique: dict[tuple[Key, str], Candidate] = {}
        for each in found:
            unique.setdefault(each.identity, each)
        return list(unique.values())


def fits(relation: Relation, version: str) -> bool:
    """Whether a package of this version is what a relation wants."""
    return not relation.operator or satisfies(version, relation.operator, relation.version)


def provides(relation: Relation, version: str) -> bool:
    """Whether something provided with this version ("" for none) is what a relation wants."""
    return not relation.operator or (
        bool(version) and satisfies(version, relation.operator, relation.version)
    )


def reaches(relation: Relation, needing: str, candidate: Candidate, native: str) -> bool:
    """Whether a candidate's architecture is right for a relation of a package of architecture `needing`."""
    architecture, multi_arch = candidate.key[1], candidate.package.multi_arch
    match relation.architecture:
        case "":
            return architecture == needing or multi_arch == "foreign"
        case "any":
            return architecture == needing or multi_arch in ("foreign", "allowed")
        case "native":
            return architecture == native
        case named:
            return architecture == named
