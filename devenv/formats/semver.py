"""Semantic versions and npm's version ranges.

Versions: https://semver.org, with npm's leniency of a leading "v" or "=". Ranges, as node-semver's
documentation gives them:

    range-set  := range ( "||" range )*
    range      := partial " - " partial | simple ( " " simple )* | ""
    simple     := [ "<" | ">" | "<=" | ">=" | "=" | "~" | "~>" | "^" ] partial
    partial    := xr [ "." xr [ "." xr [ "-" prerelease ] [ "+" build ] ] ]
    xr         := "x" | "X" | "*" | number

A pre-release satisfies a range only where a comparator names a pre-release of the same
major.minor.patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from devenv.errors import DevenvError

_LONGEST = 256  # characters, like npm
_LARGEST = 2**53 - 1
_IDENTIFIER = r"[0-9A-Za-z-]+"
_TAIL = rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?"
_VERSION = re.compile(rf"[v=\s]*(\d+)\.(\d+)\.(\d+){_TAIL}", re.ASCII)
_XR = r"[xX*]|\d+"
_PARTIAL = rf"[v=\s]*({_XR})(?:\.({_XR})(?:\.({_XR}){_TAIL})?)?"
_SIMPLE = re.compile(rf"(<=|>=|<|>|=|~>|~|\^)?{_PARTIAL}", re.ASCII)
_HYPHEN = re.compile(rf"\s*{_PARTIAL}\s+-\s+{_PARTIAL}\s*", re.ASCII)
# An operator may stand apart from its version.
_DETACHED = re.compile(r"(<=|>=|<|>|=|~>|~|\^)\s+")
# With these, as with hyphens, npm passes over what follows an x; with others it is an error.
_LENIENT = frozenset({"~", "~>", "^"})


class SemverError(DevenvError):
    """A text is no version, or no range."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A version; build metadata is dropped. Ordered as semver.org, section 11, says."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[int | str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises `SemverError` for anything but major.minor.patch with an optional tail."""
        found = _VERSION.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if found is None:
            raise SemverError(f"{text[:_LONGEST]!r} is no version such as 1.2.3.")
        major, minor, patch = (_number(each, text) for each in found.group(1, 2, 3))
        return cls(major, minor, patch, _prerelease(found.group(4), text))

    @property
    def release(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        tail = "-" + ".".join(map(str, self.prerelease)) if self.prerelease else ""
        return f"{self.major}.{self.minor}.{self.patch}{tail}"

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[object, ...]:
        # Numbers come before words, a release after all of its pre-releases.
        parts = tuple((isinstance(each, str), each) for each in self.prerelease)
        return self.release, not self.prerelease, parts


def _number(text: str, whole: str) -> int:
    number = int(text) if len(text) <= 16 else _LARGEST + 1
    if number > _LARGEST or (text[0] == "0" and len(text) > 1):
        raise SemverError(f"{whole[:_LONGEST]!r} is no version: {text[:20]} is no number that one can have.")
    return number


def _prerelease(text: str | None, whole: str) -> tuple[int | str, ...]:
    parts = text.split(".") if text else []
    return tuple(_number(each, whole) if each.isdigit() else each for each in parts)


@dataclass(frozen=True, slots=True)
class Comparator:
    """`operator` is "<", "<=", ">", ">=" or "="."""

    operator: str
    version: Version

    def accepts(self, version: Version) -> bool:
        """Whether a version stands in this relation to the comparator's, by precedence alone."""
        if self.operator == "=":
            return version == self.version
        if self.operator.startswith("<"):
            return version < self.version or (self.operator == "<=" and version == self.version)
        return version > self.version or (self.operator == ">=" and version == self.version)


@dataclass(frozen=True, slots=True)
class Range:
    """Alternatives, each of them comparators that all must accept."""

    alternatives: tuple[tuple[Comparator, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Range:
        """Raises `SemverError` for what is no range. The empty text accepts every release."""
        if len(text) > 16 * _LONGEST:
            raise SemverError("A version range of more than 4096 characters is none.")
        return cls(tuple(_alternative(each, text) for each in text.split("||")))

    def accepts(self, version: Version) -> bool:
        """Whether the range has the version, by npm's rule for pre-releases."""
        return any(_all_accept(comparators, version) for comparators in self.alternatives)

    def newest(self, versions: Iterable[Version]) -> Version | None:
        """The highest of `versions` that the range accepts."""
        return max(filter(self.accepts, versions), default=None)


def _all_accept(comparators: tuple[Comparator, ...], version: Version) -> bool:
    if not all(each.accepts(version) for each in comparators):
        return False
    named = [each.version for each in comparators if each.version.prerelease]
    return not version.prerelease or any(each.release == version.release for each in named)


def _alternative(text: str, whole: str) -> tuple[Comparator, ...]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        low, high = _Partial.of(hyphen.groups()[:4], whole), _Partial.of(hyphen.groups()[4:], whole)
        return (*_at_least(low), *_up_to(high))
    found: list[Comparator] = []
    for word in _DETACHED.sub(r"\1", text).split():
        match = _SIMPLE.fullmatch(word)
        if match is None:
            raise SemverError(
                f"{whole[:_LONGEST]!r} is no version range: cannot read {word[:40]!r}.",
                hint='Ranges look like "17", "17.9.1", ">=18 <20", "^16.14 || >=18".',
            )
        operator, parts = match.group(1) or "", match.groups()[1:]
        if operator not in _LENIENT and _has_number_after_open(parts):
            raise SemverError(
                f"{whole[:_LONGEST]!r} is no version range: in {word[:40]!r} a number follows an x."
            )
        found += _simple(operator, _Partial.of(parts, whole))
    return tuple(found)


def _has_number_after_open(parts: tuple[str | None, ...]) -> bool:
    is_open = [part is None or part in "xX*" for part in parts[:3]]
    return is_open != sorted(is_open)


@dataclass(frozen=True, slots=True)
class _Partial:
    """A version of which the last numbers may be left open (None)."""

    major: int | None
    minor: int | None
    patch: int | None
    prerelease: tuple[int | str, ...]

    @classmethod
    def of(cls, parts: tuple[str | None, ...], whole: str) -> _Partial:
        numbers: list[int | None] = []
        for part in parts[:3]:
            is_open = part is None or part in "xX*" or None in numbers
            numbers.append(None if is_open else _number(part or "", whole))
        major, minor, patch = numbers
        return cls(major, minor, patch, _prerelease(parts[3], whole) if patch is not None else ())

    @property
    def lowest(self) -> Version:
        """The first version that it stands for."""
        return Version(self.major or 0, self.minor or 0, self.patch or 0, self.prerelease)

    def after(self, kept: int) -> Version:
        """The first pre-release after all versions that agree in the first `kept` numbers."""
        numbers = [self.major or 0, self.minor or 0, self.patch or 0][:kept]
        numbers[-1] += 1
        numbers += [0] * (3 - kept)
        return Version(numbers[0], numbers[1], numbers[2], (0,))

    @property
    def known(self) -> int:
        """How many of the three numbers are given."""
        return 3 - (self.major, self.minor, self.patch).count(None)


_NOTHING = (Comparator("<", Version(0, 0, 0, (0,))),)


def _simple(operator: str, partial: _Partial) -> tuple[Comparator, ...]:
    """What one operator and partial version mean, in whole versions."""
    if operator in {"~", "~>"}:
        return _between(partial, min(partial.known, 2))
    if operator == "^":
        return _between(partial, _caret(partial))
    if operator == ">=":
        return _at_least(partial)
    if operator == "<=":
        return _up_to(partial)
    if partial.known == 3:
        return (Comparator(operator or "=", partial.lowest),)
    if operator == ">":
        return _NOTHING if not partial.known else (Comparator(">=", _zeroed(partial.after(partial.known))),)
    if operator == "<":
        return _NOTHING if not partial.known else (Comparator("<", _first(partial.lowest)),)
    return _between(partial, partial.known)


def _caret(partial: _Partial) -> int:
    """How many numbers `^` keeps: up to the first that is not zero."""
    numbers = (partial.major, partial.minor, partial.patch)[: partial.known]
    leading = next((index for index, number in enumerate(numbers) if number), None)
    return partial.known if leading is None else leading + 1


def _between(partial: _Partial, kept: int) -> tuple[Comparator, ...]:
    if not partial.known:
        return ()
    return Comparator(">=", partial.lowest), Comparator("<", partial.after(kept))


def _at_least(partial: _Partial) -> tuple[Comparator, ...]:
    return (Comparator(">=", partial.lowest),) if partial.known else ()


def _up_to(partial: _Partial) -> tuple[Comparator, ...]:
    if not partial.known:
        return ()
    if partial.known == 3:
        return (Comparator("<=", partial.lowest),)
    return (Comparator("<", partial.after(partial.known)),)


def _zeroed(version: Version) -> Version:
    return Version(*version.release)


def _first(version: Version) -> Version:
    return Version(*version.release, (0,))
