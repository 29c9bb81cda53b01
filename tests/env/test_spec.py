"""The spec as a value and as env.json."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devenv.env.spec
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

SCHEMA = json.loads(Path(devenv.env.spec.__file__).with_name("env.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ORIGIN = "devenv.toml:7"


@given(specs)
def test_json_brings_back_the_same_spec(spec: Spec) -> None:
    text = spec.to_json()
    assert Spec.from_json(text) == spec
    assert Spec.from_json(text).to_json() == text
    assert text.isascii()


@given(specs)
def test_json_fits_the_published_schema(spec: Spec) -> None:
    VALIDATOR.validate(json.loads(spec.to_json()))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_order_in_which_things_were_declared_does_not_show() -> None:
    one: dict[str, tuple[Operation, ...]] = {"A": (Unset(origin="a"),), "B": (Set(value="", origin="b"),)}
    other = dict(reversed(one.items()))
    assert Spec(name="x", variables=one).to_json() == Spec(name="x", variables=other).to_json()


def operation(**fields: Any) -> dict[str, Any]:
    return {"variables": {"A": [fields]}}


# What is wrong -> the change to a good document, and what the message must say.
DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "old version": ({"version": 0}, "version is 0"),
    "no version": ({"version": None}, "version is None"),
    "true is not 1": ({"version": True}, "version is True"),
    "name is a number": ({"name": 3}, "name must be text"),
    "name is empty": ({"name": ""}, "printable"),
    "name has two lines": ({"name": "a\nb"}, "printable"),
    "variables is a list": ({"variables": []}, "variables must be an object"),
    "no operations": ({"variables": {"A": []}}, "nothing is to be done"),
    "variable name": ({"variables": {"A-B": [{"op": "unset", "origin": ORIGIN}]}}, "'A-B'"),
    "non-ASCII variable name": ({"variables": {"Ä": [{"op": "unset", "origin": ORIGIN}]}}, "ASCII"),
    "own variable": ({"variables": {"__devenv_x": [{"op": "unset", "origin": ORIGIN}]}}, "itself"),
    "project variable": ({"variables": {"DEVENV_PROJECT": [{"op": "unset", "origin": ORIGIN}]}}, "itself"),
    "operation is text": ({"variables": {"A": ["x"]}}, "variables.A[0] must be an object"),
    "operation": (operation(op="replace", origin=ORIGIN), "variables.A[0].op must be one of set"),
    "value is missing": (operation(op="set", origin=ORIGIN), "variables.A[0].value must be text"),
    "origin is missing": (operation(op="unset"), "variables.A[0].origin must be text"),
    "NUL in a value": (operation(op="set", origin=ORIGIN, value="a\0"), "NUL"),
    "surrogate that is no byte": (operation(op="set", origin=ORIGIN, value="\ud800"), "written as bytes"),
    "entry is empty": (
        operation(op="prepend", origin=ORIGIN, entries=[""], separator=":"),
        "must not be empty",
    ),
    "no entries": (operation(op="append", origin=ORIGIN, entries=[], separator=":"), "must not be empty"),
    "no separator": (operation(op="append", origin=ORIGIN, entries=["a"]), "separator must be text"),
    "empty separator": (operation(op="append", origin=ORIGIN, entries=["a"], separator=""), "separator"),
    "completions of a bad name": ({"completions": {"a b": ["x"]}}, "completions of 'a b'"),
    "completions of two words": ({"completions": {"a": ["x y"]}}, "'x y' is no word"),
    "completions that are code": ({"completions": {"a": ["$(id)"]}}, "is no word"),
    "completions with a quote": ({"completions": {"a": ["it's"]}}, "is no word"),
    "completions with no text": ({"completions": {"a": [""]}}, "is no word"),
    "function name": ({"functions": {"a-b": {"sh": "x"}}}, "function 'a-b'"),
    "function of devenv's own": ({"functions": {"DevEnv_x": {"sh": "x"}}}, "devenv itself"),
    "function of the runtime's": ({"functions": {"__devenv_do": {"sh": "x"}}}, "devenv itself"),
    "function without a body": ({"functions": {"a": {}}}, "no body"),
    "function for no known shell": ({"functions": {"a": {"csh": "x"}}}, "csh"),
    "function with a NUL": ({"functions": {"a": {"sh": "\0"}}}, "NUL"),
    "alias name": ({"aliases": {"a b": ["x"]}}, "alias 'a b'"),
    "alias name with a dash first": ({"aliases": {"-x": ["x"]}}, "alias '-x'"),
    "alias name with a plus first": ({"aliases": {"+x": ["x"]}}, "alias '+x'"),
    "alias name that is not ASCII": ({"aliases": {"é": ["x"]}}, "alias 'é'"),
    "alias without words": ({"aliases": {"a": []}}, "empty"),
    "alias with a NUL": ({"aliases": {"a": ["\0"]}}, "NUL"),
    "script outside bin": ({"scripts": {"../x": "true"}}, "script '../x'"),
    "script is a list": ({"scripts": {"x": ["true"]}}, "scripts.x must be text"),
    "view outside": ({"views": [{"kind": "k", "root": "../x", "recipe": "r"}]}, "inside the project"),
    "view at the root": ({"views": [{"kind": "k", "root": "/x", "recipe": "r"}]}, "inside the project"),
    "view is incomplete": ({"views": [{"kind": "k", "root": "x"}]}, "views[0].recipe must be text"),
    "packages is missing": ({"packages": None}, "packages must be a list"),
}


@pytest.mark.parametrize(("change", "expected"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_document_is_an_error_that_names_the_place(change: dict[str, Any], expected: str) -> None:
    document = json.loads(Spec(name="x").to_json()) | change
    with pytest.raises(SpecError, match=re.escape(expected)):
        Spec.from_json(json.dumps(document))


# A schema cannot say these.
UNSAID = ("name has two lines", "surrogate that is no byte")


@pytest.mark.parametrize("case", [case for case in DAMAGED if case not in UNSAID])
def test_the_schema_refuses_what_reading_refuses(case: str) -> None:
    document = json.loads(Spec(name="x").to_json()) | DAMAGED[case][0]
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"version": 1}', "\ud800"])
def test_a_text_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(SpecError):
        Spec.from_json(text)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["name", "variables", "aliases", "scripts", "views", "packages"]), json_values)
def test_anything_gives_a_spec_or_our_error(key: str, value: Any) -> None:
    document = json.loads(Spec(name="x").to_json()) | {key: value}
    with contextlib.suppress(DevenvError):
        Spec.from_json(json.dumps(document))


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(Problems) as caught:
        Spec(
            name="x",
            variables={"1A": (Unset(origin="one.toml:1"),), "B": (Set(value="\0", origin="two.toml:2"),)},
            aliases={"": ("x",)},
        )
    assert [type(problem) for problem in caught.value.problems] == [SpecError] * 3
    assert "one.toml:1" in str(caught.value) and "two.toml:2" in str(caught.value)


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ((Set(value="1", origin="a:1"), Set(value="1", origin="b:2")), ("a:1", "b:2")),
        ((Set(value="1", origin="a:1"), Unset(origin="b:2")), ("a:1", "b:2", "unset")),
        ((Default(value="1", origin="a:1"), Set(value="2", origin="b:2")), ("a:1", "b:2")),
        (
            (
                Prepend(entries=("x",), origin="a:1"),
                Append(entries=("y",), separator=";", origin="b:2"),
            ),
            ("a:1", "b:2", "';'"),
        ),
    ],
    ids=["sets", "set-unset", "default-set", "separators"],
)
def test_what_cannot_hold_together_names_both_origins(
    operations: tuple[Operation, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError) as caught:
        Spec(name="x", variables={"A": operations})
    for word in words:
        assert word in str(caught.value)


def test_views_and_packages_are_values() -> None:
    view = ViewRef(kind="python", root=".devenv/python", recipe="/s/x")
    package = PackageRef(name="node", version="17", path="/s/y", origin="packages.node")
    assert Spec(name="x", views=(view,), packages=(package,)).views == (view,)
