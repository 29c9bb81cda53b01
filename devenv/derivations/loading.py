"""Derivations read back from a store's .drv files, as nodes that can be realised again."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.derivations.graph import Graph, Node
from devenv.errors import DevenvError
from devenv.formats.derivation import Derivation, parse
from devenv.formats.store_path import StoreDir, StorePath, name_of


def load_graph(store_dir: StoreDir, drvs: Iterable[StorePath]) -> tuple[Graph, dict[StorePath, DevenvError]]:
    """The graph of these .drv files and all below them, and why some of the given ones cannot be in it.

    The files need not be registered; each must be readable and have the single output "out".
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
            graph.nodes[drv] = _node(graph, drv, *read[drv])
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
    return data, parse(data, name_of(drv).removesuffix(".drv"), store_dir)


def _node(graph: Graph, drv: StorePath, data: bytes, derivation: Derivation) -> Node:
    output = derivation.outputs.get("out")
    if output is None or len(derivation.outputs) != 1 or not output.path:
        raise DevenvError(f"{drv} has other outputs than one called out")
    return Node(
        path=drv,
        out=graph.store_dir.parse(output.path),
        derivation=derivation,
        aterm=data,
        inputs=tuple(graph.nodes[below] for below in derivation.input_derivations),
        label=derivation.name,
    )
