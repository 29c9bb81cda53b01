"""Inputs made of others: bytes and lines changed without a thought, and values of documents for what they are."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from devenv.adapters._yaml import parse_yaml
from devenv.derivations.builders.toml_text import toml_text
from devenv.errors import DevenvError

# What programs have fallen over, among them what this one could.
TEXTS = (
    "",
    " ",
    "\0",
    "\n",
    "\x1b[31m",
    "\ud800",
    "\u202e",
    "ﬁ",
    "²",
    "٣",
    ".",
    "..",
    "../../x",
    "/etc/passwd",
    "a/../../b",
    "node_modules",
    "node_modules/..",
    "@/x",
    "__proto__",
    "-e",
    "${x}",
    "%s%n",
    "*",
    "[",
    "(" * 300,
    "a" * 20_000,
    "9" * 5_000,
    "1e999999999",
    "NaN",
    "0x10",
    "-1",
    "1.0.0-rc..1",
    "1!2.0.post9+local",
    "==",
    ">=1,<<2",
    "python_version >= '3'",
    "python_version in",
    "http://[::1",
    "https://host:99999999/a.tgz",
    "https://u:p@host.test/a.tgz#sha256=",
    "file:..",
    "file:///etc/passwd",
    "git+ssh://git@host.test/a.git#main",
    "git+https://host.test/a.git?rev=x#0123456789012345678901234567890123456789",
    "registry+https://host.test/index",
    "sha512-",
    "sha512-AAAA",
    "sha256:00",
    "md5-" + "A" * 24,
    "2026-13-45T99:99:99Z",
)
SCALARS: tuple[Any, ...] = (None, True, False, 0, -1, 1 << 70, 0.5, -0.0, 1e308, [], {}, [[]], {"": ""})
_TOKEN = re.compile(rb"[\w.+-]+|[^\w\s]")
_LARGEST = 2 << 20  # bytes; inputs that only grow find nothing

Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutated(data: bytes, random: Random, others: Sequence[bytes], syntax: str) -> bytes:
    """`data` changed in one to four ways; `others` are inputs of the same kind, to take pieces of."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        structural = syntax != "text" and random.random() < 0.6
        change = _STRUCTURAL[syntax] if structural else random.choice(_PLAIN)
        data = change(data, random, others)
    return data[:_LARGEST]


# Without knowing what it is


def _flip(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    if not data:
        return b"\xff"
    at = random.randrange(len(data))
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    first, last = _span(data, random)
    return data[:first] + data[last:]


def _repeat(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    first, last = _span(data, random)
    return data[:last] + data[first:last] * random.choice((1, 1, 2, 50)) + data[last:]


def _insert(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(data))
    return data[:at] + _bytes(random.choice(TEXTS)) + data[at:]


def _splice(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others) if others else data
    first, last = _span(other, random)
    at = random.randint(0, len(data))
    return data[:at] + other[first:last] + data[at:]


def _token(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One word for another, of this input or of those that tend to hurt."""
    found = _token_near(data, random)
    if found is None:
        return data
    other = _token_near(data, random)
    text = _bytes(random.choice(TEXTS))
    new = data[slice(*other)] if other is not None and random.random() < 0.5 else text
    return data[: found[0]] + new + data[found[1] :]


def _token_near(data: bytes, random: Random) -> tuple[int, int] | None:
    at = random.randint(0, max(len(data) - 1, 0))
    found = _TOKEN.search(data, at) or _TOKEN.search(data)
    return found.span() if found else None


def _line(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A line left out, said twice or put elsewhere."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    line = lines[at]
    if random.random() < 0.6:
        del lines[at]
    for _ in range(random.choice((0, 1, 1, 2))):
        lines.insert(random.randint(0, len(lines)), line)
    return b"\n".join(lines)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    first = random.randint(0, len(data))
    return first, min(len(data), first + int(random.expovariate(1 / 30)) + 1)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_PLAIN: Sequence[Change] = (_flip, _cut, _repeat, _insert, _splice, _token, _token, _line)


# Documents


def _document(load: Callable[[str], Any], dump: Callable[[Any], str]) -> Change:
    """A change of one value of what `load` makes of a text. What it cannot read is changed as bytes."""

    def change(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        try:
            document = load(data.decode())
            changed = _changed(document, random)
            return _bytes(dump(changed))
        except (ValueError, TypeError, AttributeError, RecursionError, DevenvError):
            return random.choice(_PLAIN)(data, random, others)

    return change


def _changed(document: Any, random: Random) -> Any:
    """A document with one of its values, somewhere, replaced, left out, doubled or moved."""
    places = _places(document)
    if not places:
        return _value(random, places)
    holder, key = random.choice(places)
    kind = random.random()
    if kind < 0.25:
        del holder[key]
    elif kind < 0.5:
        holder[key] = _value(random, places)
    elif kind < 0.7:
        other, name = random.choice(places)
        holder[key] = other[name]
    elif isinstance(holder, dict):
        new = random.choice(TEXTS) if random.random() < 0.5 else str(random.choice(places)[1])
        holder[new] = holder[key] if random.random() < 0.5 else holder.pop(key)
    else:
        holder.insert(random.randint(0, len(holder)), holder[key])
    return document


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every value of a document by what holds it and its key there."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            found += [(holder, key) for key in keys]
            waiting += [holder[key] for key in keys]
    return found


def _value(random: Random, places: Sequence[tuple[Any, Any]]) -> Any:
    kind = random.random()
    if kind < 0.5:
        return random.choice(TEXTS)
    if kind < 0.8:
        return copy.deepcopy(random.choice(SCALARS))
    if kind < 0.85:
        deep: Any = []
        for _ in range(random.choice((10, 200, 5000))):
            deep = [deep] if random.random() < 0.5 else {"a": deep}
        return deep
    texts = [holder[key] for holder, key in places if isinstance(holder[key], str)]
    return _edited(random.choice(texts), random) if texts else random.choice(TEXTS)


def _edited(text: str, random: Random) -> str:
    return _bytes_text(random.choice(_PLAIN)(_bytes(text), random, ()))


def _bytes_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_STRUCTURAL: dict[str, Change] = {
    "json": _document(json.loads, lambda value: json.dumps(value, ensure_ascii=False, indent=1)),
    "toml": _document(tomllib.loads, toml_text),
    # What is JSON is YAML as well.
    "yaml": _document(
        lambda text: json.loads(json.dumps(parse_yaml(text, "x").values)),
        lambda value: json.dumps(value, ensure_ascii=False, indent=1),
    ),
}
