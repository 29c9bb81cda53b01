"""Phases as a graph: the order is right, the same for all spellings, and impossible ones are explained."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.config.builds import PhaseEdit
from devenv.errors import DevenvError
from devenv.recipes.default_phases import DEFAULTS
from devenv.recipes.errors import PhaseError
from devenv.recipes.phases import MOST, order

CHAIN = list(DEFAULTS)


def names(edits: dict[str, PhaseEdit]) -> list[str]:
    return [phase.name for phase in order(edits)]


def added(**where: tuple[str, ...]) -> PhaseEdit:
    return PhaseEdit(run="true", **where)  # type: ignore[arg-type]


CASES: dict[str, tuple[dict[str, PhaseEdit], str]] = {
    "defaults": ({}, "unpack patch configure build check install fixup"),
    "removed": (
        {"check": PhaseEdit(removed=True)},
        "unpack patch configure build install fixup",
    ),
    "right after what it waits for": (
        {"docs": added(after=("build",))},
        "unpack patch configure build docs check install fixup",
    ),
    "right before what waits for it": (
        {"strip": added(before=("install",))},
        "unpack patch configure build check strip install fixup",
    ),
    "before all": (
        {"early": added(before=("unpack",))},
        "early unpack patch configure build check install fixup",
    ),
    "after all": ({"late": added(after=("fixup",))}, "unpack patch configure build check install fixup late"),
    "two of one place by name": (
        {"b": added(after=("build",)), "a": added(after=("build",))},
        "unpack patch configure build a b check install fixup",
    ),
    "a row of their own": (
        {"a": added(after=("b",)), "b": added(after=("build",))},
        "unpack patch configure build b a check install fixup",
    ),
    "after one that is left out": (
        {"check": PhaseEdit(removed=True), "docs": added(after=("check",))},
        "unpack patch configure build docs install fixup",
    ),
    "a default one in another place": (
        {"check": PhaseEdit(after=("install",))},
        "unpack patch configure build install check fixup",
    ),
    "late by two reasons": (
        {"both": added(after=("unpack", "install"), before=("fixup",))},
        "unpack patch configure build check install both fixup",
    ),
}


@pytest.mark.parametrize(("edits", "expected"), CASES.values(), ids=CASES.keys())
def test_phases_stand_where_one_expects_them(edits: dict[str, PhaseEdit], expected: str) -> None:
    assert names(edits) == expected.split()


def test_a_replaced_phase_keeps_its_place_and_has_the_new_text() -> None:
    found = order({"build": PhaseEdit(run="ninja")})
    assert [phase.name for phase in found] == CHAIN
    assert found[3].run == "ninja"
    assert found[4].run == DEFAULTS["check"]


REFUSED: dict[str, tuple[dict[str, PhaseEdit], str, str]] = {
    "unknown after": (
        {"a": added(after=("biuld",))},
        "comes after biuld, which is no phase",
        "did you mean build?",
    ),
    "unknown before": ({"a": added(before=("zzz",))}, "comes before zzz", "there are unpack"),
    "no place": ({"instal": added()}, "the phase instal has no place", "did you mean install?"),
    "empty places": ({"a": added(after=(), before=())}, "has no place", "after ="),
    "no text": ({"a": PhaseEdit(after=("build",))}, "has nothing to run", "`run`"),
    "removed without being": ({"tests": PhaseEdit(removed=True)}, "is left out, and there is none", ""),
    "itself": ({"a": added(after=("a",))}, "wait for each other: a -> a", "take out"),
    "circle": (
        {"a": added(after=("install",), before=("build",))},
        "wait for each other: build -> check -> install -> a -> build",
        "take out",
    ),
    "circle of its own": (
        {"a": added(after=("b",)), "b": added(after=("a",))},
        "wait for each other: a -> b -> a",
        "take out",
    ),
    "nothing left": ({name: PhaseEdit(removed=True) for name in CHAIN}, "no phase is left", ""),
    "too many": ({f"p{n}": added(after=("build",)) for n in range(MOST)}, "more than 200", ""),
}


@pytest.mark.parametrize(("edits", "what", "hint"), REFUSED.values(), ids=REFUSED.keys())
def test_impossible_phases_are_explained(edits: dict[str, PhaseEdit], what: str, hint: str) -> None:
    with pytest.raises(PhaseError) as caught:
        order(edits, recipe="hello")
    assert what in str(caught.value)
    assert "hello" in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_the_message_says_where_the_phase_is_declared() -> None:
    edits = {"a": PhaseEdit(run="true", after=("x",), origin="devenv.toml:12")}
    with pytest.raises(PhaseError, match=r"^devenv\.toml:12: the recipe hello: the phase a"):
        order(edits, recipe="hello")


NAMES = st.sampled_from([*CHAIN, "a", "b", "c", "d"])
PLACES = st.one_of(st.none(), st.lists(NAMES, max_size=3).map(tuple))
EDITS = st.dictionaries(
    NAMES,
    st.builds(
        PhaseEdit,
        run=st.one_of(st.none(), st.just("true")),
        before=PLACES,
        after=PLACES,
        removed=st.booleans(),
    ),
    max_size=6,
)


def chain_of(edits: dict[str, PhaseEdit]) -> list[str]:
    return [name for name in CHAIN if not (name in edits and (edits[name].before or edits[name].after))]


@given(edits=EDITS, data=st.data())
def test_every_order_obeys_all_that_was_said(edits: dict[str, PhaseEdit], data: Any) -> None:
    try:
        found = names(edits)
    except DevenvError:
        return
    assert len(found) == len(set(found))
    assert set(found) == {name for name in {*CHAIN, *edits} if not edits.get(name, PhaseEdit()).removed}
    place = {name: index for index, name in enumerate(found)}
    for name, edit in edits.items():
        for other in edit.after or ():
            assert name not in place or other not in place or place[other] < place[name]
        for other in edit.before or ():
            assert name not in place or other not in place or place[name] < place[other]
    chain = [name for name in chain_of(edits) if name in place]
    assert chain == sorted(chain, key=place.__getitem__)
    shuffled = dict(data.draw(st.permutations(list(edits.items()))))
    assert names(shuffled) == found


@given(edits=EDITS)
def test_a_phase_that_is_left_out_changes_nothing_for_the_others(edits: dict[str, PhaseEdit]) -> None:
    try:
        whole = names(edits)
    except DevenvError:
        return
    for name in set(whole) & set(CHAIN):
        edit = edits.get(name, PhaseEdit())
        less = {**edits, name: PhaseEdit(before=edit.before, after=edit.after, removed=True)}
        if len(whole) > 1:
            assert names(less) == [other for other in whole if other != name]
