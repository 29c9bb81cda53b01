"""Repairing a store: damaged objects are made again where their derivation is there, and forgotten otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from devenv.errors import DevenvError, Problems
from devenv.formats.store_path import StorePath
from devenv.store.local import Store
from devenv.store.objects import Objects, closure, referrers_closure
from devenv.store.root_search import Root, RootSearch
from devenv.store.verify import Verified, verify
from devenv.workplace import Workplace

_PROJECT_LINKS = "/.devenv/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What `verify_store` found and did.

    restored: made again in their place; forgotten: unregistered and deleted, with what refers to them
    projects: directories whose environment needs `devenv enter`; failures: why something could not be restored
    """

    verified: Verified
    restored: tuple[StorePath, ...] = ()
    forgotten: tuple[StorePath, ...] = ()
    projects: tuple[str, ...] = ()
    failures: tuple[DevenvError, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong any more."""
        done = {*self.restored, *self.forgotten}
        return all(damage.path is not None and damage.path in done for damage in self.verified.damages)


def verify_store(place: Workplace, *, repair: bool = False) -> Repaired:
    """Check the whole store; with `repair` set right what is wrong. Raises `StoreError`."""
    reporter = place.settings.reporter
    if not os.path.exists(place.layout.database):
        return Repaired(verified=Verified(checked=0, size=0, damages=()))
    with Store.open(place.layout, reporter=reporter) as store:
        verified = verify(store, jobs=place.jobs, reporter=reporter)
        damaged = verified.damaged_paths
        if not repair or not damaged:
            return Repaired(verified=verified)
        objects = store.objects()
        roots = _roots(place, objects)
        for path in damaged:
            store.set_aside(path)
        failures = _make_again(place, store, objects, damaged)
        restored = {path for path in damaged if store.is_valid(path)}
        forgotten = store.forget(referrers_closure(objects, damaged - restored))
        projects = _affected(objects, roots, damaged | forgotten)
        for project in projects:
            failures += _distrust_views(project)
        return Repaired(
            verified=verified,
            restored=tuple(sorted(restored)),
            forgotten=tuple(sorted(forgotten)),
            projects=tuple(projects),
            failures=tuple(failures),
        )


def _roots(place: Workplace, objects: Objects) -> set[Root]:
    search = RootSearch(place.layout, objects)
    search.links()
    return search.roots


def _make_again(
    place: Workplace, store: Store, objects: Objects, damaged: set[StorePath]
) -> list[DevenvError]:
    """Realise the derivations of damaged paths; gives what went wrong."""
    from devenv.derivations.loading import load_graph
    from devenv.derivations.realise import realise
    from devenv.realisation import host_pythons

    drvs = {drv for path in damaged for drv in _derivers(objects, path) if drv not in damaged}
    graph, problems = load_graph(store.store_dir, sorted(drvs))
    targets = [graph.nodes[drv] for drv in sorted(drvs) if drv in graph.nodes]
    failures = list(problems.values())
    if not targets:
        return failures
    try:
        realise(
            store,
            graph,
            targets,
            client=place.client,
            pythons=host_pythons(place, graph),
            reporter=place.settings.reporter,
            jobs=place.jobs,
        )
    except Problems as error:
        failures += error.problems
    except DevenvError as error:
        failures.append(error)
    return failures


def _derivers(objects: Objects, path: StorePath) -> set[StorePath]:
    """The registered derivations that have `path` as an output."""
    return {drv for drv, facts in objects.items() if path in facts.outputs.values()}


def _affected(objects: Objects, roots: Iterable[Root], changed: set[StorePath]) -> list[str]:
    """The projects whose environment has one of `changed` in it."""
    found = set()
    for root in roots:
        project, mark, _ = root.link.rpartition(_PROJECT_LINKS)
        if mark and not changed.isdisjoint(closure(objects, [root.path])):
            found.add(project)
    return sorted(found)


def _distrust_views(project: str) -> list[DevenvError]:
    """Have the views of a project looked at again: their files may be those that were damaged."""
    from devenv.stamp import watched_files
    from devenv.views.compose import distrust
    from devenv.views.operations import JOURNAL

    problems: list[DevenvError] = []
    for name in watched_files(project, os.environ):
        if os.path.basename(name) == JOURNAL:
            try:
                distrust(os.path.dirname(name))
            except DevenvError as error:
                problems.append(error)
    return problems
