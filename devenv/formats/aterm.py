r"""The tokens of derivation files: strings, lists, tuples.

    string  = '"' ( character | '\\' | '\"' | '\n' | '\r' | '\t' )* '"'      quote, backslash, LF, CR, TAB escaped
    list    = '[' [ item ( ',' item )* ] ']'
    tuple   = '(' item ( ',' item )* ')'

There are no blanks between tokens. Text is bytes to Nix; here it is `str` with bytes that are not UTF-8 as
surrogate escapes, so any file comes back as it was. Only this canonical spelling is read: what `Reader`
accepts, the functions below write back byte for byte. NUL is refused, as no program could be given it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

from devenv.formats.errors import FormatError

T = TypeVar("T")

_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n", "\\r": "\r", "\\t": "\t"}
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_ESCAPE_OR_QUOTE = re.compile(r'\\.|"', re.DOTALL)
_RAW_CONTROL = re.compile(r"[\n\r\t]")


def quote(text: str) -> str:
    """`text` as a string token."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if not text.isprintable():
        text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{text}"'


def quote_list(texts: Iterable[str]) -> str:
    """`texts` as a list of strings, in their order."""
    return f"[{','.join(map(quote, texts))}]"


def byte_order(text: str) -> bytes:
    """The key by which derivation files are sorted. Raises `FormatError` for text that has no bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise FormatError(f"{text[:200]!r} has a character that is no Unicode text") from None


def encode(text: str) -> bytes:
    """A whole file of tokens as bytes. Raises `FormatError` for NUL and text that has no bytes."""
    data = byte_order(text)
    if b"\0" in data:
        raise FormatError("a derivation has a string with a NUL character", offset=data.index(b"\0"))
    return data


class Reader:
    """Takes tokens from the front of a file. All methods raise `FormatError` with the offset in bytes.

    `what` names the file in messages.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._text = data.decode("utf-8", "surrogateescape")
        self._at = 0
        self._what = what
        if b"\0" in data:
            self.fail("expected text, found a NUL byte", self._text.index("\0"))

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        """Raise the error for the character `at`, by default the next one."""
        before = self._text[: self._at if at is None else at]
        raise FormatError(f"{self._what}: {message}", offset=len(before.encode("utf-8", "surrogateescape")))

    def take(self, literal: str) -> bool:
        """Pass over `literal` if it comes next."""
        if self._text.startswith(literal, self._at):
            self._at += len(literal)
            return True
        return False

    def expect(self, literal: str) -> None:
        if not self.take(literal):
            found = self._text[self._at : self._at + 20]
            self.fail(f"expected {literal!r}, found {found!r}" if found else f"ends before {literal!r}")

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._text):
            self.fail(f"expected the end, found {self._text[self._at : self._at + 20]!r}")

    def string(self) -> str:
        """The value of the string that comes next."""
        self.expect('"')
        start = self._at
        end = self._text.find('"', start)
        body = self._text[start:end]
        if end < 0 or "\\" in body:
            end = self._closing_quote(start)
            body = _ESCAPE.sub(self._unescape, self._text[start:end])
        # One look for the usual string without control characters. Escaped ones are gone from `body` only
        # when there were any, so the raw text is what must be searched.
        if not body.isprintable() and (raw := _RAW_CONTROL.search(self._text, start, end)):
            self.fail(f"expected {raw[0]!r} to be escaped", raw.start())
        self._at = end + 1
        return body

    def checked(self, check: Callable[[str], T]) -> T:
        """What `check` makes of the string that comes next; its `FormatError` gets the string's place."""
        start = self._at
        text = self.string()
        try:
            return check(text)
        except FormatError as error:
            self.fail(error.message, start)

    def strings(self) -> list[str]:
        """A list of strings."""
        return [self.string() for _ in self.items()]

    def items(self) -> Iterator[None]:
        """Once for each item of a list; the caller takes the item, this takes what stands between them."""
        self.expect("[")
        if self.take("]"):
            return
        yield
        while not self.take("]"):
            self.expect(",")
            yield

    def _closing_quote(self, start: int) -> int:
        for mark in _ESCAPE_OR_QUOTE.finditer(self._text, start):
            if mark[0] == '"':
                return mark.start()
        self.fail("ends inside a string", len(self._text))

    def _unescape(self, escape: re.Match[str]) -> str:
        plain = _ESCAPES.get(escape[0])
        if plain is None:
            self.fail(f"unknown escape {escape[0]!r} in a string", self._at + escape.start())
        return plain
