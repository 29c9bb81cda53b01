"""The names of checkpoints: hashes of everything that the state after a phase depends on. Pure.

Each key continues the one before it by one phase, so an edited phase changes its own key and those behind it, and
nothing in front.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from devenv.recipes.phases import Phase
from devenv.recipes.script import RUNNER, Values, exported, local

# To be raised when the same values begin to mean another state.
REVISION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where phases run: the shell, the machine's kind, the places that programs write into what they make, the
    parts of the machine that can be seen, and whether nothing else can."""

    shell: str
    system: str
    build_directory: str
    output: str
    host_paths: tuple[str, ...]
    sandboxed: bool


def checkpoint_keys(values: Values, phases: Sequence[Phase], surroundings: Surroundings) -> tuple[str, ...]:
    """For each phase the name of the state after it, 64 hexadecimal digits."""
    return tuple(_keys(values, phases, surroundings))


def _keys(values: Values, phases: Sequence[Phase], surroundings: Surroundings) -> Iterator[str]:
    key = _digest(
        {
            "revision": REVISION,
            "runner": RUNNER,
            "name": values.name,
            "env": exported(values),
            "attributes": dict(values.attributes),
            "local": local(values),
            # The order decides which of two programs of one name is found.
            "inputs": list(values.inputs.items()),
            "host": values.host,
            "shell": surroundings.shell,
            "system": surroundings.system,
            "build_directory": surroundings.build_directory,
            "output": surroundings.output,
            "host_paths": sorted(surroundings.host_paths),
            "sandboxed": surroundings.sandboxed,
        }
    )
    for phase in phases:
        key = _digest({"before": key, "phase": phase.name, "run": phase.run})
        yield key


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
