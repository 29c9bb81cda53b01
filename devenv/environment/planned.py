"""Lockfiles as plans, and several of them as one set of packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devenv.adapter import Package, Plan
from devenv.errors import DevenvError, raise_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLockfile:
    """A lockfile's plan and where its view goes: `directory` is relative to the project ("" is the project)."""

    path: str
    directory: str
    plan: Plan


def one_of_each(entries: Sequence[PlannedLockfile]) -> tuple[Package, ...]:
    """The packages of several lockfiles by name. Raises DevenvError, or Problems, when two pin one name differently."""
    chosen: dict[str, tuple[Package, str]] = {}
    problems = []
    for entry in entries:
        for package in entry.plan.packages:
            before = chosen.setdefault(package.name, (package, entry.path))
            if before[0].file.hash != package.file.hash:
                problems.append(
                    DevenvError(
                        f"{package.name} is {before[0].version} in {before[1]} and {package.version} in {entry.path}; "
                        "one environment can hold one of them",
                        hint="lock them together, or name only one of the files in [lockfiles]",
                    )
                )
    raise_problems(problems)
    return tuple(package for _, (package, _) in sorted(chosen.items()))
