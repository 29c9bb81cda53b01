"""A set of unpacked packages as those know it who configure it: what each is, what it needs, in which order. Pure but
for `read_packages`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from devenv.derivations.errors import BuildError
from devenv.formats.deb822 import Stanza, parse_one
from devenv.formats.debian_relations import Group, parse_relations
from devenv.formats.errors import FormatError

INFO = "var/lib/dpkg/info"

# This one looks for names of compilers, such as cc, that other scripts make.
_LAST = frozenset({"ccache"})
# Others cannot run before these: names of users, the shell, what most scripts are written with. dpkg's own tools that
# bring up a new system configure them first, too.
_FIRST = ("base-passwd", "base-files", "dash", "mawk", "libc-bin", "dpkg", "perl-base", "debconf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`key` is what dpkg's files of it are called: "libc6:amd64", "bash". `scripts` are the kinds that it has."""

    key: str
    fields: Stanza
    scripts: frozenset[str] = frozenset()
    conffiles: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()  # names of triggers that its postinst is to be told of
    activates: tuple[str, ...] = ()  # those that configuring it sets off

    @property
    def name(self) -> str:
        return self.fields["package"]

    @property
    def architecture(self) -> str:
        return self.fields["architecture"]

    @property
    def version(self) -> str:
        return self.fields.get("version", "")


def read_packages(trees: Iterable[str]) -> tuple[Package, ...]:
    """The packages that lie unpacked in `trees`, by their keys. Raises BuildError, OSError."""
    found: dict[str, tuple[Package, str]] = {}
    for tree in trees:
        for package in _packages_in(tree):
            _, other = found.setdefault(package.key, (package, tree))
            if other != tree:
                raise BuildError(
                    f"cannot configure {package.key}: it is there twice, from {other} and {tree}",
                    package=package.key,
                )
    return tuple(found[key][0] for key in sorted(found))


def _packages_in(tree: str) -> Iterator[Package]:
    directory = f"{tree}/{INFO}"
    files: dict[str, dict[str, str]] = {}
    for name in os.listdir(directory):
        key, _, kind = name.rpartition(".")
        files.setdefault(key, {})[kind] = f"{directory}/{name}"
    for key, kinds in files.items():
        if "control" in kinds:
            try:
                yield _package(key, kinds)
            except FormatError as error:
                raise BuildError(
                    f"cannot configure {key}: its control file is damaged: {error}", package=key
                ) from error


def _package(key: str, kinds: Mapping[str, str]) -> Package:
    triggers = [line.split() for line in _lines(kinds.get("triggers")) if not line.startswith("#")]
    named = [(words[0].partition("-")[0], words[1]) for words in triggers if len(words) == 2]
    conffiles = (line.strip() for line in _lines(kinds.get("conffiles")))
    return Package(
        key=key,
        fields=parse_one(_read(kinds["control"])),
        scripts=frozenset(kinds) & {"postinst", "config"},
        conffiles=tuple(line for line in conffiles if line.startswith("/")),
        interests=tuple(name for kind, name in named if kind == "interest"),
        activates=tuple(name for kind, name in named if kind == "activate"),
    )


def _lines(path: str | None) -> list[str]:
    return [] if path is None else _read(path).splitlines()


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def in_order(packages: Iterable[Package]) -> list[Package]:
    """`packages`, each after those that it depends on as far as that is possible, always in the same order.

    Where packages depend on each other in a circle, it is cut where the one that is reached first needs the last.
    """
    by_name = sorted(packages, key=lambda package: package.key)
    suppliers = _Suppliers(by_name)
    first = [package for name in _FIRST for package in suppliers.named.get(name, ())]
    essential = [package for package in by_name if package.fields.get("essential") == "yes"]
    placed: dict[str, Package] = {}
    begun: set[str] = set()
    at_ease = sorted(by_name, key=lambda package: package.name in _LAST)
    for top in (*first, *essential, *at_ease):
        stack = [(top, suppliers.of(top))] if top.key not in begun else []
        begun.add(top.key)
        while stack:
            package, needs = stack[-1]
            below = next((each for each in needs if each.key not in begun), None)
            if below is None:
                stack.pop()
                placed[package.key] = package
            else:
                begun.add(below.key)
                stack.append((below, suppliers.of(below)))
    return list(placed.values())


@dataclass(slots=True)
class _Suppliers:
    """Who gives what others depend on."""

    packages: list[Package]
    named: dict[str, list[Package]] = field(init=False, default_factory=dict)
    provided: dict[str, list[Package]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for package in self.packages:
            self.named.setdefault(package.name, []).append(package)
            for group in parse_relations(package.fields.get("provides", "")):
                self.provided.setdefault(group[0].name, []).append(package)

    def of(self, package: Package) -> Iterator[Package]:
        """What `package` needs, most urgent first. Of several alternatives all that are there count."""
        for relations in ("pre-depends", "depends"):
            for group in parse_relations(package.fields.get(relations, "")):
                yield from self._group(package, group)

    def _group(self, package: Package, group: Group) -> Iterator[Package]:
        for relation in group:
            found = [*self.named.get(relation.name, ()), *self.provided.get(relation.name, ())]
            # A library of the same architecture comes first, of the other one not at all where there is that.
            same = [each for each in found if each.architecture in (package.architecture, "all")]
            yield from (each for each in same or found if each is not package)
