"""Completions of devenv's own command line, asked of the real shells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devenv.cli.commandline import Place, places
from devenv.cli.commands.completions import WRITERS
from devenv.cli.verbs import VERBS
from tests.shells.dialects import RENDERERS
from tests.shells.harness import base_environ
from tests.support.programs import data, program


@pytest.fixture(scope="module")
def found() -> tuple[Place, ...]:
    return tuple(places())


@pytest.fixture(scope="module")
def files(found: tuple[Place, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    for shell, write in WRITERS.items():
        (folder / shell).write_text(write(found, RENDERERS[shell].quote))
    return folder


def ran(shell: str, *arguments: str, home: Path) -> str:
    done = subprocess.run(
        [program(shell), *arguments],
        env=base_environ(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_verb_and_what_is_below_it_has_its_place(found: tuple[Place, ...]) -> None:
    by_verbs = {place.verbs: place for place in found}
    assert {word.text for word in by_verbs[()].words} == {entry.name for entry in VERBS}
    assert {(entry.name,) for entry in VERBS} <= by_verbs.keys()
    assert "query" in {word.text for word in by_verbs[("store",)].words}
    assert ("store", "query") in by_verbs
    shell = next(word for word in by_verbs[("enter",)].options if word.text == "--shell")
    assert shell.valued and shell.about
    assert "--refresh" not in {word.text for word in by_verbs[("hook",)].options}, "it is for the hook alone"


ASKED = {
    "verb": (["ent"], "enter"),
    "option": (["enter", "--sh"], "--shell"),
    "option behind another's value": (["enter", "--shell", "zsh", "--pu"], "--pure"),
    "verb below": (["store", "quer"], "query"),
    "option below": (["store", "query", "--of"], "--offline"),
    "choice": (["schema", "env"], "env.json"),
    "other grammar": (["patchelf", "--print-rp"], "--print-rpath"),
}


@pytest.mark.parametrize(("words", "wanted"), ASKED.values(), ids=ASKED)
def test_bash_offers(words: list[str], wanted: str, files: Path, tmp_path: Path) -> None:
    line = f"COMP_WORDS=(devenv {' '.join(words)}) COMP_CWORD={len(words)}; _devenv; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    shown = ran("bash", "--norc", "-c", f"source {files}/bash; {line}", home=tmp_path)
    assert shown.splitlines() == [wanted]


@pytest.mark.parametrize(("words", "wanted"), ASKED.values(), ids=ASKED)
def test_zsh_offers(words: list[str], wanted: str, files: Path, tmp_path: Path) -> None:
    # Outside of the line editor nothing can be shown; what would be is printed.
    around = (
        f"fpath=({data('zsh-functions')}/Completion {data('zsh-functions')}/Completion/Base); autoload -Uz compinit; "
        f"compinit -D -u; source {files}/zsh; "
        '_describe() { print -rl -- "${(@P)@[-1]}" }; _files() { }; '
        f"words=(devenv {' '.join(words)}); CURRENT={len(words) + 1}; PREFIX={words[-1]}; $_comps[devenv]"
    )
    shown = [line.partition(":")[0] for line in ran("zsh", "-fc", around, home=tmp_path).splitlines()]
    assert [word for word in shown if word.startswith(words[-1])] == [wanted]


def test_zsh_loads_it_from_a_file_of_its_name(files: Path, tmp_path: Path) -> None:
    (tmp_path / "_devenv").write_text((files / "zsh").read_text())
    around = (
        f"fpath=({tmp_path} {data('zsh-functions')}/Completion); autoload -Uz compinit; compinit -D -u; "
        '_describe() { print -rl -- "${(@P)@[-1]}" }; words=(devenv ent) CURRENT=2 PREFIX=ent; $_comps[devenv]'
    )
    assert "enter:" in ran("zsh", "-fc", around, home=tmp_path)


@pytest.mark.parametrize(("words", "wanted"), ASKED.values(), ids=ASKED)
def test_fish_offers(words: list[str], wanted: str, files: Path, tmp_path: Path) -> None:
    line = f"function devenv; end; source {files}/fish; complete -C 'devenv {' '.join(words)}'"
    shown = ran("fish", "--no-config", "-c", line, home=tmp_path)
    # What merely holds the letters follows.
    assert shown.splitlines()[0].partition("\t")[0] == wanted


@pytest.mark.parametrize(("words", "wanted"), ASKED.values(), ids=ASKED)
def test_elvish_offers(words: list[str], wanted: str, files: Path, tmp_path: Path) -> None:
    # Only an interactive elvish has an editor to give the function to.
    code = (
        (files / "elvish")
        .read_text()
        .replace("set edit:completion:arg-completer[devenv] =", "var completer =")
    )
    code = code.replace("edit:complete-filename", "nop")
    (tmp_path / "code.elv").write_text(f"{code}$completer devenv {' '.join(words)} | to-lines\n")
    shown = ran("elvish", "-norc", str(tmp_path / "code.elv"), home=tmp_path).splitlines()
    assert [word for word in shown if word.startswith(words[-1])] == [wanted]


def test_tcsh_takes_the_rules(files: Path, tmp_path: Path) -> None:
    shown = ran("tcsh", "-f", "-c", f"source {files}/tcsh; complete devenv", home=tmp_path)
    assert "p/1/(init lock " in shown and " enter " in shown
    assert "n/store/(" in shown
