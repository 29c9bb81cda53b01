"""Where the variables of a process are not what an environment says, however that came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from devenv.env.describe import entries_at, operation_text, operations, value_at
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """An operation whose effect is not there. `expected` and `found` are words for people; `origin` is the operation's."""

    variable: str
    origin: str
    expected: str
    found: str


def departures(spec: Spec, place: str, project: str, environ: Mapping[str, str]) -> list[Departure]:
    """All of them, by variable. `place`: of the spec object; `project`: the directory that it is entered in."""
    found: list[Departure] = []
    for name, todo in sorted(operations(spec, place).items()):
        found += departures_of(name, todo, project, environ.get(name))
    return found


def departures_of(
    name: str, todo: Sequence[Operation], project: str, value: str | None
) -> Iterator[Departure]:
    """Those of one variable that has this value, or does not exist."""
    in_front = [operation for operation in todo if isinstance(operation, Prepend)]
    ours = [entry for operation in reversed(in_front) for entry in entries_at(operation, project)]
    for operation in todo:
        if isinstance(operation, Prepend | Append):
            seen = None if value is None else value.split(operation.separator)
            wrong = _list_problem(operation, project, seen, ours)
        else:
            wrong = _value_problem(operation, project, value)
        if wrong is not None:
            yield Departure(
                variable=name, origin=operation.origin, expected=operation_text(operation), found=wrong
            )


def _value_problem(operation: Operation, project: str, value: str | None) -> str | None:
    if isinstance(operation, Set):
        right = value == value_at(operation.value, project)
    elif isinstance(operation, Default):
        right = value is not None
    else:
        right = value is None
    return None if right else "is unset" if value is None else f"= {value!r}"


def _list_problem(
    operation: Prepend | Append, project: str, seen: Sequence[str] | None, ours: Sequence[str]
) -> str | None:
    if seen is None:
        return "is unset"
    entries = list(entries_at(operation, project))
    missing = [entry for entry in entries if entry not in seen]
    if missing:
        return f"without {operation.separator.join(missing)}"
    if isinstance(operation, Append):
        return None
    for entry in entries:
        allowed = set(ours[: ours.index(entry)])
        before = [each for each in seen[: seen.index(entry)] if each not in allowed]
        if before:
            return f"{operation.separator.join(dict.fromkeys(before))} before {entry}"
    return None
