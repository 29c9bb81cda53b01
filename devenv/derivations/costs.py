"""What builds took on this machine: a record that orders the next ones, and tells people how long they will wait.

`cache/costs` is JSON lines, {"name", "kind", "seconds", "memory"}, the newest last: `name` without a version, so
that a new one profits from the old; `kind` the builder's, "program" for all that are not ours; `memory` the most that
one process had, in bytes, 0 where that is not known. Lines that are damaged, or of another version of
devenv, are ignored. The file may be deleted at any time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from devenv.derivations.graph import Node

FILE = "costs"

# Shorter ones would only make the file long.
WORTH_SECONDS = 0.2

_REMEMBERED = 5  # of each kind of build
_LONGEST_FILE = 512 * 1024  # bytes, before it is written anew
_LONGEST_NAME = 250

_FETCH_RATE = 5e6  # bytes per second, a guess for ordering only
_UNPACK_RATE = 50e6
_LEAST = 0.01  # seconds


@dataclass(frozen=True, slots=True)
class Cost:
    """`seconds` of one build, `memory` in bytes, 0 if unknown."""

    seconds: float
    memory: int = 0


Key = tuple[str, str]


class Costs:
    """The records of one store. Nothing here raises for a file that cannot be read or written."""

    def __init__(self, cache: str) -> None:
        """`cache` is the store's directory for caches."""
        self._path = os.path.join(cache, FILE)
        self._known: dict[Key, list[Cost]] | None = None

    def expected(self, node: Node) -> Cost | None:
        """The middle one of the last times, None for what was never built here."""
        found = self._records().get(key(node))
        if not found:
            return None
        by_time = sorted(found, key=lambda cost: cost.seconds)
        return Cost(by_time[len(by_time) // 2].seconds, max(cost.memory for cost in found))

    @property
    def know_memory(self) -> bool:
        """Is it known of any build how much memory it had?"""
        return any(cost.memory for costs in self._records().values() for cost in costs)

    def estimate(self, node: Node) -> float:
        """Seconds, guessed where nothing is known, for ordering."""
        known = self.expected(node)
        return guess(node) if known is None else known.seconds

    def record(self, costs: Iterable[tuple[Node, Cost]]) -> None:
        """Add what builds took just now."""
        lines = [
            json.dumps(
                {
                    "name": key(node)[0],
                    "kind": key(node)[1],
                    "seconds": round(cost.seconds, 3),
                    "memory": cost.memory,
                }
            )
            for node, cost in costs
            if cost.seconds >= WORTH_SECONDS
        ]
        if not lines:
            return
        self._known = None
        with suppress(OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                # One call, so that the lines of two processes do not mix; a line that somebody left
                # unfinished ends here.
                os.write(descriptor, ("\n" + "\n".join(lines) + "\n").encode())
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size > _LONGEST_FILE:
                self._shorten()

    def _records(self) -> dict[Key, list[Cost]]:
        if self._known is None:
            self._known = {}
            for name, kind, cost in _read(self._path):
                found = self._known.setdefault((name, kind), [])
                found.append(cost)
                del found[:-_REMEMBERED]
        return self._known

    def _shorten(self) -> None:
        """Keep what is still looked at. Records that another process adds meanwhile are lost."""
        aside = f"{self._path}.{os.getpid()}"
        with open(aside, "w", encoding="ascii") as file:
            for (name, kind), costs in self._records().items():
                for cost in costs:
                    line = {"name": name, "kind": kind, "seconds": cost.seconds, "memory": cost.memory}
                    file.write(json.dumps(line) + "\n")
        os.rename(aside, self._path)


def guess(node: Node) -> float:
    """Seconds that a node takes, by what is downloaded for it: for ordering only."""
    below = sum(each.size or 0 for each in node.inputs)
    return _LEAST + (node.size or 0) / _FETCH_RATE + below / _UNPACK_RATE


def more_than_guessed(size: int) -> float:
    """How much longer what unpacks a file takes than `guess` said, when its `size` in bytes was not known before."""
    return size / _UNPACK_RATE


def key(node: Node) -> Key:
    """What stands for builds that take about as long as each other."""
    builder = node.derivation.builder
    return base_name(node.derivation.name)[:_LONGEST_NAME], builder if builder.startswith(
        "builtin:"
    ) else "program"


def base_name(name: str) -> str:
    """A derivation's name without its version: what follows the first dash with no letter behind it, as Nix has it."""
    position = name.find("-")
    while 0 <= position < len(name) - 1:
        if not name[position + 1].isalpha():
            return name[:position]
        position = name.find("-", position + 1)
    return name


def _read(path: str) -> Iterable[tuple[str, str, Cost]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError:
        return
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError, AttributeError):
            data = json.loads(line)
            seconds, memory = data["seconds"], data["memory"]
            if type(seconds) not in (int, float) or type(memory) is not int:
                continue
            if math.isfinite(seconds) and 0 <= seconds < 1e8 and memory >= 0:
                yield str(data["name"]), str(data["kind"]), Cost(float(seconds), memory)
