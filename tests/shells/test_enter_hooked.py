"""`devenv enter` where the user's files bring the hook along: the shell is started plainly, and the hook enters."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shells.prompt import Machine, Prompt
from tests.support.programs import program

# What the shells have in common is tried in these.
SOME = ("bash", "zsh", "fish")
NAMES = ("bash", "zsh", "fish", "xonsh", "nu", "elvish", "tcsh")
# xonsh takes half a second to start, and as long at each prompt.
OFTEN = (*NAMES[:3], *NAMES[4:], pytest.param("xonsh", marks=pytest.mark.slow))
# Becomes the shell as `devenv enter` does: it has the number of the process that says so.
_ENTER = """
import json, os, sys
from devenv.env.enter import enter_command
given = json.loads(sys.argv[1])
arguments, environ = enter_command(environ=os.environ, **given)
os.execvpe(arguments[0], arguments, environ)
"""


class Yard:
    """A machine with a project "held", whose environment is entered, and the shells that enter it."""

    def __init__(self, root: Path, shell: str) -> None:
        self.shell, self.machine = shell, Machine(root)
        self.project = self.machine.project("held", COLOUR="red")
        self.environment = self.known()
        self.note = self.machine.tree / "=shells=" / shell
        self.opened: list[Prompt] = []
        # fish makes it at its first start.
        (self.machine.home / ".config/fish/conf.d").mkdir(parents=True)

    def known(self) -> Path:
        """The environment of the newest version of the project's entry."""
        lines = (
            (self.machine.tree / str(self.project).lstrip("/") / "=devenv=/current/entry")
            .read_text()
            .split("\n")
        )
        return Path(lines[4].removeprefix("spec "))

    def enter(self, *, spec: Path | None = None, load: str | None = None, **environ: str) -> Prompt:
        given = {
            "shell": program(self.shell),
            "spec": str(spec or self.environment),
            "project": str(self.project),
            "hooks": str(self.machine.tree),
        }
        command = [sys.executable, "-c", _ENTER, json.dumps(given)]
        prompt = Prompt(
            self.shell, self.machine, command=command, load=load, wrap_cd=False, trace=None, **environ
        )
        self.opened.append(prompt)
        return prompt

    def started_plainly(self, prompt: Prompt) -> bool:
        """Whether nothing in the shell's arguments or first variables leads into the environment's object."""
        words = Path(f"/proc/{prompt.child.pid}/cmdline").read_bytes().split(b"\0")
        first = Path(f"/proc/{prompt.child.pid}/environ").read_bytes().split(b"\0")
        leading = [each for each in first if not each.startswith((b"__devenv_", b"_="))]
        found = b" ".join([*words, *leading])
        return b"__devenv_spec" not in found and os.fsencode(self.environment) not in found

    def go(self, prompt: Prompt, place: Path) -> None:
        prompt.run(f"cd '{place}'")


@pytest.fixture(params=NAMES)
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path, request.param)
    yield made
    for prompt in made.opened:
        prompt.close()


def test_the_first_start_brings_the_environment_and_later_ones_leave_it_to_the_hook(yard: Yard) -> None:
    for plainly in (False, True):
        prompt = yard.enter()
        assert yard.started_plainly(prompt) is plainly
        found = prompt.environ()
        assert (found["COLOUR"], found["DEVENV_PROJECT"]) == ("red", str(yard.project))
        assert [name for name in found if name.startswith("__devenv")] == []
        assert yard.note.exists()
        prompt.close()


@pytest.mark.parametrize("yard", SOME, indirect=True)
def test_what_was_entered_stays_wherever_one_goes(yard: Yard) -> None:
    other = yard.machine.project("other", COLOUR="blue", HERE="yes")
    yard.enter().close()
    prompt = yard.enter()
    seen = []
    for place in (other, yard.machine.root, yard.project):
        yard.go(prompt, place)
        found = prompt.environ()
        seen.append((found["COLOUR"], found.get("HERE")))
    assert seen == [("blue", "yes"), ("red", None), ("red", None)]


@pytest.mark.parametrize("yard", OFTEN, indirect=True)
def test_a_newer_environment_of_the_project_replaces_the_one_that_was_entered(yard: Yard) -> None:
    prompt = yard.enter()
    yard.go(prompt, yard.project)
    yard.machine.know(yard.project, NEW="1")
    prompt.run("true")
    found = prompt.environ()
    assert (found.get("COLOUR"), found["NEW"]) == (None, "1")
    yard.go(prompt, yard.machine.root)
    assert prompt.variable("NEW") == "1"


@pytest.mark.parametrize("yard", SOME, indirect=True)
def test_an_environment_with_values_of_its_own_is_not_replaced(yard: Yard) -> None:
    with_port = yard.machine.know(yard.project, COLOUR="red", PORT="9000")
    yard.machine.know(yard.project, COLOUR="red", PORT="8080")
    prompt = yard.enter(spec=with_port)
    yard.go(prompt, yard.project)
    assert prompt.variable("PORT") == "9000"
    yard.machine.know(yard.project, COLOUR="green", PORT="8080")
    prompt.run("true")
    found = prompt.environ()
    assert (found["COLOUR"], found["PORT"]) == ("red", "9000")


@pytest.mark.parametrize("yard", OFTEN, indirect=True)
def test_without_the_hook_the_files_of_ours_enter(yard: Yard) -> None:
    prompt = yard.enter(load="")
    assert not yard.started_plainly(prompt)
    found = prompt.environ()
    assert found["COLOUR"] == "red"
    assert [name for name in found if name.startswith("__devenv")] == []
    assert not yard.note.exists()


@pytest.mark.parametrize("yard", SOME, indirect=True)
def test_a_note_is_good_for_one_start(yard: Yard) -> None:
    yard.enter().close()
    note = yard.note.read_text()
    assert not yard.started_plainly(yard.enter(TERM="dumb")), "the mark tells what files often ask for"
    yard.note.write_text(note)
    yard.enter(load="# gone").close()
    yard.note.write_text(note)
    assert not yard.started_plainly(yard.enter()), "the files are others than they were"


@pytest.mark.parametrize("yard", SOME, indirect=True)
def test_what_another_process_was_given_is_not_taken(yard: Yard) -> None:
    prompt = Prompt(
        yard.shell,
        yard.machine,
        __devenv_start=f"1 {yard.shell} 0",
        __devenv_spec=str(yard.environment),
        __devenv_project=str(yard.project),
    )
    yard.opened.append(prompt)
    found = prompt.environ()
    assert "COLOUR" not in found
    assert [name for name in found if name.startswith("__devenv")] == []
    assert not yard.note.exists()
