"""The files of the spec object, and the launch files among them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.env.launch import Launch, Refused, dump, load
from devenv.env.object import render_object
from devenv.env.spec import Operation, Prepend, Set, Spec
from devenv.shell import ShellError
from devenv.shells import bash, fish, zsh

SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
VARIABLES: dict[str, tuple[Operation, ...]] = {
    name: (Set(value=name, origin="a"),) for name in ("ONE", "TWO", "THREE")
} | {"PATH": (Prepend(entries=("./bin", "/x"), origin="b"),)}
SPEC = Spec(
    name="demo", variables=VARIABLES, aliases={"b": ("x",), "a": ("y",)}, scripts={"serve": "exec node"}
)


def test_the_object_holds_what_is_documented() -> None:
    files = render_object(SPEC, SHELLS)
    assert sorted(files) == sorted(
        [
            *(
                "env.json",
                "id",
                "steps",
                "setup",
                "bin/serve",
                "aliases/a",
                "aliases/b",
                "enter.bash",
                "enter.fish",
                "zsh/.zshenv",
            ),
            *(f"begin.{shell}" for shell in ("bash", "fish", "zsh")),
            *(f"{kind}.{shell}" for kind in ("activate", "deactivate", "launch") for shell in SHELLS),
        ]
    )
    assert [name for name, (_, executable) in files.items() if executable] == [
        "aliases/a",
        "aliases/b",
        "bin/serve",
    ]
    assert files["env.json"][0].decode() == SPEC.to_json()
    assert files["bin/serve"][0] == b"#!/bin/sh\nset -e\nexec node\n"


def test_no_directory_of_this_machine_is_in_it() -> None:
    here = os.path.dirname(os.path.abspath(bash.__file__)).encode()
    for name, (contents, _) in render_object(SPEC, SHELLS).items():
        assert here not in contents and os.getcwd().encode() not in contents, name


def test_the_same_spec_has_the_same_bytes_under_any_hash_seed() -> None:
    code = (
        "import hashlib\nfrom tests.env.test_object import *\n"
        "print(hashlib.sha256(repr(render_object(SPEC, SHELLS)).encode()).hexdigest())"
    )
    root = str(Path(__file__).parents[2])
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=dict(os.environ, PYTHONHASHSEED=seed),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_the_order_of_declaration_does_not_show() -> None:
    other = Spec(
        name="demo",
        variables=dict(reversed(VARIABLES.items())),
        aliases={"a": ("y",), "b": ("x",)},
        scripts=SPEC.scripts,
    )
    assert render_object(other, SHELLS) == render_object(SPEC, SHELLS)


def test_a_shell_that_cannot_hold_a_value_names_the_variable_and_the_others_do_not_mind() -> None:
    class Narrow:
        """A shell for which nothing may hold the letter q."""

        def __init__(self) -> None:
            self.files, self.deactivate = bash.files, bash.deactivate
            self.interactive, self.command = bash.interactive, bash.command

        def quote(self, text: str) -> str:
            if "q" in text:
                raise ShellError("this shell cannot hold a q")
            return bash.quote(text)

        def refuse(self, message: str) -> str:
            return f"# {message}"

        def activate(self, spec: Spec) -> str:
            from devenv.shell import step_words
            from devenv.shells.posix import alias_command

            return "\n".join(step_words(spec, self.quote, alias_command))

    spec = Spec(name="x", variables={"LIKE": (Set(value="queue", origin="a"),)})
    files = render_object(spec, {"narrow": Narrow(), "bash": bash})
    assert files["activate.narrow"][0].startswith(b"# devenv: narrow cannot enter x: variable LIKE: this")
    with pytest.raises(Refused, match="variable LIKE: this shell cannot hold a q"):
        load(files["launch.narrow"][0].decode(), "interactive")
    assert files["activate.bash"] == render_object(spec, {"bash": bash})["activate.bash"]


lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
launches = st.builds(
    Launch,
    arguments=st.lists(lines, max_size=3).map(tuple),
    pure_arguments=st.lists(lines, max_size=2).map(tuple),
    keep=st.lists(st.sampled_from(["ZDOTDIR", "HOME"]), max_size=2, unique=True).map(tuple),
    environment=st.dictionaries(st.sampled_from(["A", "B"]), lines),
)


@given(st.dictionaries(st.sampled_from(["interactive", "command"]), launches, min_size=1))
def test_launch_files_bring_back_what_was_written(modes: dict[str, Launch]) -> None:
    text = dump(modes)
    for name, launch in modes.items():
        back = load(text, name)
        assert (back.arguments, back.pure_arguments, back.keep, back.environment) == (
            launch.arguments,
            launch.pure_arguments,
            launch.keep,
            launch.environment,
        )


@pytest.mark.parametrize("text", ["", "mode other\n", "mode command\nrun x\n", "argument x\n"])
def test_a_text_that_is_no_launch_file_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        load(text, "command")


def test_the_line_is_filled_in_as_it_is() -> None:
    launch = Launch(arguments=("-c", "{line}", "{spec}/x"), keep=("A", "B"), environment={"A": "{spec}"})
    arguments, variables = launch.command(environ={"A": "1"}, spec="/s", line="echo {spec} {line}", pure=True)
    assert arguments == ["-c", "echo {spec} {line}", "/s/x"]
    assert variables == {"A": "/s", "__devenv_kept_A": "1", "__devenv_pure": "1"}
