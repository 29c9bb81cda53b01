"""env.json: the environment spec as text. The format is described in docs/environment-spec.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from devenv.env.spec import (
    Append,
    Default,
    Operation,
    PackageRef,
    Prepend,
    Set,
    Spec,
    SpecError,
    Unset,
    ViewRef,
)

VERSION = 1

_OPERATIONS: dict[str, type[Operation]] = {
    "set": Set,
    "unset": Unset,
    "default": Default,
    "prepend": Prepend,
    "append": Append,
}
_NAMES = {kind: name for name, kind in _OPERATIONS.items()}

T = TypeVar("T")


def dump(spec: Spec) -> str:
    """Sorted, indented, ASCII: bytes that are not UTF-8 stand as lone surrogates, as in PEP 383."""
    document: dict[str, Any] = {
        "version": VERSION,
        "name": spec.name,
        "variables": {
            name: [_operation_document(entry) for entry in operations]
            for name, operations in spec.variables.items()
        },
        "aliases": {name: list(words) for name, words in spec.aliases.items()},
        "scripts": dict(spec.scripts),
        "views": [{"kind": view.kind, "root": view.root, "recipe": view.recipe} for view in spec.views],
        "packages": [
            {"name": entry.name, "version": entry.version, "path": entry.path, "origin": entry.origin}
            for entry in spec.packages
        ],
    }
    if spec.functions:
        document["functions"] = {name: dict(bodies) for name, bodies in spec.functions.items()}
    if spec.completions:
        document["completions"] = {name: list(words) for name, words in spec.completions.items()}
    if spec.root is not None:
        document["root"] = spec.root
    if spec.origins:
        document["origins"] = dict(spec.origins)
    if spec.parameters:
        document["parameters"] = dict(spec.parameters)
    if spec.profiles:
        document["profiles"] = list(spec.profiles)
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _operation_document(operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = {"op": _NAMES[type(operation)], "origin": operation.origin}
    if isinstance(operation, Prepend | Append):
        document["entries"] = list(operation.entries)
        document["separator"] = operation.separator
    elif isinstance(operation, Set | Default):
        document["value"] = operation.value
    return document


def load(text: str) -> Spec:
    """Read what `dump` wrote. Raises SpecError that names the place of the first thing that is wrong."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"reading env.json: it is not JSON: {error}") from error
    top = _object(document, "")
    version = top.get("version")
    if type(version) is not int or version != VERSION:
        raise SpecError(
            f"reading env.json: its version is {version!r}, this devenv reads version {VERSION}",
            hint="make the environment again with `devenv enter`",
        )
    return Spec(
        name=_text(top, "name", ""),
        variables={
            name: tuple(_items(entries, f"variables.{name}", _operation))
            for name, entries in _object(top.get("variables"), "variables").items()
        },
        aliases={
            name: tuple(_items(words, f"aliases.{name}", _word))
            for name, words in _object(top.get("aliases"), "aliases").items()
        },
        scripts={name: _word(script, f"scripts.{name}") for name, script in _named(top, "scripts")},
        functions={
            name: {
                shell: _word(text, f"functions.{name}.{shell}")
                for shell, text in _object(bodies, f"functions.{name}").items()
            }
            for name, bodies in _object(top.get("functions", {}), "functions").items()
        },
        completions={
            name: tuple(_items(words, f"completions.{name}", _word))
            for name, words in _object(top.get("completions", {}), "completions").items()
        },
        views=tuple(_items(top.get("views"), "views", _view)),
        packages=tuple(_items(top.get("packages"), "packages", _package)),
        root=None if top.get("root") is None else _text(top, "root", ""),
        profiles=tuple(_items(top.get("profiles", []), "profiles", _word)),
        parameters={
            name: _argument(value, f"parameters.{name}")
            for name, value in _object(top.get("parameters", {}), "parameters").items()
        },
        origins={
            name: _word(origin, f"origins.{name}")
            for name, origin in _object(top.get("origins", {}), "origins").items()
        },
    )


def _argument(value: Any, place: str) -> str | int | bool:
    return value if isinstance(value, bool | int) else _word(value, place)


def _operation(value: Any, place: str) -> Operation:
    found = _object(value, place)
    name, origin = _text(found, "op", place), _text(found, "origin", place)
    kind = _OPERATIONS.get(name)
    if kind is Prepend or kind is Append:
        entries = tuple(_items(found.get("entries"), f"{place}.entries", _word))
        return kind(entries=entries, separator=_text(found, "separator", place), origin=origin)
    if kind is Set or kind is Default:
        return kind(value=_text(found, "value", place), origin=origin)
    if kind is Unset:
        return Unset(origin=origin)
    raise _wrong(f"{place}.op", f"one of {', '.join(_OPERATIONS)}", name)


def _view(value: Any, place: str) -> ViewRef:
    found = _object(value, place)
    return ViewRef(**{key: _text(found, key, place) for key in ("kind", "root", "recipe")})


def _package(value: Any, place: str) -> PackageRef:
    found = _object(value, place)
    return PackageRef(**{key: _text(found, key, place) for key in ("name", "version", "path", "origin")})


def _named(top: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return list(_object(top.get(key), key).items())


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place or "the document", "an object", value)
    return value


def _items(value: Any, place: str, read: Callable[[Any, str], T]) -> list[T]:
    if not isinstance(value, list):
        raise _wrong(place, "a list", value)
    return [read(entry, f"{place}[{index}]") for index, entry in enumerate(value)]


def _text(found: Mapping[str, Any], key: str, place: str) -> str:
    return _word(found.get(key), f"{place}.{key}" if place else key)


def _word(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(place, "text", value)
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise _wrong(place, "text that can be written as bytes", value) from None
    return value


def _wrong(place: str, expected: str, value: Any) -> SpecError:
    shown = ascii(value)
    return SpecError(
        f"reading env.json: {place} must be {expected}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
    )
