"""Lowering, the flat text of steps, and applying it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.env.apply import apply, change
from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, Unset
from devenv.env.steps import PROJECT, SPEC, Place, Step, Text, dump, entry_pieces, lower, pieces, spec_id
from tests.env.specs import specs, texts, values

ORIGIN = "a test"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("a", ("a",)),
        ("${project}", (PROJECT,)),
        ("a${project}b${project}", ("a", PROJECT, "b", PROJECT)),
        ("$${project}", ("${project}",)),
        ("x$${project}y${project}$", ("x${project}y", PROJECT, "$")),
        ("${project", ("${project",)),
        ("${PROJECT}", ("${PROJECT}",)),
    ],
)
def test_the_mark_is_found_and_can_be_escaped(text: str, expected: Text) -> None:
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (".", (PROJECT,)),
        ("./bin", (PROJECT, "/bin")),
        ("..", (PROJECT, "/..")),
        ("../x", (PROJECT, "/../x")),
        (".hidden", (".hidden",)),
        ("bin", ("bin",)),
        ("..x", ("..x",)),
        ("./${project}", (PROJECT, "/", PROJECT)),
        ("${project}/bin", (PROJECT, "/bin")),
    ],
)
def test_entries_that_begin_with_a_dot_lie_in_the_project(entry: str, expected: Text) -> None:
    assert entry_pieces(entry) == expected


@given(values)
def test_pieces_lose_nothing(text: str) -> None:
    back = "".join(
        "${project}" if isinstance(piece, Place) else piece.replace("${project}", "$${project}")
        for piece in pieces(text)
    )
    assert pieces(back) == pieces(text)


def filled(text: Text) -> str:
    return "".join(
        {PROJECT: "/p\n", SPEC: "/s\\t"}[piece] if isinstance(piece, Place) else piece for piece in text
    )


@given(specs, st.dictionaries(st.sampled_from(["A", "B", "PATH", "C"]), texts))
def test_the_flat_text_does_what_the_steps_say(spec: Spec, environ: dict[str, str]) -> None:
    steps = lower(spec)
    expected = dict(environ)
    for step in steps:
        change(expected, step.kind, step.name, step.separator, filled(step.value))
    assert apply(dump(steps), environ, project="/p\n", spec="/s\\t") == expected


def result(operations: tuple[Operation, ...], before: str | None) -> str | None:
    environ = {} if before is None else {"A": before}
    steps = dump(lower(Spec(name="x", variables={"A": operations})))
    return apply(steps, environ, project="/p", spec="/s").get("A")


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        (Set(value="new", origin=ORIGIN), None, "new"),
        (Set(value="new", origin=ORIGIN), "old", "new"),
        (Unset(origin=ORIGIN), "old", None),
        (Unset(origin=ORIGIN), None, None),
        (Default(value="new", origin=ORIGIN), None, "new"),
        (Default(value="new", origin=ORIGIN), "", ""),
        (Prepend(entries=("/a", "./b"), origin=ORIGIN), None, "/a:/p/b"),
        (Prepend(entries=("/a", "./b"), origin=ORIGIN), "", "/a:/p/b"),
        (Prepend(entries=("/a", "./b"), origin=ORIGIN), "/c:/a", "/a:/p/b:/c:/a"),
        (Append(entries=("/a", "./b"), origin=ORIGIN), "/c", "/c:/a:/p/b"),
        (Append(entries=("a",), separator=" ", origin=ORIGIN), "c", "c a"),
    ],
)
def test_what_an_operation_does(operation: Operation, before: str | None, after: str | None) -> None:
    assert result((operation,), before) == after


def test_what_settles_a_value_comes_before_what_extends_it() -> None:
    last = Prepend(entries=("/b",), origin=ORIGIN)
    assert (
        result((Prepend(entries=("/a",), origin=ORIGIN), Set(value="/s", origin=ORIGIN), last), "x")
        == "/b:/a:/s"
    )
    assert result((last, Default(value="/d", origin=ORIGIN)), None) == "/b:/d"


def test_the_project_is_always_set_and_scripts_are_found_first() -> None:
    spec = Spec(
        name="x", variables={"PATH": (Prepend(entries=("./bin",), origin=ORIGIN),)}, scripts={"s": ""}
    )
    found = apply(dump(lower(spec)), {"PATH": "/usr/bin"}, project="/p", spec="/s")
    assert found == {"PATH": "/s/bin:/p/bin:/usr/bin", "DEVENV_PROJECT": "/p"}


@pytest.mark.parametrize(
    "text", ["x\n", "set\tA\n", "nonsense\tA\t\tx\n", "set\tA\t\t\\q\n", "set\tA\t\tx\ty\n"]
)
def test_a_text_that_is_no_steps_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        apply(text, {}, project="/p", spec="/s")


def test_the_environment_given_is_not_changed() -> None:
    environ = {"A": "1"}
    apply("set\tA\t\t2\n", environ, project="/p", spec="/s")
    assert environ == {"A": "1"}


def test_equal_specs_have_equal_ids_and_others_others() -> None:
    one, same, other = (Spec(name=name) for name in ("x", "x", "y"))
    assert spec_id(one) == spec_id(same) != spec_id(other)
    assert spec_id(one).isalnum()


def test_a_step_is_a_value() -> None:
    assert Step(kind="unset", name="A") == Step(kind="unset", name="A")
