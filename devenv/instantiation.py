"""The stage from a locked project to its environment as derivations. No network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from devenv.basis import Basis, platform_name
from devenv.completion import all_queries, plan_builds
from devenv.config.parameters import settle
from devenv.environment.instantiate import Instantiated, Locations, instantiate
from devenv.project import Project, StaleLock

if TYPE_CHECKING:
    from devenv.adapter import CargoSource
    from devenv.config.lock import Lock
    from devenv.debian.locked import LockedDeb
    from devenv.workplace import Workplace


def instantiate_project(project: Project) -> tuple[Instantiated, tuple[str, ...]]:
    """The environment of a project whose devenv.lock fits, and the notices of its plans.

    Raises StaleLock, ConfigError or another DevenvError, as Problems for several.
    """
    config = settle(project.config, project.given)
    lock = project.current_lock()
    basis = Basis.of(lock, project.settings.environ)
    plans = plan_builds(project, project.lockfiles, basis, lock.files)
    open_queries = all_queries(plans)
    if open_queries:
        raise StaleLock([f"it lacks an answer for {query.key}" for query in open_queries[:10]])
    from devenv.npm_preparation import preparation_of

    place = project.workplace
    if lock.crates is not None:
        place.assume_crates(lock.crates)
    made = instantiate(
        config=config,
        lock=lock,
        lockfiles=plans,
        python=basis.python,
        store_dir=place.layout.store_dir,
        locations=_locations(place, lock),
        platform=platform_name(),
        preparation=lambda tree, rules: preparation_of(tree, basis.target, rules),
    )
    notices = (*(notice for entry in plans for notice in entry.plan.notices), *made.notices)
    return made, notices


def _locations(place: Workplace, lock: Lock) -> Locations:
    return Locations(
        absolute=_absolute(place),
        candidates=place.endpoints.candidates,
        cargo_index=lambda: place.endpoints.crates.default.locked,
        cargo_source_name=partial(_cargo_source_name, place),
        base_urls=_base_urls(place, lock),
    )


def _cargo_source_name(place: Workplace, directory: str, source: CargoSource) -> str | None:
    settings = place.endpoints.crates.settings_in(directory)
    return settings.source_name(source.kind, source.url, source.selector)


def _base_urls(place: Workplace, lock: Lock) -> Callable[[LockedDeb], list[str]]:
    if lock.base is None:
        return lambda deb: []
    from devenv.debian.base import url_lookup

    return url_lookup(place.endpoints, lock.base)


def _absolute(place: Workplace) -> Callable[[str], str]:
    """Where a file is, by its URL in a lock; for a directory of a project the copy in the store that it would have."""
    from devenv.derivations.wheels import DIRECTORY
    from devenv.providers.local_sources import source_tree
    from devenv.recipes.sources import source_path

    def absolute(url: str) -> str:
        if url.startswith(DIRECTORY):
            return source_path(source_tree(url.removeprefix(DIRECTORY)), place.layout.store_dir)
        return place.endpoints.absolute(url)

    return absolute
