"""The hook beside those of other programs: each has its way, and nothing of either stays behind."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.env.spec import Operation, Prepend, Set
from tests.shells.dialects import DIALECTS, renderer
from tests.shells.harness import base_environ, read_dump
from tests.shells.prompt import NAMES, Machine, Prompt
from tests.support.programs import program

# What each program knows, by its words for the code that its users' shells read.
WORDS = {
    "direnv": ("hook", ("bash", "zsh", "fish", "tcsh", "elvish", "nu")),
    "mise": ("activate", ("bash", "zsh", "fish", "elvish", "nu", "xonsh")),
    "starship": ("init", ("bash", "zsh", "fish", "tcsh", "elvish", "nu", "xonsh")),
    "zoxide": ("init", ("bash", "zsh", "fish", "elvish", "nu", "xonsh")),
}
# Orders of loading that docs/hook.md names as those that do not work, with what it says.
NOT_AFTER_OURS = {
    ("direnv", "tcsh"): "In tcsh load direnv first",
}
# direnv prints no code for nushell; its documentation gives this.
DIRENV_NU = """$env.config.hooks.pre_prompt = ($env.config | get -o hooks.pre_prompt | default [] | append {||
    let found = ^'DIRENV' export json | from json | default {}
    if ($found | is-not-empty) {
        $found | items {|name, value| {name: $name, value: (
            if $name == PATH { $value | split row (char esep) } else { $value })} }
        | where value != null | transpose --ignore-titles -r -d | load-env
        for name in ($found | items {|name, value| if $value == null { $name } } | compact) { hide-env $name }
    }
})
"""
# What xonsh and nushell take a second for each line is left to those who ask for it.
SLOW = ("xonsh", "nu")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "m")


@pytest.fixture
def project(machine: Machine) -> Path:
    place = machine.project("p")
    operations: dict[str, tuple[Operation, ...]] = {
        "PATH": (Prepend(entries=("./ours",), origin="a test"),),
        "COLOUR": (Set(value="red", origin="a test"),),
    }
    machine.know(place, operations=operations)
    return place


@pytest.fixture
def prompts() -> Iterator[list[Prompt]]:
    opened: list[Prompt] = []
    yield opened
    for each in opened:
        each.close()


def pairs(*tools: str) -> list[object]:
    found: list[object] = []
    for tool in tools:
        for shell in WORDS[tool][1]:
            marks = [pytest.mark.slow] if shell in SLOW else []
            found.append(pytest.param(tool, shell, marks=marks, id=f"{tool} in {shell}"))
    return found


def environ_of(machine: Machine) -> dict[str, str]:
    """The programs on PATH, and settings of theirs by which they stay what the test knows."""
    settings = machine.home / "starship.toml"
    settings.write_text('format = "READY> "\nadd_newline = false\n')
    places = dict.fromkeys(os.path.dirname(program(tool)) for tool in WORDS)
    return {
        "PATH": ":".join((*places, "/usr/bin", "/bin")),
        "STARSHIP_CONFIG": str(settings),
        "MISE_TRUSTED_CONFIG_PATHS": str(machine.root),
        "DIRENV_LOG_FORMAT": "",
        # A static zsh has no functions of its own; mise uses add-zsh-hook.
        "FPATH": str(Path(program("starship")).parents[1] / "root/usr/share/zsh/functions/Misc"),
    }


def loading(tool: str, shell: str, machine: Machine) -> str:
    """The line of the user's file by which the program comes into the shell, as its documentation has it."""
    words = [
        program(tool),
        WORDS[tool][0],
        {"nu": "nushell"}.get(shell, shell) if tool == "zoxide" else shell,
    ]
    environ = base_environ(machine.home) | environ_of(machine)
    suffix = DIALECTS[shell].suffix or shell
    file = machine.home / f"{tool}.{suffix}"
    if (tool, shell) == ("direnv", "nu"):
        file.write_text(DIRENV_NU.replace("DIRENV", words[0]))
    else:
        text = subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout
        # elvish has another word for it since 0.20, and direnv prints that one since 2.33.
        file.write_text(text.replace("} except e {", "} catch e {"))
    if shell == "nu" and tool in ("mise", "starship"):
        return f"use {renderer(shell).quote(str(file))}"
    if (tool, shell) == ("mise", "elvish"):
        place = machine.home / ".config/elvish/lib/mise.elv"
        place.parent.mkdir(parents=True)
        file.rename(place)
        return "use mise\nmise:activate"
    return DIALECTS[shell].source.format(file=renderer(shell).quote(str(file)))


def opened(
    tool: str, shell: str, first: str, machine: Machine, prompts: list[Prompt], **options: object
) -> Prompt:
    line = loading(tool, shell, machine)
    where = {"before" if first == tool else "after": line}
    at = Prompt(shell, machine, **where, **options, **environ_of(machine))  # type: ignore[arg-type]
    prompts.append(at)
    return at


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize(("tool", "shell"), pairs("direnv", "mise"))
def test_another_environment_comes_and_goes_with_ours(
    tool: str, shell: str, first: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    if first == "ours" and (tool, shell) in NOT_AFTER_OURS:
        documented = (Path(__file__).parents[2] / "docs/hook.md").read_text()
        assert NOT_AFTER_OURS[tool, shell] in documented
        return
    (project / ".envrc").write_text("PATH_add theirs\nexport SHAPE=round\n")
    (project / "mise.toml").write_text('[env]\nSHAPE = "round"\n_.path = ["./theirs"]\n')
    if tool == "direnv":
        environ = base_environ(machine.home)
        subprocess.run([program(tool), "allow", str(project)], env=environ, check=True, capture_output=True)
    at = opened(tool, shell, tool if first == "theirs" else "devenv", machine, prompts)
    at.run(f"cd {machine.root}")
    before = theirs_removed(at.environ())
    for _ in range(2):
        at.run(f"cd {project}")
        at.run(NOTHING.get(shell, "true"))
        inside = at.environ()
        assert (inside.get("COLOUR"), inside.get("SHAPE")) == ("red", "round")
        assert {f"{project}/ours", f"{project}/theirs"} <= set(inside["PATH"].split(":"))
        at.run(f"cd {machine.root}")
        at.run(NOTHING.get(shell, "true"))
        assert theirs_removed(at.environ()) == before


NOTHING = {"elvish": "nop", "xonsh": "1"}


def theirs_removed(environ: dict[str, str]) -> dict[str, str]:
    """Without what mise notes for itself."""
    return {name: value for name, value in environ.items() if not name.startswith("__MISE")}


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize(("tool", "shell"), pairs("starship"))
def test_a_prompt_of_theirs_stays_and_shows_the_last_status(
    tool: str, shell: str, first: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    at = opened(tool, shell, tool if first == "theirs" else "devenv", machine, prompts)
    at.run(f"cd {machine.root}")
    before = at.environ()
    assert before.get("STARSHIP_SHELL") in (shell, None)
    at.run(f"cd {project}")
    assert at.variable("COLOUR") == "red"
    at.run(f"cd {machine.root}")
    assert at.environ() == before


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize(("tool", "shell"), pairs("zoxide"))
def test_a_jump_of_theirs_is_a_change_of_directory(
    tool: str, shell: str, first: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    at = opened(tool, shell, tool if first == "theirs" else "devenv", machine, prompts, wrap_cd=True)
    at.run(f"cd {machine.root}")
    before = at.environ()
    at.run(f"z {project}")
    assert at.variable("COLOUR") == "red"
    at.run("z -")
    assert at.environ() == before
    at.run("z p")
    assert at.variable("DEVENV_PROJECT") == str(project)


@pytest.mark.parametrize(
    "shell", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NAMES]
)
def test_shells_in_shells_have_each_their_own(
    shell: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    """What was entered is inherited, and the shell inside enters and leaves for itself."""
    at = Prompt(shell, machine)
    prompts.append(at)
    at.run(f"cd {project}")
    outer = at.environ()
    environ = {name: value for name, value in outer.items() if name not in ("HOME", "PS1", "TERM")}
    inner = Prompt(shell, machine, **environ)  # type: ignore[arg-type]
    prompts.append(inner)
    inner.run(f"cd {project}")
    assert set(inner.environ()["PATH"].split(":")) == set(outer["PATH"].split(":"))
    inner.run("cd /")
    inner.run(f"cd {project}")
    assert inner.variable("COLOUR") == "red"
    at.run("cd /")
    assert at.variable("COLOUR") is None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_windows_of_a_multiplexer_are_where_they_are(
    shell: str, machine: Machine, project: Path, prompts: list[Prompt]
) -> None:
    """tmux was started in one project: another window is in another, and one elsewhere in none."""
    other = machine.project("q", SHAPE="round")
    at = Prompt(shell, machine)  # for the user's file with the hook
    prompts.append(at)
    socket = str(machine.home / "tmux")
    settings = machine.home / "tmux.conf"
    settings.write_text(f'set -g default-command "{program(shell)} -i"\n')
    tmux = f"{program('tmux')} -S {socket} -f {settings}"
    at.run(f"cd {machine.root}")
    try:
        at.run(f"{tmux} new-session -d -s s -c {project}")
        at.run(f"{tmux} new-window -c {other}")
        at.run(f"{tmux} new-window -c /")
        seen = []
        for window in range(3):
            file = machine.root / f"window{window}"
            line = DIALECTS[shell].dump.format(env="/usr/bin/env", file=file)
            at.run(f"{tmux} send-keys -t s:{window} '{line} && touch {file}.done' Enter")
            wait_for(Path(f"{file}.done"))
            found = read_dump(file)
            seen.append((found.get("COLOUR"), found.get("SHAPE"), found.get("DEVENV_PROJECT")))
    finally:
        at.run(f"{tmux} kill-server")
    assert seen == [("red", None, str(project)), (None, "round", str(other)), (None, None, None)]


def wait_for(file: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.02)
