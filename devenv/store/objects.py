"""What is registered in a store as one value, and what can be said of it without looking at the store again.

Everything here is pure. `Objects` maps each registered path to its `Facts`; paths that these name may be missing
from it. The relation is followed with explicit stacks, since chains may be longer than Python's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from devenv.formats.store_path import StorePath


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """About one path. `size`: of its NAR in bytes; `registered`: seconds since 1970.

    nar_hash, content_address: as the database has them, not checked in any way
    references: paths that occur in it, sorted, itself among them where it does
    deriver: the derivation that made it, registered or not
    outputs: of a derivation, by name, registered or not
    """

    size: int = 0
    registered: int = 0
    nar_hash: str = ""
    content_address: str | None = None
    references: tuple[StorePath, ...] = ()
    deriver: StorePath | None = None
    outputs: Mapping[str, StorePath] = field(default_factory=dict)


Objects = Mapping[StorePath, Facts]


def closure(objects: Objects, paths: Iterable[StorePath]) -> set[StorePath]:
    """The registered ones among `paths` and all that they refer to, directly or not."""
    found: set[StorePath] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        facts = objects.get(path)
        if facts is not None and path not in found:
            found.add(path)
            todo.extend(facts.references)
    return found


def size_of(objects: Objects, paths: Iterable[StorePath]) -> int:
    """The bytes of all their NARs."""
    return sum(objects[path].size for path in paths)


def referrers(objects: Objects) -> dict[StorePath, list[StorePath]]:
    """For each path who refers to it, sorted, itself left out."""
    found: dict[StorePath, list[StorePath]] = {path: [] for path in objects}
    for path in sorted(objects):
        for reference in objects[path].references:
            if reference != path and reference in found:
                found[reference].append(path)
    return found


def referrers_closure(objects: Objects, paths: Iterable[StorePath]) -> set[StorePath]:
    """The registered ones among `paths` and all that refer to them, directly or not."""
    users = referrers(objects)
    found: set[StorePath] = set()
    todo = [path for path in paths if path in objects]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo.extend(users[path])
    return found


def references_first(objects: Objects, paths: Collection[StorePath]) -> list[StorePath]:
    """`paths` with each after those of them that it refers to; in the order in which Nix prints such lists.

    A circle, which only outputs of one derivation could make, is cut anywhere.
    """
    wanted = paths if isinstance(paths, set | frozenset) else set(paths)
    sorted_: list[StorePath] = []
    seen: set[StorePath] = set()
    stack: list[tuple[StorePath, bool]] = [(path, False) for path in sorted(wanted, reverse=True)]
    while stack:
        path, is_left = stack.pop()
        if is_left:
            sorted_.append(path)
        elif path not in seen:
            seen.add(path)
            stack.append((path, True))
            below = objects[path].references if path in objects else ()
            stack.extend((other, False) for other in reversed(below) if other in wanted and other not in seen)
    return sorted_


def tree_lines(objects: Objects, top: StorePath) -> list[str]:
    """The references of `top` drawn as a tree, as `nix-store -q --tree` does: what came before is "[...]"."""
    lines: list[str] = []
    done: set[StorePath] = set()
    stack: list[tuple[StorePath, str, str]] = [(top, "", "")]
    while stack:
        path, first, rest = stack.pop()
        if path in done:
            lines.append(f"{first}{path} [...]")
            continue
        done.add(path)
        lines.append(f"{first}{path}")
        below = references_first(objects, objects[path].references) if path in objects else []
        for number in range(len(below) - 1, -1, -1):
            last = number == len(below) - 1
            stack.append(
                (below[number], rest + ("└───" if last else "├───"), rest + ("    " if last else "│   "))
            )
    return lines


def shortest_chains(
    objects: Objects, start: StorePath, end: StorePath, limit: int
) -> list[tuple[StorePath, ...]]:
    """The shortest ways from `start` to `end` along references, at most `limit` of them, in sorted order."""
    if start not in objects:
        return []
    distance = {start: 0}
    ahead = [start]
    while ahead and end not in distance:
        reached = []
        for path in ahead:
            for reference in objects[path].references if path in objects else ():
                if reference not in distance:
                    distance[reference] = distance[path] + 1
                    reached.append(reference)
        ahead = reached
    if end not in distance:
        return []
    before = _steps_back(objects, distance, end)
    chains: list[tuple[StorePath, ...]] = []
    stack: list[tuple[StorePath, ...]] = [(start,)]
    while stack and len(chains) < limit:
        chain = stack.pop()
        if chain[-1] == end:
            chains.append(chain)
            continue
        stack.extend((*chain, path) for path in sorted(before[chain[-1]], reverse=True))
    return chains


def _steps_back(
    objects: Objects, distance: Mapping[StorePath, int], end: StorePath
) -> dict[StorePath, list[StorePath]]:
    """For each path on a shortest way to `end`, the next ones on such a way."""
    by_distance: dict[int, list[StorePath]] = {}
    for path, steps in distance.items():
        by_distance.setdefault(steps, []).append(path)
    onward: dict[StorePath, list[StorePath]] = {}
    targets = {end}
    for steps in range(distance[end] - 1, -1, -1):
        found = {}
        for path in by_distance[steps]:
            next_ones = (
                [each for each in objects[path].references if each in targets] if path in objects else []
            )
            if next_ones:
                found[path] = next_ones
        onward.update(found)
        targets = set(found)
    return onward
