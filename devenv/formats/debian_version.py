"""Version numbers of Debian packages, ordered as dpkg orders them. After deb-version(7).

    [epoch:]upstream-version[-debian-revision]

Each part is compared as an alternation of non-digits and digits. Digits compare as numbers. Non-digits compare
character by character: "~" before the end of the part, the end before letters, letters before all others.
"""

from __future__ import annotations

import re
from functools import lru_cache

from devenv.formats.errors import FormatError

# (epoch, upstream version, revision); the parts as `_part` encodes them.
Key = tuple[int, tuple[int, ...], tuple[int, ...]]

_UPSTREAM = re.compile(r"[A-Za-z0-9.+~:-]+")
_REVISION = re.compile(r"[A-Za-z0-9.+~]+")
_PIECES = re.compile(r"([^0-9]*)([0-9]*)")
_MOST_DIGITS = 1000  # Python refuses longer numbers, and nobody counts so far
_END = 0
_OTHERS = 256  # above every letter's code


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + _OTHERS


_WEIGHTS = {chr(code): _weight(chr(code)) for code in range(128)}


@lru_cache(maxsize=1 << 16)
def version_key(text: str) -> Key:
    """A value whose order among its like is dpkg's order. Raises `FormatError` for what is no version."""
    epoch, colon, rest = text.partition(":")
    if not colon:
        epoch, rest = "0", text
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 10):
        raise FormatError(f"{text[:200]!r} is no version: its epoch must be a number")
    if not _UPSTREAM.fullmatch(upstream) or not _REVISION.fullmatch(revision):
        raise FormatError(
            f"{text[:200]!r} is no version: it has a character or an empty part that none may have"
        )
    if not colon and ":" in upstream:
        raise FormatError(f"{text[:200]!r} is no version: a colon follows an epoch only")
    return int(epoch), _part(upstream, text), _part(revision, text)


def _part(part: str, whole: str) -> tuple[int, ...]:
    """Weights of the non-digits, the end mark, the number, and so on, closed by an end mark.

    The closing mark is where a longer part has its next non-digit, so that "1~" is less than "1".
    """
    found: list[int] = []
    for letters, digits in _PIECES.findall(part):
        if not letters and not digits:
            break
        if len(digits) > _MOST_DIGITS:
            raise FormatError(f"{whole[:200]!r}... is no version: it has a number of {len(digits)} digits")
        found.extend([_WEIGHTS[letter] for letter in letters])
        found.append(_END)
        found.append(int(digits or "0"))
    found.append(_END)
    return tuple(found)


def compare(first: str, second: str) -> int:
    """-1, 0 or 1 as `first` is earlier than, the same as or later than `second`."""
    one, two = version_key(first), version_key(second)
    return (one > two) - (one < two)


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether a version stands in a relation ("<<", "<=", "=", ">=", ">>") to another. Raises FormatError."""
    order = compare(version, wanted)
    match operator:
        case "=":
            return order == 0
        case ">=":
            return order >= 0
        case "<=":
            return order <= 0
        case ">>":
            return order > 0
        case "<<":
            return order < 0
    raise FormatError(f"{operator!r} is no relation between versions")
