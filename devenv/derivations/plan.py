"""What has to be done to have some outputs, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from devenv.derivations.costs import guess
from devenv.derivations.graph import Node
from devenv.derivations.packages import (
    BYTECODE,
    CONFIGURE,
    DEB,
    FETCH,
    FETCH_GIT,
    LINK,
    PATCH,
    UNPACK,
    VENV,
    WRITE,
)
from devenv.formats.store_path import StorePath

FETCHERS = frozenset({FETCH, FETCH_GIT})
OWN_BUILDERS = frozenset({UNPACK, BYTECODE, LINK, WRITE, DEB, CONFIGURE, VENV, PATCH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Work for outputs that are not valid. In each group the most urgent comes first.

    ahead: seconds from when a node begins until nothing waits for it any more, as far as known, by its output
    waits_for: how many missing inputs a node has, by its output
    users: who waits for an output
    foreign: nodes whose builder is built in elsewhere, so that nothing can be done about them
    """

    fetches: tuple[Node, ...]
    builds: tuple[Node, ...]
    foreign: tuple[Node, ...]
    ahead: dict[StorePath, float]
    waits_for: dict[StorePath, int]
    users: dict[StorePath, list[Node]]


def requisites(targets: Iterable[Node]) -> dict[StorePath, Node]:
    """`targets` and all nodes below them by .drv path, every node after its inputs."""
    found: dict[StorePath, Node] = {}
    stack = [(node, False) for node in reversed(list(targets))]
    while stack:
        node, is_left = stack.pop()
        if is_left:
            found[node.path] = node
        elif node.path not in found:
            stack.append((node, True))
            stack.extend((below, False) for below in reversed(node.inputs) if below.path not in found)
    return found


def make_plan(
    targets: Iterable[Node], valid: Collection[StorePath], seconds: Callable[[Node], float] = guess
) -> Plan:
    """Plan for all outputs of `targets`, of which `valid` are there. What is there needs nothing below it.

    `seconds` is what a node will take. First comes what the longest row of work waits for.
    """
    needed = _needed(targets, valid)
    waits_for: dict[StorePath, int] = {}
    users: dict[StorePath, list[Node]] = {out: [] for out in needed}
    for node in needed.values():
        inputs = {below.out for below in node.inputs if below.out in needed and _misses(node, below, valid)}
        waits_for[node.out] = len(inputs)
        for out in inputs:
            users[out].append(node)
    ahead = _seconds_ahead(needed, users, seconds)

    def urgent(node: Node) -> tuple[float, str]:
        return -ahead[node.out], node.path

    groups: dict[str, list[Node]] = {"fetch": [], "build": [], "foreign": []}
    for node in needed.values():
        groups[_group(node)].append(node)
    return Plan(
        fetches=tuple(sorted(groups["fetch"], key=urgent)),
        builds=tuple(sorted(groups["build"], key=urgent)),
        foreign=tuple(groups["foreign"]),
        ahead=ahead,
        waits_for=waits_for,
        users=users,
    )


def _needed(targets: Iterable[Node], valid: Collection[StorePath]) -> dict[StorePath, Node]:
    """By output: two derivations that differ only in where they fetch from have the same, made once."""
    needed: dict[StorePath, Node] = {}
    stack = [node for node in targets if any(path not in valid for path in node.outputs.values())]
    while stack:
        node = stack.pop()
        if node.out not in needed:
            needed[node.out] = node
            stack.extend(below for below in node.inputs if _misses(node, below, valid))
    return needed


def _misses(node: Node, below: Node, valid: Collection[StorePath]) -> bool:
    """Whether an output of `below` that `node` uses is not there."""
    outputs = below.outputs
    return any(outputs[name] not in valid for name in node.derivation.input_derivations[below.path])


def is_process(node: Node) -> bool:
    """Whether the builder is a program."""
    return not node.derivation.builder.startswith("builtin:")


def _group(node: Node) -> str:
    if node.derivation.builder in FETCHERS:
        return "fetch"
    return "build" if is_process(node) or node.derivation.builder in OWN_BUILDERS else "foreign"


def _seconds_ahead(
    needed: Mapping[StorePath, Node],
    users: Mapping[StorePath, Iterable[Node]],
    seconds: Callable[[Node], float],
) -> dict[StorePath, float]:
    """For each output how long it is, at least, from when its node begins until nothing waits for it any more."""
    ahead: dict[StorePath, float] = {}
    for node in reversed(requisites(needed.values()).values()):
        if needed.get(node.out) is node:
            behind = max((ahead.get(user.out, 0.0) for user in users[node.out]), default=0.0)
            ahead[node.out] = seconds(node) + behind
    return ahead
