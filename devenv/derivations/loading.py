"""Derivations read back from a store's .drv files, as nodes that can be realised again."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.derivations.graph import Graph
from devenv.errors import DevenvError
from devenv.formats.derivation import Derivation, name_of_drv, parse
from devenv.formats.store_path import StoreDir, StorePath


def load_graph(store_dir: StoreDir, drvs: Iterable[StorePath]) -> tuple[Graph, dict[StorePath, DevenvError]]:
    """The graph of these .drv files and all below them, and why some of the given ones cannot be in it.

    The files need not be registered; each must be readable.
    """
    graph = Graph(store_dir)
    problems: dict[StorePath, DevenvError] = {}
    for drv in drvs:
        try:
            _load(graph, drv)
        except DevenvError as error:
            problems[drv] = error
    return graph, problems


def _load(graph: Graph, top: StorePath) -> None:
    """Inputs first, on a stack of our own: chains of derivations may be long."""
    read: dict[StorePath, tuple[bytes, Derivation]] = {}
    stack = [(top, False)]
    while stack:
        drv, is_left = stack.pop()
        if is_left:
            if any(below not in graph.nodes for below in read[drv][1].input_derivations):
                raise DevenvError(f"reading {drv}: it is needed to make itself")
            data, derivation = read[drv]
            graph.adopt(drv, derivation, data)
        elif drv not in read and drv not in graph.nodes:
            read[drv] = _read(graph.store_dir, drv)
            stack.append((drv, True))
            stack.extend((below, False) for below in read[drv][1].input_derivations)


def _read(store_dir: StoreDir, drv: StorePath) -> tuple[bytes, Derivation]:
    try:
        with open(drv, "rb") as file:
            data = file.read()
    except OSError as error:
        raise DevenvError(f"reading {drv}: {error.strerror}") from error
    return data, parse(data, name_of_drv(drv), store_dir)
