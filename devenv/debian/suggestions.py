"""Names that somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_MOST = 3
_CUTOFF = 0.75


def close_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known names like `name`, the closest first."""
    name = name.lower()
    # difflib looks at every letter; of a hundred thousand names few need that.
    near = [each for each in known if abs(len(each) - len(name)) <= 3 and _shares_an_end(each, name)]
    found = get_close_matches(name, near, n=_MOST, cutoff=_CUTOFF)
    if not found and len(name) > 3:
        longer = sorted((each for each in known if name in each), key=lambda each: (len(each), each))
        found = longer[:_MOST]
    return tuple(sorted(found, key=lambda each: (-SequenceMatcher(None, name, each).ratio(), each)))


def _shares_an_end(first: str, second: str) -> bool:
    return first[:2] == second[:2] or first[-3:] == second[-3:]
