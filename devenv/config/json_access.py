"""JSON values with the keys that lead to them, so that what is damaged can be named by place and line."""

from __future__ import annotations

import json
from typing import Any

_MISSING = object()
_BLANKS = (" ", "\n", "\t", "\r")

Keys = tuple[str | int, ...]


class Damage(Exception):
    """Something in the JSON has the wrong shape. `keys` lead to it, outermost first."""

    def __init__(self, keys: Keys, what: str) -> None:
        super().__init__(what)
        self.keys = keys
        self.what = what


def read_fields(value: Any, keys: Keys, *known: str) -> dict[str, Any]:
    """The members of an object that has no others than those `known`, present or not. Raises Damage."""
    found = read_object(value, keys)
    for name in found:
        if name not in known:
            raise Damage((*keys, name), f"unknown key; known are {', '.join(known)}")
    return found


def read_object(value: Any, keys: Keys) -> dict[str, Any]:
    """An object. Raises Damage."""
    if type(value) is not dict:
        raise Damage(keys, f"expected an object, found {kind_of(value)}")
    return value


def read_array(value: Any, keys: Keys) -> list[Any]:
    """An array. Raises Damage."""
    if type(value) is not list:
        raise Damage(keys, f"expected an array, found {kind_of(value)}")
    return value


def read_text(found: dict[str, Any], name: str, keys: Keys) -> str:
    """The text that the member `name` must be. Raises Damage."""
    value = found.get(name, _MISSING)
    if type(value) is not str:
        what = "is missing" if value is _MISSING else f"expected text, found {kind_of(value)}"
        raise Damage((*keys, name), what)
    return value


def read_texts(value: Any, keys: Keys) -> dict[str, str]:
    """An object of texts. Raises Damage."""
    found = read_object(value, keys)
    return {name: read_text(found, name, keys) for name in found}


def read_strings(value: Any, keys: Keys) -> tuple[str, ...]:
    """An array of texts. Raises Damage."""
    for item in read_array(value, keys):
        if type(item) is not str:
            raise Damage(keys, f"expected an array of texts, found {kind_of(item)} in it")
    return tuple(value)


def kind_of(value: Any) -> str:
    """What a JSON value is, for a message."""
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """A value for a message, as JSON."""
    return json.dumps(value, ensure_ascii=False)


def dotted(keys: Keys) -> str:
    """files.npm:a@1[0].url"""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def line_of(text: str, keys: Keys) -> int:
    """The line of what `keys` lead to in valid JSON, or of the innermost of them that there is."""
    decode = json.JSONDecoder().raw_decode
    found = position = _skip(text, 0)
    for wanted in keys:
        members = text[position] == "{"
        position = _skip(text, position + 1)
        index = 0
        while text[position] not in "]}":
            start, name = position, index
            if members:
                name, position = decode(text, position)
                position = _skip(text, _skip(text, position) + 1)
            if name == wanted:
                found = start
                break
            position = _skip(text, decode(text, position)[1])
            position = _skip(text, position + (text[position] == ","))
            index += 1
        else:
            break
    return text.count("\n", 0, found) + 1


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _BLANKS:
        position += 1
    return position
