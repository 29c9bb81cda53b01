"""Environments with parameters: given for one time, recorded, made again from the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.programs import program

CONFIG = """name = "p"

[parameters]
port = { type = "int", default = 8080 }
greeting = "hello"

[env]
PORT = "${parameter:port}"
GREETING = "${parameter:greeting}"

[aliases]
greet = ["echo", "${parameter:greeting}"]

[scripts]
show = "echo script ${parameter:port}"
"""
LINE = 'printf "%s\\n" "$PORT" "$GREETING"; show; greet'


@pytest.fixture
def root(user: User, tmp_path: Path) -> Path:
    root = tmp_path / "p"
    root.mkdir()
    (root / "devenv.toml").write_text(CONFIG)
    user.run("lock", cwd=root)
    return root


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_values_reach_every_shell(user: User, root: Path, shell: str) -> None:
    given = ("--shell", program(shell), "--set", "port=9000", "--set", "greeting=it's $HOME\n\\")
    done = user.run("enter", *given, "-c", LINE, cwd=root)
    assert done.stdout == "9000\nit's $HOME\n\\\nscript 9000\nit's $HOME\n\\\n"


def test_a_given_value_is_for_one_time(user: User, root: Path) -> None:
    assert user.run("enter", "--set", "port=9000", "-c", "echo $PORT", cwd=root).stdout == "9000\n"
    assert user.run("enter", "-c", "echo $PORT", cwd=root).stdout == "8080\n"
    assert user.run("enter", "--set", "port=9001", "-c", "echo $PORT", cwd=root).stdout == "9001\n"
    assert user.run("enter", "-c", "echo $PORT", cwd=root).stdout == "8080\n"
    described = json.loads((root / ".devenv/env/env.json").read_text())
    assert described["parameters"] == {"port": 8080, "greeting": "hello"}


def test_the_record_makes_the_same_environment_again(user: User, root: Path) -> None:
    user.run("enter", "-c", "true", cwd=root)
    user.run("enter", "--set", "port=9000", "-c", "true", cwd=root)
    listed = json.loads(user.run("generations", "--json", cwd=root).stdout)
    assert [(each["number"], each["current"], each["parameters"]["port"]) for each in listed] == [
        (1, True, "8080"),
        (2, False, "9000"),
    ]
    (root / "devenv.toml").touch()
    user.run("enter", "-c", "true", cwd=root)
    assert json.loads(user.run("generations", "--json", cwd=root).stdout) == listed, (
        "made again, it is the same one"
    )
    stored = json.loads(Path(listed[1]["environment"], "env.json").read_text())
    again = json.loads(user.run("env", "--json", "--set", "port=9000", cwd=root).stdout)
    assert again == stored
    assert "~ parameter port 8080 -> 9000\n" in user.run("diff", "1", "2", cwd=root, check=False).stdout
    user.run("rollback", "2", cwd=root)
    assert (root / ".devenv/env").resolve() == Path(listed[1]["environment"])
    assert user.run("enter", "-c", "echo $PORT", cwd=root).stdout == "9000\n"
    (root / "devenv.toml").write_text(CONFIG + "# touched\n")
    assert user.run("enter", "-c", "echo $PORT", cwd=root).stdout == "8080\n"


def test_all_wrong_values_are_named_and_nothing_is_entered(user: User, root: Path) -> None:
    given = ("--set", "port=high", "--set", "prot=1", "--set", "greeting=a b")
    done = user.run("enter", *given, "-c", "echo entered", cwd=root, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'expected a whole number, found "high"' in done.stderr
    assert "did you mean `port`?" in done.stderr


def test_one_that_must_be_given_is_asked_for(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text(
        '[parameters]\nkey = { type = "text" }\n[env]\nKEY = "${parameter:key}"\n'
    )
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert "parameter key (devenv.toml:2) has no value" in done.stderr
    assert "--set key=VALUE" in done.stderr
    assert user.run("enter", "--set", "key=k", "-c", "echo $KEY", cwd=root).stdout == "k\n"
