"""Merging specs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.env.merge import merge
from devenv.env.spec import (
    Append,
    Default,
    Operation,
    PackageRef,
    Prepend,
    Set,
    Spec,
    SpecError,
    Unset,
    ViewRef,
)
from devenv.errors import DevenvError, Problems
from tests.env.specs import specs


def attempt(*given_specs: Spec) -> Spec | None:
    try:
        return merge(given_specs)
    except DevenvError:
        return None


def attempt_nested(inner: tuple[Spec, ...], before: tuple[Spec, ...], after: tuple[Spec, ...]) -> Spec | None:
    merged = attempt(*inner)
    return None if merged is None else attempt(*before, merged, *after)


@given(specs, specs, specs)
def test_grouping_does_not_matter(first: Spec, second: Spec, third: Spec) -> None:
    whole = attempt(first, second, third)
    assert attempt_nested((first, second), (), (third,)) == whole
    assert attempt_nested((second, third), (first,), ()) == whole


values = st.sampled_from(["1", "2"])
small = st.builds(
    lambda operation: Spec(name="x", variables={"A": (operation,)}),
    st.one_of(
        st.builds(Set, value=values, origin=st.just("o")),
        st.builds(Default, value=values, origin=st.just("o")),
        st.builds(Unset, origin=st.just("o")),
        st.builds(Prepend, entries=st.just(("/x",)), origin=st.just("o")),
    ),
)


@given(small, small, small)
def test_grouping_does_not_matter_where_most_conflict(first: Spec, second: Spec, third: Spec) -> None:
    whole = attempt(first, second, third)
    assert attempt_nested((first, second), (), (third,)) == whole
    assert attempt_nested((second, third), (first,), ()) == whole


@given(specs)
def test_merging_one_settles_nothing_new(spec: Spec) -> None:
    merged = merge([spec])
    assert merge([merged]) == merged
    assert merged.name == spec.name


def of(*operations: Operation, name: str = "x") -> Spec:
    return Spec(name=name, variables={"A": operations})


SET = Set(value="1", origin="one.toml:1")
SAME = Set(value="1", origin="two.toml:2")
OTHER = Set(value="2", origin="three.toml:3")
GONE = Unset(origin="four.toml:4")
DEFAULT = Default(value="d", origin="five.toml:5")
LATER = Default(value="e", origin="six.toml:6")
LIST = Prepend(entries=("/a",), origin="seven.toml:7")
MORE = Append(entries=("/b",), origin="eight.toml:8")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((SET,), (SAME,), (SET,)),
        ((SET,), (DEFAULT,), (SET,)),
        ((DEFAULT,), (SET,), (SET,)),
        ((DEFAULT,), (GONE,), (GONE,)),
        ((DEFAULT,), (LATER,), (LATER,)),
        ((LIST,), (SET,), (SET, LIST)),
        ((LIST,), (MORE, LIST), (LIST, MORE, LIST)),
        ((DEFAULT, LIST), (MORE,), (DEFAULT, LIST, MORE)),
    ],
)
def test_operations_on_one_variable(
    left: tuple[Operation, ...], right: tuple[Operation, ...], expected: tuple[Operation, ...]
) -> None:
    assert merge([of(*left), of(*right)]).variables["A"] == expected


@pytest.mark.parametrize(
    "pair", [(SET, OTHER), (OTHER, GONE), (GONE, SET)], ids=["sets", "set-unset", "unset-set"]
)
def test_a_conflict_names_both_origins(pair: tuple[Set | Unset, Set | Unset]) -> None:
    with pytest.raises(SpecError) as caught:
        merge([of(pair[0]), of(pair[1])])
    assert pair[0].origin in str(caught.value) and pair[1].origin in str(caught.value)


def test_all_conflicts_are_reported_at_once() -> None:
    one = Spec(
        name="one",
        variables={"A": (SET,), "B": (SET,)},
        aliases={"x": ("1",)},
        scripts={"y": "1"},
        functions={"z": {"sh": "1"}},
    )
    two = Spec(
        name="two",
        variables={"A": (OTHER,), "B": (GONE,)},
        aliases={"x": ("2",)},
        scripts={"y": "2"},
        functions={"z": {"sh": "2"}},
    )
    with pytest.raises(Problems) as caught:
        merge([one, two])
    assert len(caught.value.problems) == 5
    assert "alias x means one thing for one and another for two" in str(caught.value)


def test_views_and_packages_are_united() -> None:
    view = ViewRef(kind="python", root="p", recipe="/s/1")
    node = PackageRef(name="node", version="1", path="/s/2", origin="a")
    merged = merge(
        [Spec(name="x", views=(view,), packages=(node,)), Spec(name="y", views=(view,), packages=(node,))]
    )
    assert (merged.name, merged.views, merged.packages) == ("y", (view,), (node,))
    with pytest.raises(SpecError, match="view p"):
        merge(
            [
                Spec(name="x", views=(view,)),
                Spec(name="x", views=(ViewRef(kind="r", root="p", recipe="/s/3"),)),
            ]
        )


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(SpecError):
        merge([])
