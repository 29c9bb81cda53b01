"""devenv.toml as text -> `Config`, or every problem in it with file, line and key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from devenv.adapter import Ecosystem, ScriptRules
from devenv.config.errors import ConfigError
from devenv.config.fields.caches import USER_DOCUMENT
from devenv.config.fields.document import DOCUMENT
from devenv.config.fields.environment import split_alias
from devenv.config.fields.registries import ARCHIVES
from devenv.config.model import FOUND_BY_THEMSELVES, Caches, Config, Extended, LockfileConfig, UserConfig
from devenv.config.overrides import OVERRIDES, Override, read_override, read_overrides
from devenv.config.overrides import contradictions as override_contradictions
from devenv.config.overrides import contradictions_of_all as overrides_contradictions
from devenv.config.parameters import contradictions as parameter_contradictions
from devenv.config.parameters import read_parameters, without_marks
from devenv.config.paths import normal_path
from devenv.config.positions import MAX_DEPTH, Keys, Positions, TooDeepError, find_positions
from devenv.config.shapes import Literal, Table, check, dotted, quoted
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Unset
from devenv.errors import raise_problems

MAX_SIZE = 1 << 20  # bytes; far beyond what anybody writes by hand

Contradiction = tuple[Keys, str, str | None]

_BUILD_TABLES = frozenset({"build", "fetch", "purify"})
_ECOSYSTEMS: dict[str, Ecosystem] = {"npm": "npm", "pip": "python", "cargo": "cargo", "renv": "r"}


def parse_config(text: str, path: str, *, origin: str | None = None) -> Config:
    """Read a devenv.toml. `path` is for messages; its last part, or `origin`, names the file in origins.

    Raises `ConfigError`, or `Problems` of several, in the order of their lines.
    """
    data, positions = _document(text, path, DOCUMENT, _contradictions)
    return _config(data, origin or os.path.basename(path), positions)


def parse_user_config(text: str, path: str) -> UserConfig:
    """Read a user's config.toml; the same errors as `parse_config`."""
    data, _ = _document(text, path, USER_DOCUMENT, lambda data: iter(()))
    caches = data.get("caches", {})
    return UserConfig(caches=_caches(caches), signing_key=caches.get("signing-key"))


def parse_override(kind: str, name: str, text: str, path: str) -> Override:
    """Read an override's own file. `name` is the package's, with "@VERSION" or without; the same errors as `parse_config`."""
    data, _ = _document(text, path, OVERRIDES[kind], override_contradictions)
    return read_override(kind, name, data, path)


def _document(
    text: str, path: str, shape: Table, find: Callable[[dict[str, Any]], Iterable[Contradiction]]
) -> tuple[dict[str, Any], Positions]:
    """What a text says, if it has the shape of a document and does not contradict itself."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_SIZE:
        raise ConfigError("it is larger than 1 MiB, which devenv does not read", path=path)
    try:
        positions = find_positions(text)
    except TooDeepError as error:
        what = f"keys and arrays are nested more than {MAX_DEPTH} deep"
        raise ConfigError(what, path=path, line=error.line) from None
    data = _load(text, path, positions)
    found: list[ConfigError] = []

    def report(keys: Keys, what: str, hint: str | None) -> None:
        line = positions.line(keys)
        found.append(ConfigError(what, path=path, line=line, key=dotted(keys), hint=hint))

    check(shape, data, (), report)
    if not found:
        for keys, what, hint in find(data):
            report(keys, what, hint)
    found.sort(key=lambda problem: problem.line or 0)
    raise_problems(found)
    return data, positions


# Syntax


def _load(text: str, path: str, positions: Positions) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Literal)
    except (ValueError, RecursionError) as error:
        raise _syntax_error(text, path, str(error), positions) from None


def _syntax_error(text: str, path: str, message: str, positions: Positions) -> ConfigError:
    """The message with the line shown and a caret below the column, as compilers do."""
    lines = text.split("\n")
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if place is None:
        return ConfigError(f"this is no TOML: {message}", path=path)
    what = message[: place.start()]
    if place[1] is None:
        line, column = len(lines), len(lines[-1]) + 1
    else:
        line, column = int(place[1]), int(place[2])
    twice = min(positions.repeated.items(), key=lambda item: item[1][1], default=None)
    if twice is not None and what.startswith("Cannot"):
        keys, (first, line) = twice
        return ConfigError(f"it is set already, on line {first}", path=path, line=line, key=dotted(keys))
    source = lines[line - 1].rstrip("\r")
    shown, caret = _shown(source, column)
    return ConfigError(
        f"this is no TOML: {what[:1].lower()}{what[1:]}\n    {shown}\n    {caret}",
        path=path,
        line=line,
        column=column,
        hint=_syntax_hint(source),
    )


def _shown(source: str, column: int) -> tuple[str, str]:
    """The part of a line around `column`, and a line with a caret below it. Tabs become blanks."""
    start = max(0, column - 60)
    part = source[start : start + 100]
    plain = "".join(c if c.isprintable() else " " for c in part)
    return plain, " " * (column - 1 - start) + "^"


def _syntax_hint(source: str) -> str | None:
    bare = re.fullmatch(r"\s*([\w.\"-]+)\s*=\s*([^\s\"'\[{#][^\"'#]*?)\s*", source)
    if bare and bare[2] not in ("true", "false"):
        return f'put text in quotes: {bare[1]} = "{bare[2]}"'
    colon = re.fullmatch(r"\s*([\w-]+)\s*:\s*(\S.*)", source)
    if colon:
        return f"TOML sets values with `=`: {colon[1]} = {colon[2]}"
    return None


# What single values cannot show


def _contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str | None]]:
    """Problems between values that are right one by one: keys, what is wrong, hint."""
    yield from _lockfile_contradictions(data.get("lockfiles", {}))
    yield from _variable_contradictions(data.get("env", {}))
    yield from parameter_contradictions(data)
    for keys, what, hint in overrides_contradictions(data.get("overrides", {})):
        yield ("overrides", *keys), what, hint
    for name, profile in data.get("profiles", {}).items():
        for keys, what, hint in _variable_contradictions(profile.get("env", {})):
            yield ("profiles", name, *keys), what, hint
    if data.get("packages", {}).get("system") and "base" not in data:
        hint = 'say which distribution they are from: base = "debian/bookworm" above all tables'
        yield ("packages", "system"), "there is no `base` to take these packages from", hint
    if data.get("packages", {}).get("r") and "base" not in data:
        hint = 'say which distribution it is from: base = "debian/trixie" above all tables'
        yield ("packages", "r"), "there is no `base` to take R from", hint
    for name, value in data.get("registries", {}).items():
        if name not in ARCHIVES and not isinstance(value, str):
            hint = f"several mirrors can be named for {' and '.join(ARCHIVES)}"
            yield ("registries", name), "expected a URL in quotes, found an array", hint
    for name, value in data.get("aliases", {}).items():
        if isinstance(value, list) and not value[0]:
            yield ("aliases", name), "expected a program and its arguments, found an empty name", None
    yield from _command_contradictions(data)
    if data.keys() & _BUILD_TABLES:
        from devenv.config.builds import contradictions

        yield from contradictions(data)


def _command_contradictions(data: Mapping[str, Any]) -> Iterator[Contradiction]:
    for first, second, what in (
        ("aliases", "scripts", "script"),
        ("functions", "scripts", "script"),
        ("functions", "aliases", "alias"),
    ):
        for name in data.get(first, {}):
            if name in data.get(second, {}):
                yield (
                    (first, name),
                    f"there is a{'n' * (what == 'alias')} {what} of this name as well",
                    "keep one of them",
                )


def _lockfile_contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str | None]]:
    seen: dict[str, Keys] = {}
    for name, value in data.items():
        for index, entry in enumerate(value if isinstance(value, list) else [value]):
            keys: Keys = ("lockfiles", name, index) if isinstance(value, list) else ("lockfiles", name)
            found = entry.get("path") if isinstance(entry, dict) else entry
            if not isinstance(found, str):
                if isinstance(value, list):
                    yield keys, "`path` is missing: with several lockfiles, each needs its own", None
                continue
            first = seen.setdefault(normal_path(found), keys)
            if first != keys:
                yield keys, f"{quoted(found)} is named already, in {dotted(first)}", None


def _variable_contradictions(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str, str | None]]:
    for name, value in data.items():
        table = value if isinstance(value, dict) else {"set": value}
        if name == "PATH" and not table.keys() & {"prepend", "append"}:
            hint = 'add to it: PATH = { prepend = ["./bin"] }'
            yield ("env", name), "no program would be found without what PATH holds already", hint
        separator = table.get("separator", ":")
        for side in ("prepend", "append"):
            for index, entry in enumerate(table.get(side, ())):
                if separator in without_marks(entry.replace("${project}", "")):
                    hint = "write one entry for each, or choose another `separator`"
                    yield ("env", name, side, index), f"{quoted(entry)} holds the separator", hint


# Values


def _config(data: dict[str, Any], file_name: str, positions: Positions) -> Config:
    def origin(*keys: str | int) -> str:
        return f"{file_name}:{positions.line(keys) or 1}"

    packages = data.get("packages", {})
    registries = data.get("registries", {})
    return Config(
        name=data.get("name", Config().name),
        base=data.get("base"),
        packages={name: value for name, value in packages.items() if name != "system"},
        system=tuple(dict.fromkeys(packages.get("system", ()))),
        lockfiles=tuple(_lockfiles(data.get("lockfiles", {}))),
        env={name: _operations(value, origin("env", name)) for name, value in data.get("env", {}).items()},
        aliases=_aliases(data.get("aliases", {})),
        scripts=dict(data.get("scripts", {})),
        functions=_functions(data.get("functions", {})),
        completions={name: tuple(words) for name, words in data.get("completions", {}).items()},
        registries={name: value for name, value in registries.items() if name not in ARCHIVES},
        mirrors={
            name: (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
            for name, value in registries.items()
            if name in ARCHIVES
        },
        caches=_caches(data.get("caches", {})),
        origins=_origins(data, origin),
        extends=tuple(_extended(data.get("extends", ()), origin)),
        members=tuple(normal_path(entry) for entry in data.get("members", ())),
        profiles={
            name: _profile(name, table, partial(origin, "profiles", name))
            for name, table in data.get("profiles", {}).items()
        },
        parameters=read_parameters(data.get("parameters", {}), origin),
        overrides=read_overrides(data.get("overrides", {}), partial(origin, "overrides")),
        **(_builds(data, origin) if data.keys() & _BUILD_TABLES else {}),
    )


def _origins(data: Mapping[str, Any], origin: Callable[..., str]) -> dict[str, str]:
    tables = ("aliases", "completions", "functions", "scripts", "packages", "registries")
    found = {f"{table}.{name}": origin(table, name) for table in tables for name in data.get(table, {})}
    return found | {key: origin(key) for key in ("base", "members") if key in data}


def _aliases(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        name: split_alias(value) if isinstance(value, str) else tuple(value) for name, value in data.items()
    }


def _functions(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        name: {"sh": value} if isinstance(value, str) else dict(sorted(value.items()))
        for name, value in data.items()
    }


def _extended(data: Any, origin: Callable[..., str]) -> Iterator[Extended]:
    several = isinstance(data, list)
    for index, entry in enumerate(data if several else [data] if data else []):
        place = origin("extends", index) if several else origin("extends")
        if isinstance(entry, str):
            yield Extended(path=entry, origin=place)
        elif "path" in entry:
            yield Extended(path=entry["path"], origin=place)
        else:
            directory = normal_path(entry.get("dir", "."))
            yield Extended(
                git=entry["git"],
                rev=entry.get("rev", "HEAD"),
                directory="" if directory == "." else directory,
                origin=place,
            )


def _profile(name: str, data: Mapping[str, Any], origin: Callable[..., str]) -> Config:
    """What a profile adds. It is no project: it has no lockfiles of its own."""
    return Config(
        name=f"profile {name}",
        lockfiles=(),
        env={key: _operations(value, origin("env", key)) for key, value in data.get("env", {}).items()},
        aliases=_aliases(data.get("aliases", {})),
        scripts=dict(data.get("scripts", {})),
        functions=_functions(data.get("functions", {})),
        origins=_origins(data, origin),
    )


def _caches(data: Mapping[str, Any]) -> Caches:
    return Caches(
        substituters=tuple(dict.fromkeys(data.get("substituters", ()))),
        trusted_keys=tuple(dict.fromkeys(data.get("trusted-keys", ()))),
    )


def _builds(data: Mapping[str, Any], origin: Callable[..., str]) -> dict[str, Any]:
    """What few projects have, and takes time to import."""
    from devenv.config.builds import read_builds, read_fetches, read_purifies

    return {
        "builds": read_builds(data.get("build", {}), origin),
        "fetches": read_fetches(data.get("fetch", {}), origin),
        "purifies": read_purifies(data.get("purify", {}), origin),
    }


def _lockfiles(data: Mapping[str, Any]) -> Iterator[LockfileConfig]:
    for default in FOUND_BY_THEMSELVES:
        key = next(name for name, ecosystem in _ECOSYSTEMS.items() if ecosystem == default.ecosystem)
        value = data.get(key, {})
        if value is not False:
            for entry in value if isinstance(value, list) else [value]:
                yield _lockfile(default.ecosystem, {"path": entry} if isinstance(entry, str) else entry)


def _lockfile(ecosystem: Ecosystem, table: Mapping[str, Any]) -> LockfileConfig:
    path = table.get("path")
    groups = table.get("groups")
    return LockfileConfig(
        ecosystem=ecosystem,
        path=None if path is None else normal_path(path),
        omit=frozenset(table.get("omit", ())),
        extras=tuple(dict.fromkeys(table.get("extras", ()))),
        groups=None if groups is None else tuple(dict.fromkeys(groups)),
        scripts=_script_rules(table.get("scripts", {})),
        system=tuple(dict.fromkeys(table.get("system", ()))),
    )


def _script_rules(value: Any) -> ScriptRules:
    rules = {"*": value} if isinstance(value, bool) else value
    return ScriptRules(rules=tuple(sorted(rules.items())))


def _operations(value: Any, origin: str) -> tuple[Operation, ...]:
    table = value if isinstance(value, dict) else {"set": value}
    if "set" in table:
        return (Set(value=str(table["set"]), origin=origin),)
    if "unset" in table:
        return (Unset(origin=origin),)
    if "default" in table:
        return (Default(value=str(table["default"]), origin=origin),)
    separator = table.get("separator", ":")
    found: list[Operation] = []
    if "prepend" in table:
        found.append(Prepend(entries=tuple(table["prepend"]), separator=separator, origin=origin))
    if "append" in table:
        found.append(Append(entries=tuple(table["append"]), separator=separator, origin=origin))
    return tuple(found)
