"""Building derivations that lie in the store, whoever wrote them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from devenv.derivations.packages import BYTECODE
from devenv.derivations.plan import FETCHERS
from devenv.errors import DevenvError, raise_problems
from devenv.formats.store_path import StorePath
from devenv.workplace import Workplace

if TYPE_CHECKING:
    from devenv.derivations.graph import Graph
    from devenv.derivations.process import BuildOptions
    from devenv.foresight import Foreseen
    from devenv.store.layout import Layout
    from devenv.store.local import Store


def realise_derivations(
    place: Workplace,
    drvs: Sequence[StorePath],
    options: BuildOptions | None = None,
    *,
    keep_going: bool = True,
) -> list[StorePath]:
    """Make all outputs of these .drv files valid; gives them, in the order of the files and of their names.

    Raises BuildError, FetchError, StoreError, or Problems for several.
    """
    from devenv.caching import substitution
    from devenv.derivations.loading import load_graph
    from devenv.derivations.realise import realise
    from devenv.store.local import Store

    with Store.open(place.layout, reporter=place.settings.reporter) as store:
        graph, problems = load_graph(store.store_dir, drvs)
        raise_problems(problems.values())
        targets = [graph.nodes[drv] for drv in drvs]
        realise(
            store,
            graph,
            targets,
            client=place.client if _fetches(graph) else None,
            pythons=host_pythons(place, graph),
            reporter=place.settings.reporter,
            jobs=place.jobs,
            options=options,
            keep_going=keep_going,
            bring=substitution(place, store),
        )
    return [path for node in targets for _, path in sorted(node.outputs.items())]


def foresee_derivations(place: Workplace, drvs: Sequence[StorePath]) -> Foreseen:
    """What `realise_derivations` would do. Writes nothing."""
    from devenv.derivations.loading import load_graph
    from devenv.foresight import foresee

    graph, problems = load_graph(place.layout.store_dir, drvs)
    raise_problems(problems.values())
    return foresee(place.layout, [graph.nodes[drv] for drv in drvs])


def _fetches(graph: Graph) -> bool:
    return any(node.derivation.builder in FETCHERS for node in graph.nodes.values())


def host_pythons(place: Workplace, graph: Graph) -> dict[str, str]:
    """The machine's interpreters, by version ("3.11"), for the derivations that need one."""
    from devenv.providers.python_host import find_python

    wanted = {
        node.derivation.env.get("python")
        for node in graph.nodes.values()
        if node.derivation.builder == BYTECODE
    }
    found = {}
    for version in wanted - {None}:
        with suppress(DevenvError):  # said when it is missed
            found[str(version)] = find_python(str(version), place.settings.environ).path
    return found


def build_logs(layout: Layout, paths: Iterable[StorePath]) -> list[str]:
    """The files with what the builders of `paths`, derivations or outputs, printed. Raises one error for all without."""
    from devenv.store.local import Store

    with Store.open(layout) as store:
        found, problems = [], []
        for path in paths:
            log = _log_of(store, path)
            if log is None:
                problems.append(DevenvError(f"{path} was not built here, or printed nothing that is kept"))
            else:
                found.append(log)
    raise_problems(problems)
    return found


def _log_of(store: Store, path: StorePath) -> str | None:
    from devenv.derivations.build_log import log_path

    info = store.info(path)
    drv = path if path.endswith(".drv") else info.deriver if info is not None else None
    plain = log_path(store.layout.log, drv) if drv is not None else ""
    return next((name for name in (plain, f"{plain}.bz2") if plain and os.path.exists(name)), None)
