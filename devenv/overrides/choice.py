"""Which override is a package's, and which packages there are to override."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from devenv.adapter import (
    BuildQuery,
    CargoSources,
    NodeModules,
    NpmQuery,
    Package,
    Plan,
    PypiQuery,
    RQuery,
    View,
)
from devenv.config.overrides import KINDS, Override, OverrideError

# Kind -> name -> versions.
Known = Mapping[str, Mapping[str, set[str]]]


def override_of(package: Package, overrides: Sequence[Override]) -> Override | None:
    """The most exact override of a package, as the lockfile has it."""
    found = [each for each in overrides if each.is_of(package.name, package.version)]
    return max(found, key=lambda each: each.only is not None, default=None)


def kind_of(view: View) -> str:
    """What the packages of a view are called in overrides."""
    if isinstance(view, NodeModules):
        return "npm"
    if isinstance(view, CargoSources):
        return "crate"
    return "r" if hasattr(view, "r_version") else "pip"


def known_packages(plans: Iterable[Plan]) -> Known:
    """What plans have, and what they ask about: packages that can be overridden."""
    found: dict[str, dict[str, set[str]]] = {kind: {} for kind in KINDS}
    for plan in plans:
        names = found[kind_of(plan.view)]
        for package in plan.packages:
            names.setdefault(package.name, set()).add(package.version)
        for query in plan.queries:
            if isinstance(query, NpmQuery | PypiQuery | BuildQuery | RQuery):
                names.setdefault(query.name, set()).add(query.version)
    return found


def missing(overrides: Iterable[Override], known: Known) -> list[OverrideError]:
    """An error for each override of a package, or a version of one, that no lockfile has."""
    found = []
    for override in overrides:
        versions = known[override.kind].get(override.name)
        if versions is None:
            problem = f"no lockfile has a package {override.name} of the kind {override.kind}"
            found.append(
                OverrideError(override.origin, problem, suggestion(override.kind, override.name, known))
            )
        elif override.only is not None and override.only not in versions:
            there = ", ".join(sorted(versions))
            found.append(
                OverrideError(
                    override.origin, f"the lockfile has {override.name} {there}, not {override.only}"
                )
            )
    return found


def suggestion(kind: str, name: str, known: Known) -> str:
    """What may have been meant."""
    others = [each for each in known if each != kind and name in known[each]]
    close = [f"{kind}:{each}" for each in get_close_matches(name, known[kind], 3)]
    close = [f"{each}:{name}" for each in others] + close
    return f"did you mean {' or '.join(close)}?" if close else "`devenv override --list` shows what there is"
