"""Shapes that values in devenv.toml may have: one description for reading, for the schema and for the docs.

A shape says what it expects (`expected`, for messages), checks a value that tomllib made (`check`), and
describes itself as JSON Schema (`schema`). A value is checked whole: every problem is reported, with the
keys that lead to it, and nothing is raised.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from devenv.config.paths import normal_path
from devenv.config.positions import Keys

# Called with the keys, what is wrong, and what to do about it.
Report = Callable[[Keys, str, str | None], None]

_DATE = "a date or time"
NOT_YET = "is not supported by this version of devenv yet"


class Refused(Exception):  # an answer, not an error: it never leaves this module
    """A text of the right type that may not be used. `what` completes the sentence "KEY: ..."."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def refuse_path(text: str, what: str) -> None:
    """Refuse what is no path of a file inside the project; `what` says of which."""
    try:
        found = normal_path(text)
    except ValueError as error:
        raise Refused(f"the path {quoted(text)} {error}") from None
    if found == ".":
        raise Refused(f"expected the path of {what}, found {quoted(text)}")


class Literal(float):
    """A float that remembers how it was written, for 3.10 is not 3.1 to its author."""

    literal: str

    def __new__(cls, literal: str) -> Self:
        value = super().__new__(cls, literal)
        value.literal = literal
        return value


class Shape(Protocol):
    @property
    def expected(self) -> str: ...

    def accepts(self, value: Any) -> bool:
        """Has `value` the TOML type of this shape?"""
        ...

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        """Report all that is wrong inside a value that this shape accepts."""
        ...

    def schema(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string. `pattern` matches it whole; `refuse` raises `Refused` for what no pattern explains."""

    expected: str = "text in quotes"
    pattern: str = ""
    choices: tuple[str, ...] = ()
    refuse: Callable[[str], None] | None = None
    refused_pattern: str = ""  # what `refuse` refuses, as far as a schema can say it

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        refused = self.refusal(value)
        if refused:
            report(keys, refused.what, refused.hint)

    def refusal(self, value: str) -> Refused | None:
        if self.choices and value not in self.choices:
            return Refused(
                f"expected {self.expected}, found {quoted(value)}", did_you_mean(value, self.choices)
            )
        try:
            if self.refuse is not None:
                self.refuse(value)
        except Refused as refused:
            return refused
        if self.pattern and not re.fullmatch(self.pattern, value):
            return Refused(f"expected {self.expected}, found {quoted(value)}")
        return None

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string"}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.pattern:
            found["pattern"] = f"^(?:{self.pattern})$"
        if self.refused_pattern:
            found["not"] = {"pattern": self.refused_pattern}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An integer, of `minimum` or more. TOML's booleans are none, though Python's are."""

    expected: str = "a whole number"
    minimum: int | None = None

    def accepts(self, value: Any) -> bool:
        return type(value) is int

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        if self.minimum is not None and value < self.minimum:
            report(keys, f"expected {self.expected}, found {kind(value)}", None)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer"} if self.minimum is None else {"type": "integer", "minimum": self.minimum}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """One boolean."""

    value: bool

    @property
    def expected(self) -> str:
        return str(self.value).lower()

    def accepts(self, value: Any) -> bool:
        return value is self.value

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        return None

    def schema(self) -> dict[str, Any]:
        return {"const": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything:
    """Any value that JSON has too: no dates, no numbers that are not finite. Texts hold no NUL."""

    expected: str = "text, a number, true or false, an array or a table"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str | bool | int | float | list | dict)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        if isinstance(value, str) and "\0" in value:
            report(keys, "holds a NUL character, which no environment can carry", None)
        elif isinstance(value, float) and not math.isfinite(value):
            report(keys, f"expected a finite number, found {kind(value)}", None)
        elif type(value) is int and not -(2**63) <= value < 2**63:
            report(keys, f"expected a number of 64 bits, found {kind(value)}", None)
        elif isinstance(value, list | dict):
            for name, item in value.items() if isinstance(value, dict) else enumerate(value):
                check(self, item, (*keys, name), report)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean", "array", "object"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """An array of one shape, with `minimum` elements or more."""

    items: Shape
    expected: str
    minimum: int = 0

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        if len(value) < self.minimum:
            report(keys, f"expected {self.expected}, found an empty array", None)
        for index, item in enumerate(value):
            check(self.items, item, (*keys, index), report)

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "array", "items": self.items.schema()}
        if self.minimum:
            found["minItems"] = self.minimum
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a table. `doc` is one line for the schema."""

    shape: Shape
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with known keys.

    `later`: keys of later versions, each with what they are for. `elsewhere`: hints for keys that people
    write here by mistake. `sets`: which keys may stand together, each set some keys of which at least one is
    there, and some that may come with them; any keys when `sets` is empty.
    """

    fields: Mapping[str, Field]
    expected: str = "a table"
    later: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    sets: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        known = True
        for name, item in value.items():
            if name in self.fields:
                check(self.fields[name].shape, item, (*keys, name), report)
            else:
                known = False
                self.report_unknown(name, keys, report)
        for name in self.required:
            if name not in value and known:
                report(keys, f"`{name}` is missing", None)
        if known and self.sets and not any(_fits(value, *found) for found in self.sets):
            report(keys, f"expected {self.expected}, found {_listed(value)}", None)

    def report_unknown(self, name: str, keys: Keys, report: Report) -> None:
        if name in self.later:
            report((*keys, name), f"{self.later[name]} {NOT_YET}", "take it out for now")
            return
        hint = self.elsewhere.get(name) or did_you_mean(name, tuple(self.fields))
        report((*keys, name), "unknown key", hint or f"known here: {', '.join(self.fields)}")

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": "object",
            "properties": {
                name: {"description": item.doc, **item.shape.schema()} for name, item in self.fields.items()
            },
            "additionalProperties": False,
        }
        if self.required:
            found["required"] = list(self.required)
        if self.sets:
            found["anyOf"] = [
                {
                    "properties": {name: {} for name in (*needed, *others)},
                    "additionalProperties": False,
                    "anyOf": [{"required": [name]} for name in needed],
                }
                for needed, others in self.sets
            ]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """A table whose keys the user chooses."""

    names: Text
    values: Shape
    expected: str = "a table"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        for name, item in value.items():
            refused = self.names.refusal(name)
            if refused:
                report((*keys, name), refused.what, refused.hint)
            check(self.values, item, (*keys, name), report)

    def schema(self) -> dict[str, Any]:
        names = self.names.schema()
        del names["type"]
        return {"type": "object", "propertyNames": names, "additionalProperties": self.values.schema()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """One of several shapes, no two of one TOML type."""

    shapes: tuple[Shape, ...]
    expected: str

    def accepts(self, value: Any) -> bool:
        return any(shape.accepts(value) for shape in self.shapes)

    def check(self, value: Any, keys: Keys, report: Report) -> None:
        next(shape for shape in self.shapes if shape.accepts(value)).check(value, keys, report)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


def check(shape: Shape, value: Any, keys: Keys, report: Report) -> None:
    """Report all that is wrong with `value`, which stands at `keys`."""
    if shape.accepts(value):
        shape.check(value, keys, report)
    else:
        report(keys, f"expected {shape.expected}, found {kind(value)}", _conversion(shape, value, keys))


def _conversion(shape: Shape, value: Any, keys: Keys) -> str | None:
    """How to write a value of the wrong type in the right one, where that can be told."""
    shapes = shape.shapes if isinstance(shape, Either) else (shape,)
    texts = [found for found in shapes if isinstance(found, Text)]
    line = dotted(keys[-1:]) if keys else ""
    if isinstance(value, str) and any(isinstance(s, Array) for s in shapes):
        return f"write {line} = [{quoted(value)}]"
    if not texts:
        return None
    if isinstance(value, Literal):
        return f'write "{value.literal}": without quotes it is the number {float(value)!r}'
    if isinstance(value, bool):
        return None if texts[0].pattern else f'write "{str(value).lower()}" or "{value:d}", in quotes'
    if isinstance(value, int):
        return f'write "{value}", in quotes'
    dated = kind(value) == _DATE
    return f'write "{value}", in quotes' if dated else None


def kind(value: Any) -> str:
    """What a TOML value is, for messages."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Literal):
        return f"the number {value.literal}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, list):
        return "an array"
    return "a table" if isinstance(value, dict) else _DATE


def quoted(text: str) -> str:
    """`text` in quotes and on one line, shortened when long, for messages."""
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return json.dumps(shown, ensure_ascii=not shown.isprintable()).replace("\x7f", "\\u007f")


def dotted(keys: Keys) -> str:
    """A key path as people write it: aliases."my alias"[1]."""
    found = ""
    for key in keys:
        if isinstance(key, int):
            found += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            found += f"{'.' if found else ''}{key if bare else quoted(key)}"
    return found


def did_you_mean(text: str, known: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches  # only for a file with mistakes

    close = get_close_matches(text.lower(), known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


def _fits(names: Mapping[str, Any], needed: tuple[str, ...], others: tuple[str, ...]) -> bool:
    return any(name in names for name in needed) and set(names) <= {*needed, *others}


def _listed(names: Mapping[str, Any]) -> str:
    found = [f"`{name}`" for name in names]
    if len(found) < 2:
        return f"only {found[0]}" if found else "an empty table"
    return f"{', '.join(found[:-1])} and {found[-1]} together"
