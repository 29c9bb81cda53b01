"""`devenv enter` typed at the prompt of a real shell: what is inside, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pexpect
import pytest

from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at

SHELLS = ("bash", "zsh", "fish")
VALUES = {
    "NEWLINE": "one\ntwo\n",
    "QUOTES": 'it\'s "quoted"',
    "DOLLAR": "$HOME ${PATH} $(id)",
    "BACKTICK": "`id` !history",
    "BACKSLASH": "a\\b\\\\c\\",
    "UNICODE": "ünïcødé → 環境",
    "DASH": "-n",
    "EMPTY": "",
}
DUMP = "import os, json, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"


@pytest.fixture
def project(tmp_path: Path, user: User, registry: Registry) -> Path:
    root = tmp_path / "my project"
    npm_project(root, registry)
    python_project(root, registry)
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in VALUES.items()]
    lines.append('PATH = { prepend = ["./bin"] }\nLESS = { unset = true }')
    configure(
        root,
        'name = "demo"\n[packages]\npython = "3.11"\n[env]\n' + "\n".join(lines) + "\n"
        '[aliases]\ngreet = ["printf", "%s-%s\\n", "it\'s", "$x"]\n[scripts]\nhere_am_i = "pwd"\n',
    )
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    user.run("allow", cwd=root)
    return root


class Session:
    """A shell under a terminal. Commands are sent one at a time, each ended by a mark of our own."""

    def __init__(self, shell: str, user: User, cwd: Path) -> None:
        self.shell = shell
        self.count = 0
        env = user.env | {"SHELL": program(shell), "LESS": "-R", "PS1": "$ "}
        flags = {"bash": ["-i"], "zsh": ["-i"], "fish": ["-i"]}[shell]
        self.child = pexpect.spawn(
            program(shell), flags, cwd=str(cwd), env=env, encoding="utf-8", timeout=60, dimensions=(50, 300)
        )
        self.run("true")

    def run(self, line: str) -> None:
        """Send a line and wait until the shell has run it."""
        self.count += 1
        # The mark is assembled by the shell, so that the echo of what was typed does not match it.
        self.child.sendline(f"{line}; printf '%s%s\\n' MARK{self.count} DONE")
        self.child.expect_exact(f"MARK{self.count}DONE")

    def environment(self, place: Path) -> dict[str, str]:
        self.run(f"{sys.executable} -c \"{DUMP}\" '{place}'")
        found: dict[str, str] = json.loads(place.read_text())
        return found

    def close(self) -> None:
        self.child.close(force=True)


VOLATILE = {"_", "SHLVL", "OLDPWD"}


def stable(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in VOLATILE}


def enter(session: Session) -> None:
    session.child.sendline("devenv enter")
    # The inner shell answers once it reads lines.
    session.run("true")


@pytest.mark.parametrize("shell", SHELLS)
def test_inside_is_all_of_it_and_after_it_nothing(
    shell: str, tmp_path: Path, user: User, project: Path
) -> None:
    (user.home / ".bashrc").write_text("export FROM_RC=yes\n")
    (user.home / ".zshrc").write_text("export FROM_RC=yes\n")
    fish = user.home / ".config/fish"
    fish.mkdir(parents=True, exist_ok=True)
    (fish / "config.fish").write_text("set -gx FROM_RC yes\n")
    session = Session(shell, user, project)
    try:
        before = session.environment(tmp_path / "before.json")
        enter(session)
        inside = session.environment(tmp_path / "inside.json")
        for name, value in VALUES.items():
            assert inside[name] == value, name
        assert "LESS" not in inside
        assert inside["FROM_RC"] == "yes"
        first = inside["PATH"].split(os.pathsep)
        assert str(project / "bin") in first[:3]
        assert str(project / ".devenv/python/bin") in first
        assert str(project / "node_modules/.bin") in first
        assert not [name for name in inside if name.lower().startswith("__devenv")]
        session.run(
            f"hello0 > '{tmp_path}/hello'; greet > '{tmp_path}/greet'; here_am_i > '{tmp_path}/where'"
        )
        assert (tmp_path / "hello").read_text() == "hello from wheel0\n"
        assert (tmp_path / "greet").read_text() == "it's-$x\n"
        assert (tmp_path / "where").read_text() == f"{project}\n"
        session.child.sendline("exit")
        after = session.environment(tmp_path / "after.json")
        assert stable(after) == stable(before)
    finally:
        session.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_sourced_by_hand_and_left_in_place(shell: str, tmp_path: Path, user: User, project: Path) -> None:
    user.run("enter", "-c", "true", cwd=project)
    spec = (project / ".devenv/env").readlink()
    session = Session(shell, user, project)
    try:
        before = session.environment(tmp_path / "before.json")
        session.run(f"source {spec}/activate.{shell}")
        inside = session.environment(tmp_path / "inside.json")
        assert {name: inside[name] for name in VALUES} == VALUES
        assert "LESS" not in inside
        set_path = "set -gx PATH $PATH /mine" if shell == "fish" else "export PATH=$PATH:/mine"
        set_value = "set -gx DASH changed" if shell == "fish" else "export DASH=changed"
        session.run(f"{set_path}; {set_value}")
        session.run("devenv_leave")
        after = session.environment(tmp_path / "after.json")
        assert after["PATH"] == before["PATH"] + ":/mine", "what the user added stays"
        assert after["DASH"] == "changed", "what the user changed stays"
        expected = stable(before) | {"PATH": after["PATH"], "DASH": "changed"}
        assert stable(after) == expected
    finally:
        session.close()
