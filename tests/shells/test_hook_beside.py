"""The hook beside those of other programs: each has its way, and nothing of either stays behind."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.env.spec import Operation, Prepend, Set
from tests.shells.harness import base_environ
from tests.shells.prompt import NAMES, Machine, Prompt
from tests.support.programs import program


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


@pytest.fixture(
    params=[name for name in NAMES if name in ("bash", "zsh", "fish")]
)  # that the others know as well
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(machine: Machine) -> Path:
    place = machine.project("p")
    operations: dict[str, tuple[Operation, ...]] = {
        "PATH": (Prepend(entries=("./ours",), origin="a test"),),
        "COLOUR": (Set(value="red", origin="a test"),),
    }
    machine.know(place, operations=operations)
    return place


def loading(shell: str, *words: str) -> str:
    call = " ".join((program(words[0]), *words[1:], shell))
    forms = {"fish": f"{call} | source", "tcsh": f"eval `{call}`"}
    return forms.get(shell, f'eval "$({call})"') + "\n"


@pytest.fixture
def prompts(machine: Machine) -> Iterator[list[Prompt]]:
    opened: list[Prompt] = []
    yield opened
    for each in opened:
        each.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"], indirect=True)
@pytest.mark.parametrize("first", ["direnv", "devenv"])
def test_direnv(shell: str, machine: Machine, project: Path, prompts: list[Prompt], first: str) -> None:
    if shell in ("fish", "tcsh") and first == "devenv":
        pytest.skip(
            "fish runs handlers in the order of their definition, and in tcsh direnv replaces the others: "
            "docs/hook.md says to load direnv first"
        )
    (project / ".envrc").write_text("PATH_add theirs\nexport SHAPE=round\n")
    environ = base_environ(machine.home)
    subprocess.run([program("direnv"), "allow", str(project)], env=environ, check=True, capture_output=True)
    hook = loading(shell, "direnv", "hook")
    at = Prompt(shell, machine, **{"before" if first == "direnv" else "after": hook})  # type: ignore[arg-type]
    prompts.append(at)
    before = at.environ()
    for _ in range(2):
        at.run(f"cd {project}")
        at.run("true")
        inside = at.environ()
        assert (inside["COLOUR"], inside["SHAPE"]) == ("red", "round")
        entries = inside["PATH"].split(":")
        assert {f"{project}/ours", f"{project}/theirs"} <= set(entries)
        at.run(f"cd {machine.root}")
        at.run("true")
        assert at.environ() == before


def test_zoxide(shell: str, machine: Machine, project: Path, prompts: list[Prompt]) -> None:
    path = f"/usr/bin:/bin:{os.path.dirname(program('zoxide'))}"
    at = Prompt(shell, machine, before=loading(shell, "zoxide", "init"), wrap_cd=True, PATH=path)
    prompts.append(at)
    before = at.environ()
    at.run(f"z {project}")
    assert at.variable("COLOUR") == "red"
    at.run("z -")
    assert at.environ() == before
    at.run("z p")
    assert at.variable("DEVENV_PROJECT") == str(project)


def test_shells_in_shells_have_each_their_own(
    shell: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    """A terminal multiplexer that was started inside hands its environment to shells that are elsewhere."""
    at = Prompt(shell, machine)
    prompts.append(at)
    at.run(f"cd {project}")
    at.child.sendline(f"cd {project} && {program(shell)} -i")
    assert at.variable("COLOUR") == "red"
    at.run("cd /")
    at.run(f"cd {project}")
    assert at.variable("COLOUR") == "red"
    at.child.sendline("exit")
    at.run("cd /")
    assert at.variable("COLOUR") is None
