"""Several specs as one: what the packages offer, then what the project declares.

Merging is associative, so it does not matter in which groups specs are put together. Of the operations on one
variable, those on list entries all hold, in order. A set or unset overrules defaults; of several defaults the
last holds; two different sets, or a set and an unset, are a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, SpecError, Unset, conflict
from devenv.errors import raise_problems

T = TypeVar("T")


def merge(specs: Iterable[Spec]) -> Spec:
    """One spec with the name of the last. Raises SpecError, or Problems with several, naming both origins."""
    given = tuple(specs)
    if not given:
        raise SpecError("merging environments: there is none to merge")
    problems: list[str] = []
    operations: dict[str, tuple[Operation, ...]] = {}
    for spec in given:
        for name, found in spec.variables.items():
            operations[name] = (*operations.get(name, ()), *found)
    variables = {name: settle(found) for name, found in operations.items()}
    problems += filter(None, (conflict(name, found) for name, found in variables.items()))
    aliases = _agreed("alias", [(_owner(spec, "aliases"), spec.aliases) for spec in given], problems)
    scripts = _agreed("script", [(_owner(spec, "scripts"), spec.scripts) for spec in given], problems)
    functions = _agreed("function", [(_owner(spec, "functions"), spec.functions) for spec in given], problems)
    completions = _agreed(
        "completions of", [(_owner(spec, "completions"), spec.completions) for spec in given], problems
    )
    views = tuple(dict.fromkeys(view for spec in given for view in spec.views))
    _agreed("view", [(_always(view.kind), {view.root: view.recipe}) for view in views], problems)
    parameters = _agreed("parameter", [(_always(spec.name), spec.parameters) for spec in given], problems)
    raise_problems(SpecError(f"merging environments: {text}") for text in problems)
    return Spec(
        name=given[-1].name,
        parameters=parameters,
        profiles=tuple(dict.fromkeys(name for spec in given for name in spec.profiles)),
        origins={key: origin for spec in reversed(given) for key, origin in spec.origins.items()},
        variables=variables,
        aliases=aliases,
        scripts=scripts,
        functions=functions,
        completions=completions,
        views=views,
        packages=tuple(dict.fromkeys(package for spec in given for package in spec.packages)),
    )


def settle(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Leave out what another operation on the same variable overrules or says already."""
    lists = tuple(entry for entry in operations if isinstance(entry, Prepend | Append))
    firm: dict[str | None, Operation] = {}
    for entry in operations:
        if isinstance(entry, Set | Unset):
            firm.setdefault(entry.value if isinstance(entry, Set) else None, entry)
    defaults = [entry for entry in operations if isinstance(entry, Default)]
    return (*(firm.values() if firm else defaults[-1:]), *lists)


def _owner(spec: Spec, table: str) -> Callable[[str], str]:
    """Who declared an entry of a table: file and line where the spec knows, else its name."""
    return lambda key: spec.origins.get(f"{table}.{key}", spec.name)


def _always(owner: str) -> Callable[[str], str]:
    return lambda key: owner


def _agreed(
    what: str, given: list[tuple[Callable[[str], str], Mapping[str, T]]], problems: list[str]
) -> dict[str, T]:
    """The union of the mappings; a key with two values is a problem that names both owners."""
    owners: dict[str, str] = {}
    union: dict[str, T] = {}
    for owner, mapping in given:
        for key, value in mapping.items():
            if union.setdefault(key, value) != value:
                problems.append(
                    f"{what} {key} means one thing for {owners[key]} and another for {owner(key)}"
                )
            owners.setdefault(key, owner(key))
    return union
