"""The phases of a recipe: a graph, put into one order. Pure.

The default phases form a chain, each after the one before. A recipe may replace the text of one, leave one out, give
one another place (`before` and `after` of its own then hold instead of the chain's), and add further ones. An
added phase runs as early as the phases that it comes after allow; one that only says what it comes before
runs right before that. What is left out keeps its place for those who name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from devenv.config.builds import PhaseEdit
from devenv.recipes.default_phases import DEFAULTS
from devenv.recipes.errors import PhaseError

UNEDITED = PhaseEdit()
MOST = 200  # phases; each is a directory tree to keep


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase that runs. `run` is text for a POSIX shell."""

    name: str
    run: str


def order(edits: Mapping[str, PhaseEdit], *, recipe: str = "") -> tuple[Phase, ...]:
    """The phases that run, in their order, which does not depend on that of `edits`.

    Raises PhaseError for names of no phase, an added phase without text or place, phases that wait for each
    other, none or more than `MOST` of them.
    """
    names = (*DEFAULTS, *sorted(edits.keys() - DEFAULTS.keys()))
    if len(names) > MOST:
        raise PhaseError(f"{_of(recipe)}it has {len(names)} phases, more than {MOST}", recipe=recipe)
    for name, edit in edits.items():
        _check(name, edit, names, recipe)
    before = {name: list(_predecessors(name, edits, names)) for name in names}
    found = tuple(
        Phase(name, edits.get(name, UNEDITED).run or DEFAULTS[name])
        for name in _sorted(before, edits, recipe)
        if not edits.get(name, UNEDITED).removed
    )
    if not found:
        raise PhaseError(f"{_of(recipe)}no phase is left to run", recipe=recipe)
    return found


def _of(recipe: str, edit: PhaseEdit = UNEDITED) -> str:
    """How a message begins: where, and what recipe."""
    place = f"{edit.origin}: " if edit.origin else ""
    return f"{place}the recipe {recipe}: " if recipe else place


def _check(name: str, edit: PhaseEdit, names: Sequence[str], recipe: str) -> None:
    start = f"{_of(recipe, edit)}the phase {name}"
    for key, others in (("before", edit.before or ()), ("after", edit.after or ())):
        for other in others:
            if other not in names:
                close = get_close_matches(other, names, n=1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
                raise PhaseError(
                    f"{start} comes {key} {other}, which is no phase",
                    recipe=recipe,
                    phases=(name, other),
                    hint=hint,
                )
    if name in DEFAULTS:
        return
    close = get_close_matches(name, list(DEFAULTS), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    if edit.removed:
        raise PhaseError(
            f"{start} is left out, and there is none", recipe=recipe, phases=(name,), hint=meant[2:] or None
        )
    if edit.run is None:
        raise PhaseError(
            f"{start} has nothing to run", recipe=recipe, phases=(name,), hint=f"give it `run`{meant}"
        )
    if not edit.before and not edit.after:
        raise PhaseError(
            f"{start} has no place among the others",
            recipe=recipe,
            phases=(name,),
            hint=f'say where it belongs: after = ["build"], for instance{meant}',
        )


def _is_placed(name: str, edits: Mapping[str, PhaseEdit]) -> bool:
    """Does the recipe itself say where the phase stands? Elsewhere the chain does."""
    edit = edits.get(name, UNEDITED)
    return name not in DEFAULTS or bool(edit.before or edit.after)


def _predecessors(name: str, edits: Mapping[str, PhaseEdit], names: Sequence[str]) -> Iterator[str]:
    """The phases that come before `name`: those of the chain first."""
    chain = [each for each in DEFAULTS if not _is_placed(each, edits)]
    if name in chain and chain.index(name):
        yield chain[chain.index(name) - 1]
    yield from edits.get(name, UNEDITED).after or ()
    for other in names:
        if name in (edits.get(other, UNEDITED).before or ()):
            yield other


def _sorted(before: Mapping[str, list[str]], edits: Mapping[str, PhaseEdit], recipe: str) -> list[str]:
    found: list[str] = []
    # A phase with an `after` of its own follows at once what it waited for.
    eager = [name for name in before if _is_placed(name, edits) and edits[name].after]

    def emit(name: str) -> None:
        found.append(name)
        for other in eager:
            if other not in found and all(each in found for each in before[other]):
                emit(other)

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise _circle((*path[path.index(name) :], name), edits, recipe)
        for other in before[name]:
            if other not in found:
                visit(other, (*path, name))
        if name not in found:
            emit(name)

    # The chain first: phases in front of one of it are found on the way.
    for name in sorted(before, key=lambda name: (_is_placed(name, edits), list(before).index(name))):
        if name not in found:
            visit(name, ())
    return found


def _circle(path: tuple[str, ...], edits: Mapping[str, PhaseEdit], recipe: str) -> PhaseError:
    # `path` goes from a phase to one that it waits for; people read time from left to right.
    names = tuple(reversed(path))
    places = [edits[name].origin for name in dict.fromkeys(names) if name in edits and edits[name].origin]
    where = f" ({', '.join(dict.fromkeys(places))})" if places else ""
    return PhaseError(
        f"{_of(recipe)}phases wait for each other: {' -> '.join(names)}{where}",
        recipe=recipe,
        phases=names,
        hint="take out one `before` or `after` of them",
    )
