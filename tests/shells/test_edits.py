"""Users change variables by hand between entering and leaving, with several environments on top of one another.

The model: at any moment, variables are as if from the beginning only the environments that are still entered had been entered,
and the user had made the same changes, in the order in which all of that happened.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec, Unset
from tests.shells.harness import NAMES, Script, applied, base_environ, held, write_object

ORIGIN = "a test"
SCALARS = ("A", "B")
LISTS = ("LIST_PATH", "PATH")
LAYERS = 3

firm = st.one_of(
    st.builds(Set, value=st.sampled_from(("x", "")), origin=st.just(ORIGIN)),
    st.builds(Unset, origin=st.just(ORIGIN)),
    st.builds(Default, value=st.just("x"), origin=st.just(ORIGIN)),
)
entries = st.lists(st.sampled_from(("/a", "/b", "/usr/bin")), min_size=1, max_size=2).map(tuple)
extending = st.one_of(
    st.builds(Prepend, entries=entries, origin=st.just(ORIGIN)),
    st.builds(Append, entries=entries, origin=st.just(ORIGIN)),
)
operations: st.SearchStrategy[dict[str, tuple[Operation, ...]]] = st.fixed_dictionaries(
    {},
    optional={
        **{name: firm.map(lambda one: (one,)) for name in SCALARS},
        **{name: st.lists(extending, min_size=1, max_size=2).map(tuple) for name in LISTS},
    },
)
before = st.fixed_dictionaries(
    {},
    optional={
        "A": st.sampled_from(("x", "z", "")),
        "B": st.sampled_from(("x", "z", "")),
        "LIST_PATH": st.sampled_from(("/a", "/x:/a:/b")),
    },
)
# A move of a layer enters or leaves it, whichever it is not; 3 is `devenv_leave`.
moves = st.tuples(st.just("layer"), st.integers(0, LAYERS))
edits = st.one_of(
    st.tuples(st.sampled_from(("set", "unset")), st.sampled_from((*SCALARS, "LIST_PATH"))),
    st.tuples(st.sampled_from(("prepend", "append")), st.sampled_from(LISTS)),
    st.tuples(st.just("drop"), st.sampled_from(("/a", "/b"))),
)
stories = st.lists(st.one_of(moves, moves, edits), min_size=3, max_size=9)


@dataclass(frozen=True, slots=True)
class Edit:
    """What a user types: `kind` is set, unset, prepend, append, or drop for an entry of PATH."""

    kind: str
    name: str
    value: str = ""

    def of(self, environ: Mapping[str, str]) -> dict[str, str]:
        found, old = dict(environ), environ.get(self.name, "")
        if self.kind == "unset":
            found.pop(self.name, None)
        elif self.kind == "drop":
            left = old.split(":")
            if self.value in left:
                left.remove(self.value)
            found[self.name] = ":".join(left)
        elif self.kind == "set" or not old:
            found[self.name] = self.value
        else:
            found[self.name] = f"{self.value}:{old}" if self.kind == "prepend" else f"{old}:{self.value}"
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment as it is to be, and its lists whose order is not compared."""

    environ: Mapping[str, str]
    unordered: frozenset[str]

    def seen(self, environ: Mapping[str, str]) -> dict[str, object]:
        """What is compared of an environment."""
        found: dict[str, object] = {name: environ.get(name) for name in (*SCALARS, *LISTS)}
        return found | {name: sorted(environ.get(name, "").split(":")) for name in self.unordered}


@dataclass
class Story:
    """What has happened so far: edits, and numbers of layers that were entered and not left."""

    layers: Sequence[Spec]
    places: Sequence[Path]
    project: Path
    events: list[Edit | int] = field(default_factory=list)
    # Lists that were extended by hand while several environments extended them: an earlier one that is left has the later ones
    # entered again, behind what was typed, so the order of entries is theirs no more.
    unordered: set[str] = field(default_factory=set)

    def wanted(self, outside: Mapping[str, str]) -> Wanted:
        """What is to be there now. When all environments are left, every order is that of who typed it."""
        return Wanted(self.environ(outside), frozenset(self.unordered if self.entered else ()))

    def environ(self, outside: Mapping[str, str]) -> dict[str, str]:
        found = dict(outside)
        for event in self.events:
            if isinstance(event, Edit):
                found = event.of(found)
            else:
                found = applied(self.layers[event], found, project=self.project, place=self.places[event])
        return found

    @property
    def entered(self) -> list[int]:
        return [event for event in self.events if isinstance(event, int)]

    def edit(self, kind: str, word: str, now: Mapping[str, str]) -> Edit | None:
        """The edit as it is typed now; None where it would change nothing, or what nobody could tell from ours."""
        number = len(self.events)
        if kind == "drop":
            # Of two alike nobody can tell which environment's it was.
            once = now["PATH"].split(":").count(word) == 1
            return Edit("drop", "PATH", word) if once else None
        if kind == "unset":
            ours = any(
                isinstance(op, Unset) for i in self.entered for op in self.layers[i].variables.get(word, ())
            )
            return None if word not in now or ours else Edit("unset", word)
        if kind != "set" and sum(word in self.layers[i].variables for i in self.entered) > 1:
            self.unordered.add(word)
        return Edit(kind, word, f"/mine-{number}")


def leave_last(script: Script, place: Path) -> None:
    """By the command for that, where the shell has one."""
    if script.dialect.leave:
        script.leave_last()
    else:
        script.leave(place)


def write_story(
    script: Script, story: Story, told: list[tuple[str, str | int]], outside: dict[str, str]
) -> Iterator[Wanted]:
    """Write the lines of a story, a dump after each; gives what each dump is to show."""
    for kind, word in [*told, *([("layer", LAYERS)] * LAYERS)]:
        now = story.environ(outside)
        if kind == "layer":
            number = int(word)
            if number == LAYERS and story.entered:
                last = story.entered[-1]
                story.events.remove(last)
                leave_last(script, story.places[last])
            elif number in story.entered:
                story.events.remove(number)
                script.leave(story.places[number])
            elif number < LAYERS:
                story.events.append(number)
                script.enter(story.places[number])
        elif edit := story.edit(kind, str(word), now):
            story.events.append(edit)
            if edit.kind == "unset":
                script.remove(edit.name)
            else:
                script.assign(edit.name, edit.of(now)[edit.name])
        script.dump()
        yield story.wanted(outside)


# xonsh takes half a second to start.
@pytest.mark.parametrize("shell", NAMES)
def test_variables_are_as_if_only_the_remaining_ones_had_been_entered(shell: str) -> None:
    many = int(os.environ.get("DEVENV_STORIES", "12"))

    @settings(max_examples=many // 3 if shell == "xonsh" else many, deadline=None)
    @given(variables=st.lists(operations, min_size=LAYERS, max_size=LAYERS), environ=before, told=stories)
    def check(
        variables: list[dict[str, tuple[Operation, ...]]],
        environ: dict[str, str],
        told: list[tuple[str, str | int]],
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            layers = [Spec(name=f"layer{n}", variables=each) for n, each in enumerate(variables)]
            layers, environ = held(shell, layers, environ)
            places = [write_object(layer, root / layer.name) for layer in layers]
            script = Script(shell, root / "run")
            outside = base_environ(root) | environ
            story = Story(layers, places, root)
            expected = list(write_story(script, story, told, outside))
            found = script.environments(outside, cwd=root)
            for number, (actual, wanted) in enumerate(zip(found, expected, strict=True)):
                assert wanted.seen(actual) == wanted.seen(wanted.environ), number

    check()


@pytest.mark.parametrize("shell", NAMES)
@pytest.mark.parametrize(
    ("second", "typed"),
    [
        pytest.param(Set(value="x", origin=ORIGIN), "mine", id="set alike"),
        pytest.param(Default(value="y", origin=ORIGIN), None, id="default of one that is there"),
    ],
)
def test_a_change_survives_though_a_later_environment_changed_nothing(
    shell: str, second: Operation, typed: str | None, tmp_path: Path
) -> None:
    first = Set(value="x", origin=ORIGIN)
    layers = [Spec(name=f"layer{n}", variables={"A": (each,)}) for n, each in enumerate((first, second))]
    places = [write_object(layer, tmp_path / layer.name) for layer in layers]
    script = Script(shell, tmp_path / "run")
    for place in places:
        script.enter(place)
    if typed is None:
        script.remove("A")
    else:
        script.assign("A", typed)
    for place in places:
        script.leave(place)
        script.dump()
    found = script.environments(base_environ(tmp_path, A="0"), cwd=tmp_path)
    assert [each.get("A") for each in found] == [typed, typed]
