"""Entering shells whose line editors talk to the terminal: the user's own files are read, and the environment comes last."""

from __future__ import annotations

import time
from pathlib import Path

import pexpect
import pytest

from devenv.env.enter import enter_command
from devenv.env.spec import Prepend, Set, Spec, Unset
from tests.shells.dialects import DIALECTS
from tests.shells.harness import base_environ, read_dump, write_object
from tests.support.programs import program

ORIGIN = "a test"
RC = {
    "tcsh": (".tcshrc", "setenv FROM_RC yes\nsetenv SHAPE mine\nset prompt = 'rc> '\n"),
    "xonsh": (".config/xonsh/rc.xsh", "$FROM_RC = 'yes'\n$SHAPE = 'mine'\n$PROMPT = 'rc> '\n"),
    "nu": (
        ".config/nushell/config.nu",
        "$env.FROM_RC = 'yes'\n$env.SHAPE = 'mine'\n$env.PROMPT_COMMAND = {|| 'rc> ' }\n$env.config.show_banner = false\n",
    ),
    "elvish": (
        ".config/elvish/rc.elv",
        "set-env FROM_RC yes\nset-env SHAPE mine\nfn mine { echo 'of the '\"user's\" }\nset edit:prompt = { print 'rc> ' }\n",
    ),
}


class Editor:
    """A shell at a terminal that answers where its cursor is."""

    def __init__(self, arguments: list[str], environ: dict[str, str], cwd: Path) -> None:
        self.shown = ""
        self.child = pexpect.spawn(
            arguments[0],
            arguments[1:],
            env=environ,
            cwd=str(cwd),
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(40, 300),
        )

    def read(self) -> None:
        try:
            text = self.child.read_nonblocking(4096, 0.1)
        except pexpect.TIMEOUT:
            return
        self.shown += text
        if "\x1b[6n" in text:
            self.child.send("\x1b[1;1R")

    def wait_for_prompt(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while "rc> " not in self.shown and time.monotonic() < deadline:
            self.read()
        for _ in range(5):  # until nothing more comes
            self.read()

    def wait_for_end(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while self.child.isalive() and time.monotonic() < deadline:
            try:
                self.read()
            except pexpect.EOF:
                break

    def dump(self, shell: str, file: Path, seconds: float = 30) -> dict[str, str]:
        line = DIALECTS[shell].dump.format(env="/usr/bin/env", file=f"'{file}'")
        self.child.send(f"{line}\r")
        deadline = time.monotonic() + seconds
        while not (file.exists() and file.stat().st_size) and time.monotonic() < deadline:
            self.read()
        self.read()
        return read_dump(file)


@pytest.mark.parametrize("shell", RC)
def test_the_users_files_come_first(shell: str, tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "a project"
    project.mkdir()
    name, text = RC[shell]
    (home / name).parent.mkdir(parents=True)
    (home / name).write_text(text)
    spec = Spec(
        name="demo",
        variables={
            "SHAPE": (Set(value="ours", origin=ORIGIN),),
            "AWAY": (Unset(origin=ORIGIN),),
            "PATH": (Prepend(entries=("./bin",), origin=ORIGIN),),
        },
    )
    place = write_object(spec, tmp_path / "spec")
    arguments, environ = enter_command(
        shell=program(shell),
        spec=str(place),
        project=str(project),
        environ=base_environ(home, AWAY="here"),
    )
    at = Editor(arguments, environ, project)
    try:
        at.wait_for_prompt()
        inside = at.dump(shell, tmp_path / "inside")
        assert [inside.get(name) for name in ("FROM_RC", "SHAPE", "AWAY", "HOME")] == [
            "yes",
            "ours",
            None,
            str(home),
        ]
        assert inside["PATH"] == f"{project}/bin:/usr/bin:/bin"
        assert not [name for name in inside if name.startswith("__devenv")]
        assert ("(demo) " in at.shown) == (shell != "tcsh"), "tcsh's prompt is left as it is"
        at.wait_for_prompt()
        at.shown = ""
        at.child.send("devenv_leave\r")
        at.wait_for_prompt()
        after = at.dump(shell, tmp_path / "after")
        assert [after.get(name) for name in ("SHAPE", "AWAY", "DEVENV_PROJECT")] == ["mine", "here", None]
        assert after["PATH"] == "/usr/bin:/bin"
    finally:
        at.child.close(force=True)


# Where each shell writes what was typed, and what its user's file says to that end.
HISTORY = {
    "bash": (".bash_history", ".bashrc", "PS1='rc> '\n"),
    "zsh": (".own_history", ".zshrc", "PS1='rc> '\nHISTFILE=~/.own_history SAVEHIST=100 HISTSIZE=100\n"),
    "fish": (
        ".local/share/fish/fish_history",
        ".config/fish/config.fish",
        "function fish_prompt; echo -n 'rc> '; end\n",
    ),
    "ksh93": (".sh_history", ".kshrc", "PS1='rc> '\n"),
    "mksh": (".own_history", ".mkshrc", "PS1='rc> '\nHISTFILE=~/.own_history\n"),
    "tcsh": (".history", RC["tcsh"][0], RC["tcsh"][1] + "set history = 100\nset savehist = 100\n"),
    "xonsh": (".local/share/xonsh", *RC["xonsh"]),
    "nu": (".config/nushell/history.txt", *RC["nu"]),
    "elvish": (".local/state/elvish/db.bolt", *RC["elvish"]),
}


def written(place: Path) -> bytes:
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("shell", HISTORY)
def test_what_is_typed_inside_is_in_the_users_own_history(shell: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    history, name, text = HISTORY[shell]
    (home / name).parent.mkdir(parents=True)
    (home / name).write_text(text)
    place = write_object(
        Spec(name="demo", variables={"SHAPE": (Set(value="x", origin=ORIGIN),)}), tmp_path / "spec"
    )
    arguments, environ = enter_command(
        shell=program(shell), spec=str(place), project=str(tmp_path), environ=base_environ(home)
    )
    at = Editor(arguments, environ, tmp_path)
    try:
        for line in ("echo remember-this", "exit"):
            at.wait_for_prompt()
            at.shown = ""
            at.child.send(f"{line}\r")
        at.wait_for_end()
    finally:
        at.child.close(force=True)
    assert b"remember-this" in written(home / history), [str(file) for file in home.rglob("*")]
