"""Poetry's version constraints, which are PEP 440's and a few more.

`^1.2` is >=1.2,<2 (up to the first number that is not zero), `~1.2` is >=1.2,<1.3, `1.2` is ==1.2, `1.*` and `*` are
wildcards, `,` or a blank is "and", `||` and `|` are "or". Source: Poetry's documentation, "Dependency specification".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPERATOR = re.compile(r"^(\^|~(?!=)|~=|===?|!=|<=?|>=?)?\s*(.+)$", re.DOTALL)
_SPACE_AFTER_OPERATOR = re.compile(r"([\^~<>=!])\s+")


def is_platform(constraint: str, platform: str) -> bool:
    """Whether a dependency's `platform` ("win32", "!=win32", "linux || darwin") allows a value of sys.platform."""

    def holds(term: str) -> bool:
        name = term.strip().lstrip("!=").strip()
        return (name == platform) != term.strip().startswith("!")

    choices = constraint.replace("||", "|").split("|")
    return any(all(holds(term) for term in choice.split(",")) for choice in choices)


def allows(constraint: str, version: str) -> bool:
    """Whether `version` fits. Raises ValueError for what is no constraint or no version."""
    return any(_all(part, version) for part in re.split(r"\s*\|\|?\s*", constraint.strip()))


def _all(text: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    words = re.split(r"\s*,\s*|\s+", _SPACE_AFTER_OPERATOR.sub(r"\1", text.strip()))
    specifiers = ",".join(each for word in words if word for each in _specifiers(word))
    return SpecifierSet(specifiers).contains(version, prereleases=True)


def _specifiers(word: str) -> Iterator[str]:
    if word in ("*", ""):
        return
    match = _OPERATOR.match(word)
    operator, text = (match[1] or "", match[2]) if match else ("", word)
    if operator in ("^", "~"):
        yield f">={text}"
        yield f"<{_upper(operator, text)}"
    elif not operator or operator == "=":
        yield f"=={text.replace('.x', '.*')}"
    else:
        yield f"{operator}{text}"


def _upper(operator: str, text: str) -> str:
    """The first version that `^text` or `~text` excludes."""
    from packaging.version import Version

    found = Version(text)
    numbers = list(found.release)
    if operator == "~":
        place = min(1, len(numbers) - 1)
    else:
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    above = [*numbers[:place], numbers[place] + 1]
    # A pre-release of the bound is excluded as well: it belongs to what the bound stands for.
    return (
        f"{found.epoch}!{'.'.join(map(str, above))}.dev0"
        if found.epoch
        else f"{'.'.join(map(str, above))}.dev0"
    )
