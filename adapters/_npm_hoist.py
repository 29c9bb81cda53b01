"""A graph of packages as a node_modules tree, for formats that say what depends on what but not where it lies.

Each package is put as high as it can be without coming between another package and what that one finds: what
`node-linker=hoisted` and `nodeLinker: node-modules` do. The projects' own dependencies come first, then what is nearest
to them, each level in the order of names, so equal graphs give equal trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from devenv.adapter import AdapterError
from devenv.adapters._npm_lock import Entry, Lock, check_positions
from devenv.formats.npm_places import MODULES

# Several times what the largest projects have. Packages in a circle that ask for each other in several versions would
# lie inside each other without end.
_MOST_PLACES = 100_000
_DEEPEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A dependency: `key` of the package, or of the project directory as "link:<directory>"."""

    key: str
    optional: bool = False
    dev: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """`packages`: key -> entry without a place; `wants`: key -> name -> what; `roots`: directory -> name -> what.

    `where`: key -> key path in the file. The project itself is the directory "".
    """

    packages: Mapping[str, Entry]
    wants: Mapping[str, Mapping[str, Want]]
    roots: Mapping[str, Mapping[str, Want]]
    where: Mapping[str, str] = field(default_factory=dict)


class TooLarge(Exception):
    """The tree would have more places than any real one."""


def hoist(graph: Graph, most: int = _MOST_PLACES) -> dict[str, str]:
    """Place -> key of the package or link there, at most `most`. Raises `TooLarge`."""
    places: dict[str, str] = {}
    passed: dict[
        str, set[str]
    ] = {}  # a place where nothing may come to lie -> for which keys that does not hold
    queue: list[tuple[str, str, Want]] = []
    for directory in sorted(graph.roots):
        queue += [(directory, name, want) for name, want in sorted(graph.roots[directory].items())]
    for holder, name, want in queue:
        levels = [_place(level, name) for level in _levels(holder, graph.roots)]
        free = []
        for place in levels:
            if place in places:
                break
            free.append(place)
        below = levels[len(free)] if len(free) < len(levels) else None
        if below is not None and places[below] == want.key:
            chosen = below
        else:
            chosen = _highest(free, passed, want.key)
            places[chosen] = want.key
            if len(places) > most or len(levels) > _DEEPEST:
                raise TooLarge
            if not want.key.startswith("link:"):
                queue += [(chosen, inner, each) for inner, each in sorted(graph.wants[want.key].items())]
        for place in levels[: levels.index(chosen)]:
            passed.setdefault(place, set()).add(want.key)
    return places


def _highest(free: list[str], passed: Mapping[str, set[str]], key: str) -> str:
    """The last of the free places, the nearest first, at which the package hides nothing that is found further up."""
    for place in reversed(free):
        if passed.get(place, set()) <= {key}:
            return place
    return free[0]


def _levels(holder: str, roots: Mapping[str, object]) -> Iterator[str]:
    """The packages and projects whose node_modules are searched from `holder`, nearest first."""
    yield holder
    above = holder
    while above:
        parts = above.split("/")
        if MODULES in parts:
            above = "/".join(parts[: len(parts) - 1 - parts[::-1].index(MODULES)])
        else:
            above = above.rpartition("/")[0]
            if above and above not in roots:
                continue
        if not (above == "" and holder.startswith("..")):
            yield above


def _place(level: str, name: str) -> str:
    return f"{level}/{MODULES}/{name}" if level else f"{MODULES}/{name}"


def hoisted_lock(
    file: str, graph: Graph, most: int = _MOST_PLACES, *, required_are_for_all: bool = False
) -> Lock:
    """The tree of a graph as a lock. Raises `AdapterError` where it has no end, `Problems` for places that cannot be.

    `required_are_for_all`: packages for another platform are left out where they are optional, and only there.
    """
    flags = _flags(graph)
    entries: dict[str, Entry] = {}
    keys: dict[str, str] = {}
    for directory, wants in graph.roots.items():
        entries[directory] = Entry(
            place=directory,
            name="",
            enclosing=None,
            dependencies={n: w.key for n, w in wants.items() if not w.dev and not w.optional},
            dev_dependencies={n: w.key for n, w in wants.items() if w.dev},
            optional_dependencies={n: w.key for n, w in wants.items() if w.optional and not w.dev},
        )
    try:
        places = hoist(graph, most)
    except TooLarge:
        raise AdapterError(
            f"{file}: its packages would lie in more places than any real ones", file=file
        ) from None
    for place, key in places.items():
        enclosing, _, name = place.rpartition(f"{MODULES}/")
        keys[place] = graph.where.get(key, "")
        enclosing = enclosing.rstrip("/")
        if key.startswith("link:"):
            directory = key.removeprefix("link:")
            entries[place] = Entry(place=place, name=name, enclosing=enclosing, link=True, resolved=directory)
            entries.setdefault(directory, Entry(place=directory, name=name, enclosing=None))
            continue
        entry = _placed(graph, key, flags[key], required_are_for_all)
        entries[place] = replace(entry, place=place, enclosing=enclosing)
    lock = Lock(file=file, name=None, version=None, entries=entries, keys=keys)
    check_positions(lock)
    return lock


def _placed(graph: Graph, key: str, flags: tuple[bool, bool, bool], required_are_for_all: bool) -> Entry:
    """A package with its place in the graph: what needs it, and what it needs."""
    dev, optional, dev_optional = flags
    package, wants = graph.packages[key], graph.wants[key]
    if required_are_for_all and not optional:
        package = replace(package, os=(), cpu=(), libc=())
    return replace(
        package,
        dev=dev,
        optional=optional,
        dev_optional=dev_optional,
        dependencies={n: w.key for n, w in wants.items() if not w.optional},
        optional_dependencies={n: w.key for n, w in wants.items() if w.optional},
    )


def _flags(graph: Graph) -> dict[str, tuple[bool, bool, bool]]:
    """Key -> whether only development, only something optional, or only one of these needs it, as npm marks it."""
    wanted = _reached(graph, dev=False, optional=True)
    needed = _reached(graph, dev=True, optional=False)
    both = _reached(graph, dev=False, optional=False)
    return {
        key: (
            key not in wanted,
            key not in needed,
            key in wanted and key in needed and key not in both,
        )
        for key in graph.packages
    }


def _reached(graph: Graph, *, dev: bool, optional: bool) -> set[str]:
    """The packages that the projects need, by dependencies of these kinds too."""
    queue = [
        want.key
        for wants in graph.roots.values()
        for want in wants.values()
        if (dev or not want.dev) and (optional or not want.optional)
    ]
    found = set()
    while queue:
        key = queue.pop()
        if key in found or key.startswith("link:"):
            continue
        found.add(key)
        queue += [want.key for want in graph.wants[key].values() if optional or not want.optional]
    return found
