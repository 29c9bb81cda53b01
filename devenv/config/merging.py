"""Several configurations as one: what a project extends, then its members, then what it says itself.

The rules are those of environments (`devenv.env.merge`): entries of lists all hold, in order; a set or unset overrules
defaults, of which the last holds; whatever else is said twice must be said alike. A conflict names both places.
Merging is associative, so it does not matter through how many files something comes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

from devenv.config.model import Caches, Config, Parameter
from devenv.config.overrides import Override
from devenv.config.overrides import moved as moved_override
from devenv.config.shapes import did_you_mean, quoted
from devenv.env.merge import settle
from devenv.env.spec import Append, Operation, Prepend, conflict
from devenv.errors import DevenvError, raise_problems

if TYPE_CHECKING:
    from devenv.views.root import RootParts

T = TypeVar("T")


class MergeError(DevenvError):
    """Two files that belong to one environment contradict each other."""


def merge_configs(found: Sequence[Config]) -> Config:
    """One configuration; the last is the project's own, whose name, recipes and members it keeps.

    Raises MergeError, or Problems with several.
    """
    own = found[-1]
    if len(found) == 1:
        return own
    problems: list[str] = []
    merged = replace(
        own,
        base=_agreed_base(found, problems),
        packages=_agreed("packages", found, lambda config: config.packages, problems),
        system=_union(config.system for config in found),
        lockfiles=_union(config.lockfiles for config in found),
        env=_merged_variables(found, problems),
        aliases=_agreed("aliases", found, lambda config: config.aliases, problems),
        scripts=_agreed("scripts", found, lambda config: config.scripts, problems),
        functions=_agreed("functions", found, lambda config: config.functions, problems),
        completions=_agreed("completions", found, lambda config: config.completions, problems),
        parameters=_agreed_parameters(found, problems),
        registries=_agreed("registries", found, lambda config: config.registries, problems),
        mirrors=_agreed("registries", found, lambda config: config.mirrors, problems),
        caches=Caches(
            substituters=_union(config.caches.substituters for config in found),
            trusted_keys=_union(config.caches.trusted_keys for config in found),
        ),
        overrides=_agreed_overrides(found, problems),
        objects=_union(config.objects for config in found),
        trees=_union(config.trees for config in found),
        root=_agreed_root(found, problems),
        profiles=_profiles(found),
        origins={key: origin for config in found for key, origin in config.origins.items()},
    )
    problems += _commands_twice(merged, found)
    raise_problems(MergeError(f"merging what devenv.toml extends: {text}", hint=_HINT) for text in problems)
    return merged


def choose_profiles(config: Config, names: Sequence[str]) -> Config:
    """The configuration with the profiles of these names merged in. Raises MergeError, or Problems with several."""
    known = ", ".join(config.profiles) or "none"
    raise_problems(
        MergeError(
            f"there is no profile {quoted(name)}",
            hint=did_you_mean(name, tuple(config.profiles)) or f"declared under [profiles]: {known}",
        )
        for name in names
        if name not in config.profiles
    )
    if not names:
        return config
    chosen = [config.profiles[name] for name in dict.fromkeys(names)]
    # The project comes last, so that what it says of itself stays; entries of profiles are found first all the same.
    merged = merge_configs([*chosen, config])
    env = {
        name: settle(tuple(op for each in (config, *chosen) for op in each.env.get(name, ())))
        for name in merged.env
    }
    return replace(merged, env=env, chosen=tuple(dict.fromkeys(names)))


_HINT = "make both the same, or let one say { default = ... } where it is a variable"


def moved(config: Config, place: str) -> Config:
    """A configuration of the directory `place`, relative to the project, as the project itself would write it.

    Entries and lockfiles that are relative to the file's own directory become relative to the project.
    """
    return replace(
        config,
        profiles={name: moved(profile, place) for name, profile in config.profiles.items()},
        env={
            name: tuple(_moved_operation(operation, place) for operation in found)
            for name, found in config.env.items()
        },
        lockfiles=tuple(
            replace(entry, path=posixpath.normpath(posixpath.join(place, entry.path)))
            for entry in config.lockfiles
            if entry.path is not None
        ),
        overrides=tuple(moved_override(override, place) for override in config.overrides),
    )


def _moved_operation(operation: Operation, place: str) -> Operation:
    if not isinstance(operation, Prepend | Append):
        return operation
    return replace(operation, entries=tuple(_moved_entry(entry, place) for entry in operation.entries))


def _moved_entry(entry: str, place: str) -> str:
    if entry not in (".", "..") and not entry.startswith(("./", "../")):
        return entry
    path = posixpath.normpath(posixpath.join(place, entry))
    return path if path.startswith(("/", "..")) else f"./{path}" if path != "." else "."


def _union(found: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(entry for entries in found for entry in entries))


def _merged_variables(found: Sequence[Config], problems: list[str]) -> dict[str, tuple[Operation, ...]]:
    operations: dict[str, tuple[Operation, ...]] = {}
    for config in found:
        for name, more in config.env.items():
            operations[name] = (*operations.get(name, ()), *more)
    settled = {name: settle(each) for name, each in operations.items()}
    problems += filter(None, (conflict(name, each) for name, each in settled.items()))
    return settled


def _agreed(
    table: str,
    found: Sequence[Config],
    part: Callable[[Config], Mapping[str, T]],
    problems: list[str],
) -> dict[str, T]:
    union: dict[str, T] = {}
    owners: dict[str, str] = {}
    for config in found:
        for name, value in part(config).items():
            key = f"{table}.{name}"
            if name in union and union[name] != value:
                there, here = owners[name], config.origins.get(key, config.name)
                problems.append(f"{key} is {_shown(union[name])} in {there} and {_shown(value)} in {here}")
            union.setdefault(name, value)
            owners.setdefault(name, config.origins.get(key, config.name))
    return union


def _shown(value: object) -> str:
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _agreed_base(found: Sequence[Config], problems: list[str]) -> str | None:
    named = [config for config in found if config.base is not None]
    for config in named[1:]:
        if config.base != named[0].base:
            first, second = (each.origins.get("base", each.name) for each in (named[0], config))
            problems.append(f"base is {named[0].base!r} in {first} and {config.base!r} in {second}")
    return named[0].base if named else None


def _agreed_root(found: Sequence[Config], problems: list[str]) -> RootParts | None:
    """The system packages of the one environment in the store that has any."""
    having = [config for config in found if config.root is not None]
    for config in having[1:]:
        if config.root != having[0].root:
            first, second = (each.origins.get("root", each.name) for each in (having[0], config))
            problems.append(
                f"the environments that {first} and {second} extend have different system packages"
            )
    return having[0].root if having else None


def _agreed_parameters(found: Sequence[Config], problems: list[str]) -> dict[str, Parameter]:
    union: dict[str, Parameter] = {}
    for config in found:
        for name, parameter in config.parameters.items():
            known = union.setdefault(name, parameter)
            if replace(known, origin="") != replace(parameter, origin=""):
                problems.append(
                    f"parameters.{name} is declared differently in {known.origin} and {parameter.origin}"
                )
    return union


def _agreed_overrides(found: Sequence[Config], problems: list[str]) -> tuple[Override, ...]:
    union: dict[str, Override] = {}
    for override in (each for config in found for each in config.overrides):
        known = union.setdefault(override.label, override)
        if replace(known, origin="") != replace(override, origin=""):
            problems.append(
                f"{override.label} is overridden differently in {known.origin} and {override.origin}"
            )
    return tuple(union.values())


def _profiles(found: Sequence[Config]) -> dict[str, Config]:
    """Profiles of the same name are one profile."""
    names = dict.fromkeys(name for config in found for name in config.profiles)
    return {
        name: merge_configs([config.profiles[name] for config in found if name in config.profiles])
        for name in names
    }


def _commands_twice(merged: Config, found: Sequence[Config]) -> Iterator[str]:
    kinds = {"aliases": "an alias", "functions": "a function", "scripts": "a script"}
    for first, second in combinations(kinds, 2):
        for name in getattr(merged, first).keys() & getattr(merged, second).keys():
            here, there = (merged.origins.get(f"{table}.{name}", "?") for table in (first, second))
            yield f"{name} is {kinds[first]} in {here} and {kinds[second]} in {there}"
