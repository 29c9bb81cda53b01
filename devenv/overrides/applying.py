"""Overrides applied to what an adapter makes of a lockfile: to its packages, and to what it asks.

An adapter needs to know nothing of it: what it makes are values (`devenv.adapter`), and so is what they become. Where an
override has an adapter's question asked differently (another version of an R package, further requirements of a
build), the answer is handed to the adapter as the one to its own. What the override itself has to ask is added to the plan's
queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from devenv.adapter import (
    BuildQuery,
    CargoSources,
    Completions,
    NodeModules,
    Package,
    Plan,
    Query,
    RemoteFile,
    RLibrary,
    RQuery,
    SitePackages,
    Target,
)
from devenv.config.overrides import Override
from devenv.overrides.choice import override_of
from devenv.overrides.node import overridden_node
from devenv.overrides.python import changed_build, overridden_python
from devenv.overrides.sources import check_hash, file_of_source

MakePlan = Callable[[Completions], Plan]
_MOST_ROUNDS = 6


def overridden(
    make: MakePlan, overrides: Sequence[Override], completions: Completions, target: Target
) -> Plan:
    """The plan that `make` gives for answers, as `overrides` of its ecosystem have it.

    Raises OverrideError, or Problems of them, for what cannot be done.
    """
    plan = _asking_otherwise(make, overrides, completions)
    view = plan.view
    if isinstance(view, NodeModules):
        return overridden_node(plan, view, overrides, completions)
    if isinstance(view, SitePackages):
        return overridden_python(plan, view, overrides, completions, target)
    if isinstance(view, CargoSources):
        return _overridden_crates(plan, view, overrides, completions)
    return _overridden_library(plan, view, overrides)


def _asking_otherwise(make: MakePlan, overrides: Sequence[Override], completions: Completions) -> Plan:
    """The plan with the adapter's questions as overrides have them asked, and with the answers to these."""
    known = dict(completions)
    for _ in range(_MOST_ROUNDS):
        plan = make(known)
        asked = [(query, _asked(query, overrides)) for query in plan.queries]
        answered = {
            mine.key: completions[other.key]
            for mine, other in asked
            if mine is not other and other.key in completions and mine.key not in known
        }
        if not answered:
            break
        known |= answered
    return replace(plan, queries=tuple(other for _, other in asked))


def _asked(query: Query, overrides: Sequence[Override]) -> Query:
    """A question of an adapter as it is asked; itself where nothing about its package is overridden."""
    for override in overrides:
        if isinstance(query, BuildQuery) and override.is_of(query.name, query.version):
            return changed_build(query, override)
        if isinstance(query, RQuery) and override.is_of(query.name, query.version):
            return _changed_source(query, override)
    return query


def _changed_source(query: RQuery, override: Override) -> RQuery:
    """Where a source in R is looked for: at another place, or at that of another version in the same repositories."""
    version = override.version or query.version
    if override.source is not None:
        place = override.source.url
        return replace(
            query, version=version, origin=place, places=(place,), directory=override.source.directory
        )
    before, after = (f"{query.name}_{each}.tar.gz" for each in (query.version, version))
    return replace(query, version=version, places=tuple(each.replace(before, after) for each in query.places))


def _overridden_library(plan: Plan, view: RLibrary, overrides: Sequence[Override]) -> Plan:
    """Files, and what they need, are right already, by the questions that were asked."""
    packages, directories = [], dict(view.directories)
    for package in view.packages:
        override = override_of(package, overrides)
        if override is not None:
            if override.source is not None:
                check_hash(override, package.file)
                directories[package.name] = override.source.directory
            package = replace(package, version=override.version or package.version, changes=override.changes)
        packages.append(package)
    return replace(plan, view=replace(view, packages=tuple(packages), directories=directories))


def _overridden_crates(
    plan: Plan, view: CargoSources, overrides: Sequence[Override], completions: Completions
) -> Plan:
    """Crates with other contents under the name, the version and the checksum that Cargo.lock has."""
    queries: list[Query] = []

    def changed(package: Package) -> Package:
        override = override_of(package, overrides)
        if override is None:
            return package
        if override.source is None:
            return replace(package, changes=override.changes)
        file = file_of_source(override, package.version, completions, package.file)
        if not isinstance(file, RemoteFile):
            queries.append(file)
            return package
        if file == package.file:
            return replace(package, changes=override.changes)
        checksum = package.file.hash.hex if package.format == "crate" else ""
        form: Literal["git-crate", "crate"] = "git-crate" if file.url.startswith("git+") else "crate"
        return replace(package, format=form, file=file, checksum=checksum, changes=override.changes)

    crates = {
        source: {name: changed(package) for name, package in found.items()}
        for source, found in view.crates.items()
    }
    return replace(plan, view=replace(view, crates=crates), queries=(*plan.queries, *queries))
