"""Typed access to the tables of a lockfile, whose errors name the file and the key path.

A lockfile is text from outside: any value may have any type. `Table` wraps one JSON object or TOML
table and remembers where it stands; its getters return the asked type or raise an `AdapterError` that
says where, what was expected and what was found:

    package-lock.json: packages["node_modules/x"].integrity: expected text, found a number

A missing key gives None (or the empty value); `required_*` raises instead. For reading many entries and
reporting all faults at once there is `Faults`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from devenv.adapter import AdapterError
from devenv.errors import DevenvError, Problems, raise_problems

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a table"),
)

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def kind_of(value: object) -> str:
    """What a parsed value is, in words for a person."""
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return "null" if value is None else f"a {type(value).__name__}"


def join_key(path: str, name: str | int) -> str:
    """`path` one step deeper: `a.b`, `a["b c"]` where the name is not a plain word, `a[3]`."""
    if isinstance(name, int):
        return f"{path}[{name}]"
    if name and _BARE.issuperset(name):
        return f"{path}.{name}" if path else name
    quoted = name.encode("unicode_escape").decode().replace('"', '\\"')
    return f'{path}["{quoted}"]'


class Table:
    """One table of a lockfile.

    `file` is the lockfile's name for messages, `key` the key path of this table ("" for the whole file),
    `values` the raw parsed mapping.
    """

    __slots__ = ("file", "key", "values")

    def __init__(self, values: Mapping[str, object], *, file: str, key: str = "") -> None:
        self.values = values
        self.file = file
        self.key = key

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def fault(self, name: str | None, problem: str, *, hint: str | None = None) -> AdapterError:
        """An error about the key `name` of this table, or about the table itself when None."""
        key = self.key if name is None else join_key(self.key, name)
        where = f"{self.file}: {key}" if key else self.file
        return AdapterError(f"{where}: {problem}", hint=hint, file=self.file, key=key)

    def text(self, name: str) -> str | None:
        """The text under `name`, None when missing."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._unexpected(name, "text", value)

    def required_text(self, name: str) -> str:
        """The text under `name`; missing and empty are errors."""
        value = self.text(name)
        if not value:
            raise self.fault(name, "is missing" if value is None else "is empty")
        return value

    def flag(self, name: str) -> bool:
        """The truth value under `name`, False when missing."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._unexpected(name, "true or false", value)

    def number(self, name: str) -> int | None:
        """The whole number under `name`, None when missing."""
        value = self.values.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._unexpected(name, "a whole number", value)

    def required_number(self, name: str) -> int:
        """The whole number under `name`; missing is an error."""
        value = self.number(name)
        if value is None:
            raise self.fault(name, "is missing")
        return value

    def table(self, name: str) -> Table | None:
        """The table under `name`, None when missing."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(value, file=self.file, key=join_key(self.key, name))
        raise self._unexpected(name, "a table", value)

    def required_table(self, name: str) -> Table:
        """The table under `name`; missing is an error."""
        found = self.table(name)
        if found is None:
            raise self.fault(name, "is missing")
        return found

    def tables(self, name: str) -> tuple[Table, ...]:
        """The list of tables under `name`, empty when missing."""
        found = []
        for index, value in enumerate(self.items(name)):
            key = join_key(join_key(self.key, name), index)
            if not isinstance(value, dict):
                raise self._unexpected(name, "a table", value, index)
            found.append(Table(value, file=self.file, key=key))
        return tuple(found)

    def items(self, name: str) -> list[object]:
        """The list under `name` whatever it holds, empty when missing."""
        value = self.values.get(name)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self._unexpected(name, "a list", value)

    def texts(self, name: str) -> tuple[str, ...]:
        """The list of texts under `name`, empty when missing."""
        found = []
        for index, value in enumerate(self.items(name)):
            if not isinstance(value, str):
                raise self._unexpected(name, "text", value, index)
            found.append(value)
        return tuple(found)

    def text_map(self, name: str) -> Mapping[str, str]:
        """The table of texts under `name`, empty when missing."""
        table = self.table(name)
        if table is None:
            return {}
        for key in table.values:
            if not isinstance(table.values[key], str):
                raise table._unexpected(key, "text", table.values[key])
        return table.values  # type: ignore[return-value]  # each value was just seen to be text

    def _unexpected(self, name: str, expected: str, found: object, index: int | None = None) -> AdapterError:
        inner = Table(self.values, file=self.file, key=self.key)
        problem = f"expected {expected}, found {kind_of(found)}"
        if index is None:
            return inner.fault(name, problem)
        key = join_key(join_key(self.key, name), index)
        return AdapterError(f"{self.file}: {key}: {problem}", file=self.file, key=key)


class Faults:
    """Collects errors, so that one run reports all that can be fixed."""

    def __init__(self) -> None:
        self.found: list[DevenvError] = []

    def add(self, error: DevenvError) -> None:
        self.found.extend(error.problems if isinstance(error, Problems) else (error,))

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keep an error of the block for later, and go on after the block."""
        try:
            yield
        except DevenvError as error:
            self.add(error)

    def report(self, summary: str | None = None) -> None:
        """Raise what was found, if anything was."""
        raise_problems(self.found, summary=summary if len(self.found) > 1 else None)


def parse_json(text: str, file: str) -> Table:
    """A JSON document whose top is an object. `file` is its name for messages."""
    import json

    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise _unreadable(
            file, f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}", text
        ) from None
    except (RecursionError, ValueError) as error:  # nested too deeply; a number with too many digits
        raise _unreadable(file, f"JSON that cannot be read: {error}", text) from None
    if not isinstance(value, dict):
        raise AdapterError(f"{file}: expected a table at the top, found {kind_of(value)}", file=file)
    return Table(value, file=file)


def parse_toml(text: str, file: str) -> Table:
    """A TOML document. `file` is its name for messages."""
    import tomllib

    try:
        value = tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise _unreadable(file, f"not TOML: {error}", text) from None
    return Table(value, file=file)


def _unreadable(file: str, problem: str, text: str) -> AdapterError:
    """An error about the whole file, which knows the most common cause: a merge conflict."""
    if any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in text.splitlines()):
        return AdapterError(
            f"{file}: it contains merge conflict markers", hint="Resolve the conflict first.", file=file
        )
    return AdapterError(f"{file}: {problem}", file=file)
