"""Manual pages and completions that come with an environment are found in it, by the real programs, and not afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.env.spec import Default, Prepend, Set, Spec
from tests.shells.harness import NAMES, Script, base_environ, read_dump, write_object
from tests.support.programs import data, program

ORIGIN = "packages.python"
PAGE = ".TH DEMOTOOL 1\n.SH NAME\ndemotool \\- a tool\n"
FISH = "complete -c demotool -f -a 'from-the-environment'\n"
ZSH = "#compdef demotool other=demotool\n_message from-the-environment; DEMO_RAN=$0\n"
BASH = "complete -W from-the-environment demotool\n"


def environment(tmp_path: Path) -> Path:
    """An object with a directory of data such as views have: pages and completions of `demotool`."""
    share = tmp_path / "it's data" / "share"
    for place, text in {
        "man/man1/demotool.1": PAGE,
        "fish/vendor_completions.d/demotool.fish": FISH,
        "zsh/site-functions/_demotool": ZSH,
        "bash-completion/completions/demotool": BASH,
    }.items():
        (share / place).parent.mkdir(parents=True, exist_ok=True)
        (share / place).write_text(text)
    spec = Spec(
        name="data",
        variables={
            "MANPATH": (
                Default(value=":", origin=ORIGIN),
                Prepend(entries=("/nowhere/man", f"{share}/man"), origin=ORIGIN),
            ),
            "XDG_DATA_DIRS": (
                Default(value="/usr/local/share:/usr/share", origin=ORIGIN),
                Prepend(entries=("/nowhere", str(share)), origin=ORIGIN),
            ),
        },
    )
    return write_object(spec, tmp_path / "spec")


@pytest.mark.parametrize("before", [None, "{own}", ":{own}"])
@pytest.mark.parametrize("shell", NAMES)
def test_man_finds_the_pages_of_the_environment_and_what_it_found_before(
    shell: str, before: str | None, tmp_path: Path
) -> None:
    place = environment(tmp_path)
    own = tmp_path / "own"
    for directory, page in ((own, "mine"), (tmp_path / "machine/share/man", "machines")):
        (directory / "man1").mkdir(parents=True)
        (directory / "man1" / f"{page}.1").write_text(PAGE)
    environ = base_environ(tmp_path)
    # What man finds without MANPATH: beside the directories of PATH, for one.
    environ["PATH"] += f":{tmp_path}/machine/bin"
    if before is not None:
        environ["MANPATH"] = before.format(own=own)
    script = Script(shell, tmp_path / "run")
    listed = {"mine"} if before and "own" in before else set()
    listed |= {"machines"} if before is None or before.startswith(":") or before.endswith(":") else set()
    script.dump()
    script.enter(place)
    for page in ("demotool", *sorted(listed)):
        script.add(f"{program('man')} -w {page}")
    script.leave_last()
    script.dump()
    done = script.run(environ, cwd=tmp_path)
    found = [os.path.basename(line) for line in done.stdout.decode().splitlines()]
    assert (found, done.stderr) == (["demotool.1", *(f"{page}.1" for page in sorted(listed))], b"")
    outside, after = (read_dump(tmp_path / "run" / f"dump-{number}") for number in range(2))
    assert after == outside


def with_tool(tmp_path: Path) -> dict[str, str]:
    """Variables with `demotool` on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "demotool").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "demotool").chmod(0o755)
    environ = base_environ(tmp_path)
    return environ | {"PATH": f"{tmp_path}/bin:{environ['PATH']}"}


def test_bash_completes_what_the_environment_brings(tmp_path: Path) -> None:
    script = Script("bash", tmp_path / "run")
    script.add(f"source {data('bash_completion')}")
    script.enter(environment(tmp_path))
    script.add("_completion_loader demotool", "complete -p demotool")
    script.leave_last()
    script.dump()
    done = script.run(with_tool(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "complete -W 'from-the-environment' demotool\n"


def test_fish_completes_what_the_environment_brings(tmp_path: Path) -> None:
    script = Script("fish", tmp_path / "run")
    script.add("set -g before $fish_complete_path", "complete -C 'demotool ' | head -1")
    script.enter(environment(tmp_path))
    script.add("complete -C 'demotool '", "count $fish_complete_path")
    script.leave_last()
    script.add('test "$before" = "$fish_complete_path"; and echo as before')
    done = script.run(with_tool(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    *_, found, _, end = done.stdout.decode().splitlines()
    assert (found, end) == ("from-the-environment", "as before")


def compinit() -> str:
    functions = data("zsh-functions")
    return f"fpath=({functions}/Completion {functions}/Completion/Base $fpath); autoload -Uz compinit; compinit -D -u"


SHOW = 'print -r -- "${_comps[demotool]-none} ${_comps[other]-none} ${+functions[_demotool]} $#fpath"'


def test_zsh_completes_what_the_environment_brings(tmp_path: Path) -> None:
    script = Script("zsh", tmp_path / "run")
    script.add(compinit(), SHOW)
    script.enter(environment(tmp_path))
    script.add(SHOW, "_message() { print -r -- $1 }; _demotool; unfunction _message")
    script.leave_last()
    script.add(SHOW)
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    before, inside, ran, after = done.stdout.decode().splitlines()
    size = int(before.split()[-1])
    assert before == after == f"none none 0 {size}"
    assert inside == f"_demotool none 1 {size + 1}"
    assert ran == "from-the-environment"


def test_zsh_has_the_users_completion_again(tmp_path: Path) -> None:
    (tmp_path / "fpath").mkdir()
    (tmp_path / "fpath" / "_demotool").write_text("#compdef demotool\nprint mine\n")
    script = Script("zsh", tmp_path / "run")
    script.add(f"fpath=({tmp_path}/fpath $fpath)", compinit(), "_demotool")
    script.enter(environment(tmp_path))
    script.add("_message() { print -r -- $1 }; _demotool; unfunction _message")
    script.leave_last()
    script.add("_demotool", "print $_comps[demotool]")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split() == ["mine", "from-the-environment", "mine", "_demotool"]


def test_zsh_before_compinit_has_the_directories(tmp_path: Path) -> None:
    script = Script("zsh", tmp_path / "run")
    script.enter(environment(tmp_path))
    script.add(compinit(), SHOW)
    script.leave_last()
    script.add("print -r -- ${#${(M)fpath:#*s\\ data*}}")
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    inside, after = done.stdout.decode().splitlines()
    assert inside.startswith("_demotool _demotool 1 ")
    assert after == "0"


HOSTILE = {
    "a subscript": "#compdef a[$(touch${IFS}RAN)] b\n",
    "an option": "#compdef -k complete-word '^X' $(touch RAN)\n",
    "a service": "#compdef x=$(touch\tRAN)\n",
    "nothing": "",
    "no line end": "#compdef",
}


def test_files_of_completions_are_only_read_when_they_are_used(tmp_path: Path) -> None:
    place = environment(tmp_path)
    functions = tmp_path / "it's data" / "share" / "zsh" / "site-functions"
    for number, text in enumerate(HOSTILE.values()):
        (functions / f"_hostile{number}").write_text(f"{text}touch RAN\n")
    (functions / "_$(touch RAN)").write_text("#compdef $(touch RAN)\n")
    (functions / "_folder").mkdir()
    script = Script("zsh", tmp_path / "run")
    script.add(compinit())
    script.enter(place)
    script.leave_last()
    done = script.run(base_environ(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
    assert not (tmp_path / "RAN").exists()


def test_a_list_of_the_users_for_completions_stays_when_it_holds_ours(tmp_path: Path) -> None:
    spec = Spec(name="plain", variables={"XDG_DATA_DIRS": (Set(value="/x", origin=ORIGIN),)})
    for shell, form in (("zsh", "print $fpath"), ("fish", "echo $fish_complete_path")):
        script = Script(shell, tmp_path / shell)
        script.add(form)
        script.enter(write_object(spec, tmp_path / f"{shell}-spec"))
        script.add(form)
        script.leave_last()
        script.add(form)
        lines = script.run(base_environ(tmp_path), cwd=tmp_path).stdout.splitlines()
        assert lines[0] == lines[1] == lines[2]


DECLARED = Spec(name="declared", completions={"demotool": ("start", "--port", "a/b:c"), "g++": ("x",)})
OFFERED = {
    "bash": (
        "_completion_loader demotool; complete -p demotool; "
        "COMP_WORDS=(demotool --) COMP_CWORD=1; compgen -W 'start --port a/b:c' -- --"
    ),
    "fish": "complete -C 'demotool st'; complete -C 'demotool --'",
    "zsh": "compadd() { print -r -- $@ }; _files() { print files }; $_comps[demotool]; print -r -- $_comps[g++]",
}
SHOWN = {
    "bash": "complete -o default -W 'start --port a/b:c' demotool\n--port\n",
    "fish": "start\n--port\n",
    "zsh": "-- start --port a/b:c\nfiles\n_g++\n",
}


@pytest.mark.parametrize("shell", OFFERED)
def test_declared_words_are_offered_behind_their_command(shell: str, tmp_path: Path) -> None:
    place = write_object(DECLARED, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    if shell == "bash":
        script.add(f"source {data('bash_completion')}")
    if shell == "zsh":
        script.add(compinit())
    script.dump()
    script.enter(place)
    script.add(OFFERED[shell])
    script.leave_last()
    script.dump()
    done = script.run(with_tool(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout.decode()) == (0, b"", SHOWN[shell])
    outside, after = (read_dump(tmp_path / "run" / f"dump-{number}") for number in range(2))
    assert after == outside


@pytest.mark.parametrize("shell", NAMES)
def test_declared_words_come_through_the_lists_of_data(shell: str, tmp_path: Path) -> None:
    place = write_object(DECLARED, tmp_path / "spec")
    script = Script(shell, tmp_path / "run")
    script.dump()
    script.enter(place)
    script.dump()
    script.leave_last()
    script.dump()
    outside, inside, after = script.environments(base_environ(tmp_path), cwd=tmp_path)
    assert inside["XDG_DATA_DIRS"] == f"{place}/share:/usr/local/share:/usr/share"
    assert after == outside
