"""Choosing packages so that every dependency holds, by dpkg's rules. After deb-control(5) and Debian policy 7.

Breadth first, what was asked for before anything else. Of alternatives the one already chosen is taken, else the first
that can be had; a real package before those that provide its name. Where that leads to a conflict, or to a version
that somebody else cannot use, the choice is excluded and all is done again: that settles what occurs in archives
without a general solver, and every exclusion has a reason that can be told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from devenv.debian.errors import Unsolvable
from devenv.debian.universe import Candidate, Key, Universe, fits, provides, reaches
from devenv.formats.debian_relations import Group, Relation, show_group
from devenv.formats.debian_version import version_key

_MOST_ATTEMPTS = 300

Identity = tuple[Key, str]


class Failure(Exception):
    """One attempt failed. `ways` are sets of choices that, left out, may let another attempt succeed."""

    def __init__(self, error: Unsolvable, ways: Iterable[frozenset[Identity]]) -> None:
        super().__init__(str(error))
        self.error = error
        self.ways = tuple(dict.fromkeys(ways))


class Reason(NamedTuple):
    """Why a package is in the set: which other needs it, and how that says so."""

    parent: Key
    group: Group


def solve(universe: Universe, roots: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The set that `roots` need, they and the Essential packages included, sorted by key.

    Of each root all versions that would do, the best first. Raises `Unsolvable`.
    """
    attempts = [frozenset[Identity]()]
    seen = set(attempts)
    first: Unsolvable | None = None
    for _ in range(_MOST_ATTEMPTS):
        if not attempts:
            break
        excluded = attempts.pop()
        try:
            chosen = _Attempt(universe, excluded).run(roots)
        except Failure as failure:
            first = first or failure.error
            # The first of them is tried first: it is the last on the stack.
            for way in reversed(failure.ways):
                more = excluded | way
                if more not in seen:
                    seen.add(more)
                    attempts.append(more)
        else:
            return [chosen[key] for key in sorted(chosen)]
    assert first is not None
    raise first


class _Attempt:
    """One pass with some choices left out."""

    def __init__(self, universe: Universe, excluded: frozenset[Identity]) -> None:
        self._universe, self._excluded = universe, excluded
        self._chosen: dict[Key, Candidate] = {}
        self._provided: dict[str, list[tuple[Candidate, str]]] = {}
        self._by_name: dict[str, list[Candidate]] = {}
        self._reasons: dict[Key, Reason | None] = {}
        self._roots: dict[Key, Sequence[Candidate]] = {}
        self._queue: deque[Candidate] = deque()

    def run(self, roots: Sequence[Sequence[Candidate]]) -> dict[Key, Candidate]:
        for options in roots:
            self._add_root(options)
        for essential in self._universe.essential():
            if essential.key not in self._chosen:
                self._add_root(
                    [each for each in self._universe.named(essential.name) if each.key == essential.key]
                )
        while self._queue:
            package = self._queue.popleft()
            for group in package.depends:
                self._settle(package, group)
        self._check_conflicts()
        return self._chosen

    def _add_root(self, options: Sequence[Candidate]) -> None:
        left = [each for each in options if each.identity not in self._excluded]
        if not left:
            raise Failure(Unsolvable(f"no version of {options[0].name} goes with the rest"), ())
        present = self._chosen.get(left[0].key)
        if present is not None and present.version != left[0].version:
            raise Failure(Unsolvable(f"both {present} and {left[0]} are asked for"), ())
        self._roots[left[0].key] = options
        if present is None:
            self._add(left[0], None)

    def _add(self, candidate: Candidate, reason: Reason | None) -> None:
        self._chosen[candidate.key] = candidate
        self._reasons[candidate.key] = reason
        self._by_name.setdefault(candidate.name, []).append(candidate)
        for relation in candidate.provides:
            self._provided.setdefault(relation.name, []).append((candidate, relation.version))
        self._queue.append(candidate)

    def _settle(self, package: Candidate, group: Group) -> None:
        """Have one of the alternatives of a group among the chosen packages."""
        if any(self._is_satisfied(relation, package) for relation in group):
            return
        for relation in group:
            for option in self._options(relation, package):
                if option.key not in self._chosen:
                    self._add(option, Reason(package.key, group))
                    return
        raise self._unsettled(package, group)

    def _is_satisfied(self, relation: Relation, package: Candidate) -> bool:
        native, needing = self._universe.architecture, package.key[1]
        for each in self._by_name.get(relation.name, ()):
            if fits(relation, each.version) and reaches(relation, needing, each, native):
                return True
        for each, version in self._provided.get(relation.name, ()):
            if provides(relation, version) and reaches(relation, needing, each, native):
                return True
        return False

    def _options(self, relation: Relation, package: Candidate) -> Iterator[Candidate]:
        """What would satisfy a relation, the best first, those left out not among them."""
        native, needing = self._universe.architecture, package.key[1]
        real = [
            each
            for each in self._universe.named(relation.name)
            if fits(relation, each.version) and reaches(relation, needing, each, native)
        ]
        virtual = [
            each
            for each, version in self._universe.providers(relation.name)
            if provides(relation, version) and reaches(relation, needing, each, native)
        ]
        for found in (real, virtual):
            # A program of the base's own architecture serves others as well, where it may.
            found.sort(key=lambda each: (each.key[1] != native, each.key[1] != needing))
            yield from (each for each in found if each.identity not in self._excluded)

    # What went wrong

    def _unsettled(self, package: Candidate, group: Group) -> Failure:
        # What would do may be chosen already, in a version that does not.
        ways = [
            frozenset({self._chosen[option.key].identity})
            for relation in group
            for option in self._options(relation, package)
        ]
        text = f"{package} needs {show_group(group)}: {self._lacking(group)}"
        error = Unsolvable(text, chain=tuple(self._chain(package.key)))
        return Failure(error, [*ways, *self._avoidable(package)])

    def _avoidable(self, package: Candidate) -> list[frozenset[Identity]]:
        """The package, or what brought it in, as far as another could have been chosen in its place."""
        found = []
        key: Key | None = package.key
        while key is not None:
            reason = self._reasons[key]
            if self._has_alternative(key, reason):
                found.append(frozenset({self._chosen[key].identity}))
            key = reason.parent if reason else None
        return found

    def _has_alternative(self, key: Key, reason: Reason | None) -> bool:
        if reason is None:
            options = [each for each in self._roots[key] if each.identity not in self._excluded]
        else:
            parent = self._chosen[reason.parent]
            options = [option for relation in reason.group for option in self._options(relation, parent)]
        return any(option.identity != self._chosen[key].identity for option in options)

    def _lacking(self, group: Group) -> str:
        told = []
        for relation in group:
            there = self._universe.named(relation.name)
            chosen = self._by_name.get(relation.name)
            if chosen:
                told.append(f"{chosen[0]} is chosen already")
            elif there:
                versions = ", ".join(dict.fromkeys(each.version for each in there))
                told.append(f"there is {relation.name} {versions}")
            else:
                told.append(f"there is no {relation.name}")
        return "; ".join(dict.fromkeys(told))

    def _chain(self, key: Key) -> Iterator[str]:
        """From the package that fails to the one that was asked for."""
        reason = self._reasons[key]
        while reason is not None:
            yield f"{self._label(key)} is needed by {self._label(reason.parent)}"
            key = reason.parent
            reason = self._reasons[key]

    def _label(self, key: Key) -> str:
        return key[0] if key[1] == self._universe.architecture else f"{key[0]}:{key[1]}"

    def _check_conflicts(self) -> None:
        for package in self._chosen.values():
            for relation in package.conflicts:
                for other in self._hit(relation, package):
                    text = f"{package} conflicts with {relation}, and {other} is needed too"
                    raise self._conflict(package, other, text)
        self._check_twins()

    def _check_twins(self) -> None:
        """Packages of one name for several architectures: all "same", and of one version."""
        ahead: set[Identity] = set()
        for twins in self._by_name.values():
            if len(twins) < 2:
                continue
            for other in twins:
                if other.package.multi_arch != "same":
                    first = twins[0] if other is not twins[0] else twins[1]
                    where = " and ".join(sorted((first.key[1], other.key[1])))
                    raise self._conflict(first, other, f"{first.name} cannot be there for {where} at once")
            oldest = min(twins, key=lambda each: version_key(each.version))
            ahead |= {each.identity for each in twins if each.version != oldest.version}
        if ahead:
            names = ", ".join(sorted({f"{key[0]} {version}" for key, version in ahead}))
            raise Failure(Unsolvable(f"not for all architectures there is {names}"), [frozenset(ahead)])

    def _hit(self, relation: Relation, package: Candidate) -> Iterable[Candidate]:
        """Chosen packages that a negative relation means. A package is never against its own kind."""
        for other in self._by_name.get(relation.name, ()):
            if other.name != package.name and fits(relation, other.version) and _is_meant(relation, other):
                yield other
        for other, version in self._provided.get(relation.name, ()):
            if other.name != package.name and provides(relation, version) and _is_meant(relation, other):
                yield other

    def _conflict(self, package: Candidate, other: Candidate, text: str) -> Failure:
        chain = (*self._chain(package.key), *self._chain(other.key))
        return Failure(Unsolvable(text, chain=chain), [*self._avoidable(other), *self._avoidable(package)])


def _is_meant(relation: Relation, other: Candidate) -> bool:
    return relation.architecture in ("", "any", other.key[1])
