"""What projects write about the versions they need, as requests: the beginning of a version ("20", "3.11").

Node's ranges are those of npm's `semver` package, as `engines` in package.json has them; Python's those of
PEP 440.
"""

from __future__ import annotations

import re

Version = tuple[int, int, int]
# From a version up to, and without, another; None is no limit.
Interval = tuple[Version, Version | None]

# The names of Node's long-term releases, which .nvmrc files use.
_NODE_CODENAMES = {
    "argon": "4",
    "boron": "6",
    "carbon": "8",
    "dubnium": "10",
    "erbium": "12",
    "fermium": "14",
    "gallium": "16",
    "hydrogen": "18",
    "iron": "20",
    "jod": "22",
    "krypton": "24",
}

_PART = r"([0-9]{1,9}|[xX*])"
_COMPARATOR = re.compile(
    rf"(\^|~>?|>=|<=|>|<|=)?\s*v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:[-+][0-9A-Za-z.+-]+)?(?=\s|$)\s*"
)
_LAST_MINOR = 40  # of Python 3, as far as anybody plans


def exact_request(text: str) -> str | None:
    """A request from one version as files like .nvmrc hold it: "v18.17.0", "18", "lts/iron"; else None."""
    text = text.strip().lower()
    if text.startswith("lts/"):
        return _NODE_CODENAMES.get(text.removeprefix("lts/"))
    found = re.fullmatch(r"(?:latest:|node-)?v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})", text)
    return found[1] if found else None


def node_request(text: str, default: str) -> str | None:
    """A request that satisfies an npm range, `default` if it does; None for what is no range.

    Takes for granted that the newest version of a series is in the range if any of the series is.
    """
    intervals = _intervals(text)
    if intervals is None:
        return None
    if default and any(_fits(default, interval) for interval in intervals):
        return default
    candidates = [(_candidate(interval), interval) for interval in reversed(intervals)]
    return next((request for request, interval in candidates if _fits(request, interval)), None)


def node_fits(request: str, text: str) -> bool:
    """Can `request` satisfy the range? True where the range cannot be read: nothing is known against it."""
    intervals = _intervals(text)
    return intervals is None or any(_fits(request, interval) for interval in intervals)


def _intervals(text: str) -> list[Interval] | None:
    found = []
    for alternative in text.split("||"):
        interval = _interval(alternative.strip())
        if interval is None:
            return None
        found.append(interval)
    return found


def _interval(text: str) -> Interval | None:
    """One alternative: comparators that hold together, "A - B", or nothing for everything."""
    if text in ("", "latest"):
        return (0, 0, 0), None
    text = re.sub(r"^(\S+)\s+-\s+(\S+)$", r">=\1 <=\2", text)
    low: Version = (0, 0, 0)
    high: Version | None = None
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            return None
        first, end = _bounds(match[1] or "=", [match[2], match[3], match[4]])
        low = max(low, first)
        high = end if high is None else high if end is None else min(high, end)
        position = match.end()
    return low, high


def _bounds(operator: str, texts: list[str | None]) -> Interval:
    parts: list[int] = []
    for text in texts:
        if text is None or not text.isdigit():
            break
        parts.append(int(text))
    if not parts:
        return (0, 0, 0), None
    version = _padded(parts)
    following = _following(parts)
    if operator == ">":
        return following, None
    if operator == ">=":
        return version, None
    if operator == "<":
        return (0, 0, 0), version
    if operator == "<=":
        return (0, 0, 0), following
    if operator == "^":
        fixed = next((place for place, part in enumerate(parts) if part), len(parts) - 1)
        return version, _following(parts[: fixed + 1])
    if operator.startswith("~"):
        return version, _following(parts[:2])
    return version, following


def _padded(parts: list[int]) -> Version:
    major, minor, patch = (*parts, 0, 0)[:3]
    return major, minor, patch


def _following(parts: list[int]) -> Version:
    """The first version that does not begin with `parts`."""
    return _padded([*parts[:-1], parts[-1] + 1])


def _fits(request: str, interval: Interval) -> bool:
    found = re.match(r"[0-9]+(?:\.[0-9]+){0,2}", request)
    if found is None:
        return False
    parts = [int(part) for part in found[0].split(".")]
    low, high = interval
    return _following(parts) > low and (high is None or _following(parts) <= high)


def _candidate(interval: Interval) -> str:
    """The request for the newest series that ends within `interval`."""
    low, high = interval
    if high is None:
        return str(low[0])
    major, minor, patch = high
    if patch:
        return f"{major}.{minor}.{patch - 1}"
    return f"{major}.{minor - 1}" if minor else str(major - 1)


def minor_version(text: str) -> str | None:
    """ "3.11.4" -> "3.11": this machine supplies Python, and rarely the very patch version."""
    found = re.fullmatch(r"(?:python-?|cpython-?|latest:)?(3\.[0-9]{1,3})(?:\.[0-9]+)?", text.strip().lower())
    return found[1] if found else None


def python_request(text: str, default: str) -> str | None:
    """The minor version nearest to `default` that satisfies PEP 440 specifiers; None if none can be told."""
    from packaging.specifiers import SpecifierSet

    first = int((minor_version(default) or "3.11").partition(".")[2])
    minors = [first, *range(first + 1, _LAST_MINOR), *range(first - 1, -1, -1)]
    try:
        specifiers = SpecifierSet(_pep_440(text))
        return next((f"3.{minor}" for minor in minors if _python_fits(f"3.{minor}", specifiers)), None)
    except ValueError:  # InvalidSpecifier, and what int() says of thousands of digits
        return None


def python_fits(request: str, text: str) -> bool:
    """Can `request` satisfy the specifiers? True where they cannot be read."""
    from packaging.specifiers import SpecifierSet

    try:
        return _python_fits(request, SpecifierSet(_pep_440(text)))
    except ValueError:
        return True


def _python_fits(minor: str, specifiers: object) -> bool:
    from packaging.specifiers import SpecifierSet

    assert isinstance(specifiers, SpecifierSet)
    return any(specifiers.contains(f"{minor}.{patch}") for patch in (999, *range(30)))


def _pep_440(text: str) -> str:
    """The carets, tildes and bare versions that some tools allow beside PEP 440, as PEP 440."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\^|~)?\s*([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})(\.\*)?\s*", part)
        if match is None:
            found.append("" if part.strip() == "*" else part)
            continue
        numbers = [int(number) for number in match[2].split(".")]
        if match[1]:
            ahead = _following(numbers[:1] if match[1] == "^" else numbers[:2])
            found.append(f">={match[2]},<{ahead[0]}.{ahead[1]}")
        else:
            found.append(f"=={match[2]}{'' if len(numbers) == 3 else '.*'}")
    return ",".join(found)
