"""Environments entered on top of one another and left in any order: what remains is as if the others never were."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, Unset
from tests.shells.dialects import DIALECTS
from tests.shells.harness import NAMES, Script, applied, base_environ, held, write_object

ORIGIN = "a test"
# xonsh takes half a second to start.
ALIASED = [name for name in NAMES if not DIALECTS[name].programs and name != "xonsh"]
VARIABLES = ("A", "B", "LIST_PATH", "PATH")
VALUES = ("x", "y", "")
ENTRIES = ("/a", "/b", "/usr/bin")

firm = st.one_of(
    st.builds(Set, value=st.sampled_from(VALUES), origin=st.just(ORIGIN)),
    st.builds(Unset, origin=st.just(ORIGIN)),
    st.builds(Default, value=st.sampled_from(VALUES), origin=st.just(ORIGIN)),
)
entries = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=2).map(tuple)
lists = st.one_of(
    st.builds(Prepend, entries=entries, origin=st.just(ORIGIN)),
    st.builds(Append, entries=entries, origin=st.just(ORIGIN)),
)
operations = st.tuples(st.lists(firm, max_size=1), st.lists(lists, max_size=2)).map(
    lambda both: (*both[0], *both[1])
)
variables = st.dictionaries(st.sampled_from(VARIABLES[:3]), operations.filter(bool), min_size=1, max_size=3)


@st.composite
def specs(draw: st.DrawFn) -> list[Spec]:
    found: list[Spec] = []
    for index in range(draw(st.integers(2, 3))):
        chosen: dict[str, tuple[Operation, ...]] = dict(draw(variables))
        if draw(st.booleans()):
            chosen["PATH"] = (Prepend(entries=draw(entries), origin=ORIGIN),)
        found.append(Spec(name=f"layer{index}", variables=chosen))
    return found


before = st.fixed_dictionaries(
    {},
    optional={
        "A": st.sampled_from(VALUES),
        "B": st.sampled_from(VALUES),
        "LIST_PATH": st.sampled_from(("", "/a", "/x:/a:/b")),
    },
)
# Each number enters or leaves the layer: whichever it is not.
moves = st.lists(st.integers(0, 2), min_size=2, max_size=6)


# xonsh takes half a second to start.
@pytest.mark.parametrize("shell", [name for name in NAMES if name != "xonsh"])
@settings(max_examples=20, deadline=None)
@given(layers=specs(), environ=before, steps=moves)
def test_any_order_leaves_what_the_remaining_ones_make(
    shell: str, layers: list[Spec], environ: dict[str, str], steps: list[int]
) -> None:
    layers, environ = held(shell, layers, environ)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        places = [write_object(spec, root / spec.name) for spec in layers]
        script = Script(shell, root / "run")
        script.dump()
        history: list[list[int]] = [[]]
        for step in [*(step % len(layers) for step in steps), None]:
            if step is None:
                for index in history[-1]:
                    script.leave(places[index])
                history.append([])
            elif step in history[-1]:
                script.leave(places[step])
                history.append([index for index in history[-1] if index != step])
            else:
                script.enter(places[step])
                history.append([*history[-1], step])
            script.dump()
        outside, *found = script.environments(base_environ(root) | environ, cwd=root)
        for active, environment in zip(history[1:], found, strict=True):
            expected = outside
            for index in active:
                expected = applied(layers[index], expected, project=root, place=places[index])
            assert environment == expected, (active, history)


@pytest.mark.parametrize("shell", NAMES)
def test_what_the_user_changed_in_a_later_one_is_not_done_again(shell: str, tmp_path: Path) -> None:
    first = Spec(name="first", variables={"A": (Set(value="1", origin=ORIGIN),)})
    second = Spec(
        name="second",
        variables={
            "A": (Set(value="2", origin=ORIGIN),),
            "PATH": (Prepend(entries=("/second",), origin=ORIGIN),),
        },
    )
    places = [write_object(spec, tmp_path / spec.name) for spec in (first, second)]
    script = Script(shell, tmp_path / "run")
    for place in places:
        script.enter(place)
    script.assign("A", "mine")
    script.assign("PATH", "/mine:/usr/bin:/bin")
    script.leave(places[0])
    script.dump()
    script.leave(places[1])
    script.dump()
    for found in script.environments(base_environ(tmp_path, A="0"), cwd=tmp_path):
        assert (found["A"], found["PATH"]) == ("mine", "/mine:/usr/bin:/bin")


@pytest.mark.parametrize("shell", ALIASED)
def test_aliases_of_two_environments_come_back_in_order(shell: str, tmp_path: Path) -> None:
    places = [
        write_object(Spec(name=name, aliases={"gs": ("echo", name)}), tmp_path / name)
        for name in ("first", "second")
    ]
    script = Script(shell, tmp_path / "run")
    if shell == "bash":
        script.add("shopt -s expand_aliases")
    script.enter(places[0])
    script.enter(places[1])
    script.add("gs")
    script.leave(places[0])
    script.add("gs")
    script.enter(places[0])
    script.add("gs")
    script.leave(places[0])
    script.add("gs")
    script.leave(places[1])
    if shell == "pwsh":
        script.add("if (Get-Command gs -ErrorAction Ignore) { 'still there' }")
    else:
        script.add("type gs >/dev/null 2>&1 && echo still there; true")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == ["second", "second", "first", "second"]
