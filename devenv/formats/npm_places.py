"""Places of packages in node_modules trees: how they find each other, and what goes with what.

    PLACE = [ DIRECTORY "/" ] "node_modules/" NAME { "/node_modules/" NAME }

An edge leads from a package to what `require` would find from its place, climbing the node_modules directories
(Node's manual, modules, "Loading from node_modules folders"). npm leaves out an optional package together with
what needs it, up to the next optional edges, and with what only those need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MODULES = "node_modules"
# What npm writes of a tree that it installed. It has the entries of a lock, but none of the project itself.
HIDDEN_LOCK = ".package-lock.json"

# The order of punctuation in the Unicode collation, of the characters that names of packages have.
_PUNCTUATION = {c: index for index, c in enumerate("_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$")}


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency between two places. `spec` is what the dependent asks for; the project's place is ""."""

    source: str
    target: str
    optional: bool
    spec: str = ""


Edges = Mapping[str, Sequence[Edge]]


def lock_directory(path: str) -> str:
    """The directory that a lockfile's places count from: its own, or the one around it for the one in node_modules."""
    directory, _, name = path.rpartition("/")
    if name == HIDDEN_LOCK and directory.rpartition("/")[2] == MODULES:
        return directory.rpartition("/")[0]
    return directory


def climb(place: str) -> Iterator[str]:
    """The directories whose node_modules are searched from `place`, nearest first."""
    directory = place
    while directory:
        if directory.rpartition("/")[2] != MODULES:
            yield directory
        directory = directory.rpartition("/")[0]
    if not place.startswith(".."):
        yield ""


def resolve(place: str, name: str, places: Collection[str]) -> str | None:
    """Which of `places` the package `name` is found at from `place`."""
    for directory in climb(place):
        found = f"{directory}/{MODULES}/{name}" if directory else f"{MODULES}/{name}"
        if found in places:
            return found
    return None


def enclosing(place: str) -> str:
    """The place or directory whose node_modules holds `place`, "" for the project's own."""
    return place[: place.rindex(f"{MODULES}/")].rstrip("/")


def command_place(place: str, command: str) -> str:
    """Where the command of the package at `place` is linked."""
    above = enclosing(place)
    return f"{above}/{MODULES}/.bin/{command}" if above else f"{MODULES}/.bin/{command}"


def optional_set(place: str, inward: Edges, outward: Edges, dropped: Collection[str]) -> set[str]:
    """What goes when the optional `place` goes: up to the optional edges above it, and all only that needs.

    `inward` and `outward` are the edges by target and by source; `dropped` what is gone already.
    """
    base = {place}
    queue = [place]
    for current in queue:
        for edge in inward.get(current, ()):
            if not edge.optional and edge.source and edge.source not in base:
                base.add(edge.source)
                queue.append(edge.source)
    return _only_needed_by(base, inward, outward, dropped)


def _only_needed_by(base: set[str], inward: Edges, outward: Edges, dropped: Collection[str]) -> set[str]:
    """`base` and the places that only it, or what is dropped already, depends on."""
    found = set(base)
    queue = list(base)
    for current in queue:
        for edge in _counted(outward.get(current, ()), base, dropped):
            if edge.target not in found:
                found.add(edge.target)
                queue.append(edge.target)
    changed = True
    while changed:
        needed = {
            place
            for place in found
            for edge in _counted(inward.get(place, ()), base, dropped)
            if edge.source not in found
        }
        found -= needed
        changed = bool(needed)
    return found


def _counted(edges: Iterable[Edge], base: set[str], dropped: Collection[str]) -> Iterator[Edge]:
    return (edge for edge in edges if edge.target not in base and edge.source not in dropped)


def linking_order(place: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key of places: of two packages with one command, the first gives it.

    npm compares by the collation of English, where case counts last, lower first.
    """
    keys = []
    for char in place.casefold():
        punctuation = _PUNCTUATION.get(char)
        keys.append(
            (0, punctuation, "") if punctuation is not None else (2 if char.isalpha() else 1, 0, char)
        )
    return keys, place.swapcase()
