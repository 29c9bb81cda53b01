"""On which line of a TOML file each key stands, which tomllib does not say.

A key path is a tuple of keys and, below arrays, indexes: ("lockfiles", "npm", 0, "path"). The scanner
reads the grammar of TOML 1.0 loosely: it follows every valid text, goes through at least as much of an
invalid one as tomllib does, and leaves the finding of errors to tomllib. It takes linear time.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

Keys = tuple[str | int, ...]

# tomllib needs time in the square of the depth, so somebody's file could keep it busy for hours.
MAX_DEPTH = 50

_BARE_END = frozenset(" \t\r\n.=[]{}\"'#,")
_SCALAR_END = frozenset("\n,]}#")


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """`lines`: the line, from 1, where each key path first occurs. `repeated`: keys given a value twice."""

    lines: Mapping[Keys, int]
    repeated: Mapping[Keys, tuple[int, int]]

    def line(self, keys: Keys) -> int | None:
        """The line of `keys`, or of the nearest table or array around it that has one."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys)


class TooDeepError(Exception):
    """Tables and arrays are nested deeper than `MAX_DEPTH` at `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def find_positions(text: str) -> Positions:
    """Scan `text`. Where it is no TOML the result ends there. Raises `TooDeepError`."""
    scanner = _Scanner(text)
    with suppress(_StopScanError):
        scanner.document()
    return Positions(lines=scanner.lines, repeated=scanner.repeated)


class _StopScanError(Exception):
    """The text is no TOML here."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(i + 1 for i, character in enumerate(text) if character == "\n")]
        self.lines: dict[Keys, int] = {}
        self.assigned: dict[Keys, int] = {}
        self.declared: dict[Keys, int] = {}  # by [header]
        self.repeated: dict[Keys, tuple[int, int]] = {}
        self.lengths: dict[Keys, int] = {}  # of arrays of tables

    def document(self) -> None:
        table: Keys = ()
        while self.skip(" \t\r\n"):
            if self.peek("["):
                table = self.header()
            else:
                self.pair(table)
            self.skip(" \t\r")
            if self.at < len(self.text) and not self.peek("\n"):
                raise _StopScanError

    def header(self) -> Keys:
        line = self.line()
        array = self.peek("[[")
        self.at += 2 if array else 1
        *parents, last = self.key()
        self.take("]]" if array else "]")
        table: Keys = ()
        for part in parents:
            table = self.inside(self.enter(table, part, line))
        table = self.enter(table, last, line)
        if array:
            index = self.lengths.get(table, 0)
            self.lengths[table] = index + 1
            return self.enter(table, index, line)
        table = self.inside(table)
        self.note(self.declared, table, line)
        return table

    def inside(self, table: Keys) -> Keys:
        """`table`, or the last element where it is an array of tables."""
        length = self.lengths.get(table)
        return table if length is None else (*table, length - 1)

    def pair(self, table: Keys) -> None:
        line = self.line()
        for part in self.key():
            table = self.enter(table, part, line)
        self.note(self.assigned, table, line)
        self.skip(" \t")
        self.take("=")
        self.value(table)

    def note(self, seen: dict[Keys, int], keys: Keys, line: int) -> None:
        if keys in seen:
            self.repeated.setdefault(keys, (seen[keys], line))
        else:
            seen[keys] = line

    def enter(self, table: Keys, part: str | int, line: int) -> Keys:
        keys = (*table, part)
        if len(keys) > MAX_DEPTH:
            raise TooDeepError(line)
        self.lines.setdefault(keys, line)
        return keys

    def key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self.skip(" \t")
            start = self.at
            if self.peek('"') or self.peek("'"):
                self.string()
                parts.append(_decode(self.text[start : self.at]))
            else:
                while self.at < len(self.text) and self.text[self.at] not in _BARE_END:
                    self.at += 1
                parts.append(self.text[start : self.at])
            if self.at == start:
                raise _StopScanError
            if len(parts) > MAX_DEPTH:
                raise TooDeepError(self.line())
            self.skip(" \t")
            if not self.peek("."):
                return parts
            self.at += 1

    def value(self, keys: Keys) -> None:
        self.skip(" \t")
        if self.peek('"') or self.peek("'"):
            self.string()
        elif self.peek("["):
            self.array(keys)
        elif self.peek("{"):
            self.inline_table(keys)
        else:
            start = self.at
            while self.at < len(self.text) and self.text[self.at] not in _SCALAR_END:
                self.at += 1
            if self.at == start:
                raise _StopScanError

    def array(self, keys: Keys) -> None:
        self.at += 1
        index = 0
        while self.skip(" \t\r\n") and not self.peek("]"):
            self.value(self.enter(keys, index, self.line()))
            index += 1
            self.skip(" \t\r\n")
            if not self.peek("]"):
                self.take(",")
        self.take("]")

    def inline_table(self, keys: Keys) -> None:
        self.at += 1
        while self.skip(" \t\r\n") and not self.peek("}"):
            self.pair(keys)
            self.skip(" \t\r\n")
            if not self.peek("}"):
                self.take(",")
        self.take("}")

    def string(self) -> None:
        """Any of the four kinds, from its first quote to behind its last."""
        quote = self.text[self.at]
        triple = self.peek(quote * 3)
        mark = quote * 3 if triple else quote
        here = self.at + len(mark)
        while True:
            end = self.text.find(mark, here)
            if end < 0:
                raise _StopScanError
            if quote == "'" or not self.escaped(end):
                break
            here = end + 1
        end += len(mark)
        if triple:  # up to two more quotes belong to the text: """a"""""
            extra = 0
            while extra < 2 and self.text.startswith(quote, end):
                extra, end = extra + 1, end + 1
        elif "\n" in self.text[self.at : end]:
            raise _StopScanError
        self.at = end

    def escaped(self, end: int) -> bool:
        start = end
        while self.text[start - 1] == "\\":
            start -= 1
        return (end - start) % 2 == 1

    def skip(self, blanks: str) -> bool:
        """Go over `blanks` and comments. False at the end of the text."""
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif character in blanks:
                self.at += 1
            else:
                return True
        return False

    def peek(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def take(self, mark: str) -> None:
        if not self.peek(mark):
            raise _StopScanError
        self.at += len(mark)

    def line(self) -> int:
        return bisect_right(self.starts, self.at)


def _decode(token: str) -> str:
    """The text of a quoted key."""
    try:
        return str(tomllib.loads(f"key = {token}")["key"])
    except ValueError:
        raise _StopScanError from None
