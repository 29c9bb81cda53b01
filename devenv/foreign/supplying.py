"""A verdict for a root: the base that suits, and the packages of it that have what a program lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from devenv.foreign.loading import Library
from devenv.foreign.needs import Needs
from devenv.foreign.program import Program
from devenv.foreign.suppliers import RELEASES, Suppliers, base_for, newest, suits
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.verdict import NOTHING, ROOT, Missing, Verdict


def in_root(
    verdict: Verdict, program: Program, found: Needs, reasons: Sequence[str], around: Surroundings
) -> Verdict:
    """`verdict` with a base and packages; not to be run where a required library is in none."""
    base = base_for(newest(found.versions), around.base)
    made, problem = _best(verdict, program, found, _candidates(base, found), around)
    if base != around.base and made.base == base:
        reasons = [*reasons, f"{around.base} is too old for it"]
    if not made.unsupplied:
        return replace(made, reasons=tuple(reasons))
    names = listed([each.soname for each in made.unsupplied])
    hint: tuple[str, ...] = ()
    if problem:
        absent = {each.soname for each in found.libraries if each.where == "missing"}
        lacking = tuple(each for each in made.missing if each.soname in absent)
        made = replace(made, missing=lacking, looked_up=False)
        why, hint = "who has its libraries could not be looked up", (problem,)
    elif program.libc == "musl":
        why, hint = f"no package has {names} built for musl", ("look for a download for glibc",)
    else:
        why = f"no package has {names}"
    return replace(made, route=NOTHING, reasons=(*reasons, why), notes=(*made.notes, *hint))


def listed(names: Sequence[str]) -> str:
    """The first few of many names."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _candidates(base: str, found: Needs) -> list[str]:
    """The base; then older ones that are new enough: they may still have a library that later ones dropped."""
    names = [name for name, _ in RELEASES]
    older = names[: names.index(base)] if base in names else []
    wanted = newest(found.versions)
    return [base, *(name for name in reversed(older) if suits(name, wanted))]


def _best(
    verdict: Verdict, program: Program, found: Needs, bases: Sequence[str], around: Surroundings
) -> tuple[Verdict, str]:
    """The verdict for the first base that has everything, else for the one that lacks least; why none could be asked."""
    tried: list[Verdict] = []
    for base in bases:
        with around.suppliers(base) as suppliers:
            tried.append(_supplied(verdict, program, found, suppliers, around))
            problem = str(suppliers.problems[0]) if suppliers.problems else ""
        if problem or not tried[-1].unsupplied:
            return tried[-1], problem
    return min(tried, key=lambda each: len(each.unsupplied)), ""


class _Basket:
    """Packages of one base, as requests name them."""

    def __init__(self, suppliers: Suppliers, architecture: str) -> None:
        self.suppliers, self.architecture = suppliers, architecture
        self.packages: dict[str, None] = {}

    def add(self, package: str | None) -> str | None:
        full = self.suppliers.qualified(package, self.architecture) if package is not None else None
        if full is not None:
            self.packages[full] = None
        return full

    def library(self, soname: str) -> str | None:
        return self.add(self.suppliers.library(soname, self.architecture))

    def guessed_library(self, soname: str) -> str | None:
        """A string that looks like a library may be anything: daemons and plug-ins are not added for it."""
        package = self.suppliers.library(soname, self.architecture)
        return self.add(package) if package is not None and package.startswith("lib") else None


def _supplied(
    verdict: Verdict, program: Program, found: Needs, suppliers: Suppliers, around: Surroundings
) -> Verdict:
    """The verdict with packages of one base. A root replaces the whole system, so all that is the system's is asked for."""
    basket = _Basket(suppliers, program.architecture or around.machine)
    if program.libc == "musl":
        missing = _of_musl(found, basket)
    else:
        missing = [
            *_of_glibc(program, found, basket, around),
            *_opened(program, found, basket, around),
            *_of_families(found, basket, program),
        ]
    missing.sort(key=lambda each: (not each.required, each.soname))
    return replace(
        verdict,
        route=ROOT,
        base=suppliers.base,
        packages=tuple(sorted({*basket.packages, *around.packages})),
        missing=tuple(missing),
    )


def _of_musl(found: Needs, basket: _Basket) -> list[Missing]:
    """Distributions that are built for glibc have nothing for musl but musl."""
    basket.add("musl")
    own = ("libc.musl-", "ld-musl-")
    return [
        _missing(each, None, found)
        for each in found.libraries
        if not _is_brought(each) and not each.soname.startswith(own) and each.soname != "libc.so"
    ]


def _of_glibc(program: Program, found: Needs, basket: _Basket, around: Surroundings) -> list[Missing]:
    if program.interpreter is not None and basket.architecture != around.machine:
        basket.library("libc.so.6")
    missing = []
    for each in found.libraries:
        if not _is_brought(each):
            package = basket.library(each.soname)
            if each.where == "missing" or package is None:
                missing.append(_missing(each, package, found))
    return missing


def _is_brought(library: Library) -> bool:
    return library.where in ("bundled", "beside")


def _missing(library: Library, package: str | None, found: Needs) -> Missing:
    required = library.soname not in found.optional
    return Missing(soname=library.soname, package=package, required=required, by=library.by)


def _opened(program: Program, found: Needs, basket: _Basket, around: Surroundings) -> list[Missing]:
    """What is opened by name: those that packages have; of features also what these do not name themselves."""
    missing = []
    for soname in found.opened:
        package = basket.guessed_library(soname)
        if package is not None and around.host.find(soname, basket.architecture) is None:
            missing.append(Missing(soname=soname, package=package, required=False, by=(program.path,)))
    for feature in found.features:
        for soname in feature.libraries:
            basket.library(soname)
        for name in feature.packages:
            basket.add(name)
    return missing


def _of_families(found: Needs, basket: _Basket, program: Program) -> list[Missing]:
    """The newest of each that the base has. A vital one that it has not may be in an older base."""
    missing = []
    for family in found.families:
        package = basket.add(basket.suppliers.newest_library(family, basket.architecture))
        if package is None:
            lacking = Missing(soname=str(family), package=None, required=family.vital, by=(program.path,))
            missing.append(lacking)
    return missing
