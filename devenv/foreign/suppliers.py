"""Which packages of which base have what a program lacks: the archive's indices, asked for one program at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Self

from devenv.debian.contents import Contents, Found, open_contents
from devenv.debian.errors import DebianError
from devenv.debian.family import COMPONENTS, parse_base
from devenv.debian.index import Index, open_index
from devenv.debian.suites import Places, open_suite
from devenv.errors import DevenvError
from devenv.foreign.families import Family, best
from devenv.foreign.program import TRIPLETS

# Releases, oldest first, with what the libraries everything else stands on define there. From the packages libc6 and
# libstdc++6 of each; GCC's manual has the second and third as a table ("ABI Policy and Guidelines").
RELEASES: tuple[tuple[str, Mapping[str, tuple[int, ...]]], ...] = (
    ("debian/bullseye", {"GLIBC": (2, 31), "GLIBCXX": (3, 4, 28), "CXXABI": (1, 3, 12)}),
    ("debian/bookworm", {"GLIBC": (2, 36), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)}),
    ("debian/trixie", {"GLIBC": (2, 41), "GLIBCXX": (3, 4, 33), "CXXABI": (1, 3, 15)}),
    ("debian/sid", {}),  # whatever there is
)


def version_of(text: str) -> tuple[str, tuple[int, ...]] | None:
    """("GLIBC", (2, 38)) of "GLIBC_2.38"; None where it is no number, as in GLIBC_PRIVATE."""
    name, _, number = text.partition("_")
    parts = number.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return name, tuple(int(part) for part in parts)


def newest(versions: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The highest number of each name: {"GLIBC": (2, 38)}."""
    found: dict[str, tuple[int, ...]] = {}
    for text in versions:
        parsed = version_of(text)
        if parsed is not None:
            found[parsed[0]] = max(parsed[1], found.get(parsed[0], ()))
    return found


def suits(base: str, wanted: Mapping[str, tuple[int, ...]]) -> bool:
    """Does a release define the versions that are wanted? Unknown releases are taken to."""
    has = dict(RELEASES).get(base, {})
    return all(number <= has[name] for name, number in wanted.items() if name in has)


def base_for(wanted: Mapping[str, tuple[int, ...]], preferred: str) -> str:
    """The preferred base if its C and C++ libraries are new enough, else the oldest newer one whose are."""
    if suits(preferred, wanted):
        return preferred
    names = [name for name, _ in RELEASES]
    later = names[names.index(preferred) + 1 :] if preferred in names else names
    return next((name for name in later if suits(name, wanted)), names[-1])


class Suppliers:
    """The packages of one base, by the files they have. Indices are opened when first asked for."""

    def __init__(self, places: Places, base: str, *, machine: str, max_age: float) -> None:
        """`machine` is the architecture of which packages need not be said to be."""
        self.base = base
        self._machine = machine
        self._places = places
        self._max_age = max_age
        self._held = ExitStack()
        self._opened: dict[str, Contents | None] = {}
        self._indices: dict[str, Index | None] = {}
        self.problems: list[DevenvError] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def library(self, soname: str, architecture: str) -> str | None:
        """The package that has a library where the loader looks; of several the one called like it."""
        triplet = TRIPLETS.get(architecture, "")
        found = self._find(soname, architecture)
        usual: list[Found] = []
        for place in (f"/usr/lib/{triplet}", "/usr/lib", "/usr/lib64"):
            usual = usual or [each for each in found if os.path.dirname(each.path) == place]
        inner = [each for each in found if f"/{triplet}/" in each.path]
        return _likeliest(soname, usual) or _likeliest(soname, inner)

    def newest_library(self, family: Family, architecture: str) -> str | None:
        """The package with the highest version of a library that is of the family."""
        directory = f"/usr/lib/{TRIPLETS.get(architecture, '')}"
        found = {
            os.path.basename(each.path): each.package
            for each in self._ask(family.glob, architecture)
            if os.path.dirname(each.path) == directory
        }
        name = best(family, found)
        return found[name] if name is not None else None

    def qualified(self, name: str, architecture: str) -> str | None:
        """A package as requests name it: with its architecture, if that is not the machine's. None: there is no such."""
        index = self._index(architecture)
        if index is None:
            return name if architecture == self._machine else f"{name}:{architecture}"
        found = index.named(name) or [package for package, _ in index.providers(name)]
        if not found:
            return None
        return name if found[0].architecture in ("all", self._machine) else f"{name}:{architecture}"

    def program(self, name: str, architecture: str) -> str | None:
        """The package that has a program on the usual PATH: the whole of it, where a part is a package of its own."""
        places = ("/usr/bin", "/usr/sbin", "/usr/games")
        found = [each for each in self._find(name, architecture) if os.path.dirname(each.path) in places]
        package = _likeliest(name, found)
        if package is not None and package.endswith(("-minimal", "-base")):
            whole = package.rpartition("-")[0]
            return whole if self.qualified(whole, architecture) is not None else package
        return package

    def _index(self, architecture: str) -> Index | None:
        if architecture not in self._indices:
            self._indices[architecture] = None
            try:
                suite = open_suite(self._places, parse_base(self.base).suites[0], max_age=self._max_age)
                index = open_index(suite, COMPONENTS[0], architecture)
            except DevenvError as error:
                self.problems.append(error)
            else:
                if index is not None:
                    self._held.callback(index.close)
                self._indices[architecture] = index
        return self._indices[architecture]

    def _find(self, name: str, architecture: str) -> list[Found]:
        return [] if any(mark in name for mark in "*?[") else self._ask(name, architecture)

    def _ask(self, name: str, architecture: str) -> list[Found]:
        if architecture not in self._opened:
            self._opened[architecture] = None
            try:
                opened = open_contents(
                    self._places, parse_base(self.base), architecture, max_age=self._max_age
                )
                self._opened[architecture] = self._held.enter_context(opened)
            except (
                DevenvError
            ) as error:  # without network there are no packages' names, but all else can be said
                self.problems.append(error)
        contents = self._opened[architecture]
        if contents is None:
            return []
        with suppress(DebianError):
            return contents.find(name)
        return []


def _likeliest(name: str, found: Sequence[Found]) -> str | None:
    """Of packages that have a file of one name, the one whose name begins most like it, the shortest of those."""
    plain = name.lower().replace(".so.", "").replace(".so", "").replace("-", "")

    def rank(package: str) -> tuple[bool, int, int, str]:
        short = package.replace("-", "")
        same = next((i for i, (a, b) in enumerate(zip(short, plain, strict=False)) if a != b), len(plain))
        return package.endswith("-dev"), -same, len(package), package

    return min({each.package for each in found}, key=rank, default=None)
