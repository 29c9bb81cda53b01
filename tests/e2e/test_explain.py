"""Where parts of an environment come from, what a shell has instead, and which line of which file is to blame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.projects import npm_project, python_project
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at

CONFIG = """name = "p"

[packages]
python = "3.11"

[env]
COLOUR = "red"
EDITION = { default = "first" }
GREETING = { unset = true }
PATH = { prepend = ["./bin"] }

[aliases]
gs = ["git", "status"]

[scripts]
serve = "echo serving"

[functions]
up = "cd .."
"""


@pytest.fixture
def root(user: User, tmp_path: Path, registry: Registry) -> Path:
    point_clients_at(registry, user.home)
    root = tmp_path / "p"
    npm_project(root, registry, 2)
    python_project(root, registry, 2)
    (root / "devenv.toml").write_text(CONFIG)
    (root / "bin").mkdir()
    for name in ("tool", "serve"):
        (root / "bin" / name).write_text("#!/bin/sh\n")
        (root / "bin" / name).chmod(0o755)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    return root


def ask(user: User, root: Path, *words: str, colour: str = "") -> dict[str, Any]:
    done = user.run("why", *words, "--json", cwd=root, check=False, COLOUR=colour)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"status": done.returncode}


def test_a_variable_shows_its_line_and_what_the_shell_has_instead(user: User, root: Path) -> None:
    found = ask(user, root, "COLOUR", colour="blue")
    assert found["reasons"] == [{"what": "= 'red'", "origin": "devenv.toml:7"}]
    assert (found["kind"], found["notes"], found["status"]) == ("variable", ["in this shell: = 'blue'"], 0)
    assert ask(user, root, "COLOUR", colour="red")["notes"] == []
    home = ask(user, root, "HOME")
    assert (home["reasons"][0]["origin"], home["status"]) == ("your own session", 1)
    path = [each["origin"] for each in ask(user, root, "PATH")["reasons"]]
    assert path[:2] == ["the scripts of the project", "devenv.toml:10"], "what is found first stands first"


def test_an_entry_of_path_shows_who_put_it_there(user: User, root: Path) -> None:
    for word in ("./bin", "bin/", str(root / "bin")):
        found = ask(user, root, word)
        assert found["reasons"] == [{"what": "in front of PATH", "origin": "devenv.toml:10"}], word
    assert ask(user, root, "/usr/bin")["status"] == 1
    assert "packages.python" in user.run("why", ".devenv/python/bin", cwd=root).stdout


def test_a_command_shows_what_it_stands_for_and_what_it_hides(user: User, root: Path) -> None:
    assert ask(user, root, "gs")["reasons"] == [{"what": "git status", "origin": "devenv.toml:13"}]
    function = ask(user, root, "up")
    assert (function["kind"], function["reasons"]) == (
        "function",
        [{"what": "for sh", "origin": "devenv.toml:19"}],
    )
    script = ask(user, root, "serve")
    assert script["reasons"][0]["origin"] == "devenv.toml:16"
    assert script["notes"] == [f"before {root}/bin/serve (devenv.toml:10)"]
    tool = ask(user, root, "tool")
    assert tool["reasons"] == [{"what": f"{root}/bin/tool", "origin": "devenv.toml:10"}]
    assert ask(user, root, "hello0")["reasons"][0]["origin"] == "wheel0 1.0, packages.python"
    ls = ask(user, root, "ls")
    assert (ls["reasons"][0]["origin"], ls["status"]) == ("your own session", 1)


def test_a_package_is_still_explained_by_references(user: User, root: Path) -> None:
    done = user.run("why", "pkg1", cwd=root)
    assert "env-spec" in done.stdout.splitlines()[0]
    assert "pkg1" in done.stdout.splitlines()[-1]
    done = user.run("why", "--as", "command", "pkg1", cwd=root, check=False)
    assert "pkg1 is no command" in done.stderr
    done = user.run("why", "no-such-thing", cwd=root, check=False)
    assert (done.returncode, "neither a package" in done.stderr) == (1, True)


def test_a_shell_is_compared_with_its_environment(user: User, root: Path) -> None:
    line = "export COLOUR=blue; PATH=/opt/x:$PATH; devenv diff shell"
    lines = user.run("enter", "-c", line, cwd=root, check=False).stdout.splitlines()
    assert lines[0] == "~ variable COLOUR = 'blue' -> = 'red'"
    assert {each.partition(" before ")[0] for each in lines[1:]} == {"~ variable PATH /opt/x"}
    assert user.run("enter", "-c", "devenv diff shell", cwd=root).stdout == ""
    outside = user.run("diff", "current", "shell", cwd=root, check=False, GREETING="hello")
    assert "~ variable GREETING is unset -> = 'hello'" in outside.stdout
    assert "~ variable COLOUR = 'red' -> is unset" in outside.stdout


@pytest.fixture
def plain(user: User, tmp_path: Path) -> Path:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "devenv.toml").write_text(
        CONFIG.replace('[packages]\npython = "3.11"\n\n', "").replace("\n[", "[")
    )
    user.run("lock", cwd=plain)
    return plain


BASHRC = """greet() {
    export GREETING=hello
}
case $- in *i*) ;; *) return ;; esac
greet
COPY=$(COLOUR=grey; echo $COLOUR)
export COLOUR=blue
PATH=/opt/nvm/bin:$PATH
"""
FISHRC = """function greet
    set -gx GREETING hello
end
true
greet

set -gx COLOUR blue
set -gx PATH /opt/nvm/bin $PATH
"""
RC = {"bash": (".bashrc", BASHRC), "zsh": (".zshrc", BASHRC), "fish": (".config/fish/config.fish", FISHRC)}


@pytest.mark.parametrize("shell", RC)
def test_the_line_of_the_users_file_is_named(user: User, plain: Path, shell: str) -> None:
    rc = user.home / RC[shell][0]
    rc.parent.mkdir(parents=True, exist_ok=True)
    rc.write_text(RC[shell][1])
    words = ("check", "--rc", "--shell", program(shell))
    done = user.run(*words, "--json", cwd=plain, check=False)
    found = {
        (each["variable"], each["found"].split(" before ")[0], each["file"], each["line"])
        for each in json.loads(done.stdout)
        if not each["login"]
    }
    assert found == {
        ("COLOUR", "= 'blue'", str(rc), 7),
        ("GREETING", "= 'hello'", str(rc), 2),
        ("PATH", "/opt/nvm/bin", str(rc), 8),
    }
    assert done.returncode == 1
    text = user.run(*words, cwd=plain, check=False).stdout
    assert f"~/{RC[shell][0]}:7: COLOUR = 'blue'\n    devenv.toml:3 says = 'red'\n" in text


@pytest.mark.parametrize("shell", ["dash", "mksh"])
def test_posix_shells_are_compared_without_a_line(user: User, plain: Path, shell: str) -> None:
    (user.home / "rc").write_text("COLOUR=blue\n")
    user.env["ENV"] = str(user.home / "rc")
    done = user.run("check", "--rc", "--shell", program(shell), cwd=plain, check=False)
    assert "your shell's files: COLOUR = 'blue'\n" in done.stdout


OTHERS = {
    "nu": (".config/nushell/config.nu", '$env.COLOUR = "blue"\n'),
    "elvish": (".config/elvish/rc.elv", "set-env COLOUR blue\n"),
    "xonsh": (".config/xonsh/rc.xsh", "$COLOUR = 'blue'\n"),
    "tcsh": (".tcshrc", "if ($?prompt) setenv COLOUR blue\n"),
}


@pytest.mark.parametrize("shell", OTHERS)
def test_the_other_shells_are_compared_without_a_line(user: User, plain: Path, shell: str) -> None:
    rc, text = OTHERS[shell]
    words = ("check", "--rc", "--json", "--shell", program(shell))
    before = json.loads(user.run(*words, cwd=plain, check=False).stdout)
    assert [each for each in before if not each["login"]] == []
    (user.home / rc).parent.mkdir(parents=True, exist_ok=True)
    (user.home / rc).write_text(text)
    after = json.loads(user.run(*words, cwd=plain, check=False).stdout)
    found = [(each["variable"], each["found"]) for each in after if not each["login"]]
    assert found == [("COLOUR", "= 'blue'")]


@pytest.mark.parametrize("shell", RC)
def test_files_that_leave_the_environment_alone_are_praised(user: User, plain: Path, shell: str) -> None:
    rc = user.home / RC[shell][0]
    rc.parent.mkdir(parents=True, exist_ok=True)
    behind = "set -gx PATH $PATH /opt/behind" if shell == "fish" else "PATH=$PATH:/opt/behind"
    rc.write_text(f"{behind}\necho 'noise with % and $(x)'\n")
    done = user.run("check", "--rc", "--shell", program(shell), "--json", cwd=plain, check=False)
    assert [each for each in json.loads(done.stdout) if not each["login"]] == []


def test_login_files_and_what_runs_before_a_prompt_count(user: User, plain: Path) -> None:
    (user.home / ".bash_profile").write_text(". ~/.bashrc\nexport COLOUR=login\n")
    (user.home / ".bashrc").write_text("late() { EDITION=; unset EDITION; }\nPROMPT_COMMAND=late\n")
    done = user.run("check", "--rc", "--shell", "bash", "--json", cwd=plain, check=False)
    found = [(each["variable"], each["login"], each["line"]) for each in json.loads(done.stdout)]
    assert ("EDITION", False, 1) in found
    assert ("COLOUR", True, 2) in found


def test_a_file_that_starts_something_else_is_said(user: User, plain: Path) -> None:
    (user.home / ".bashrc").write_text("exec true\n")
    done = user.run("check", "--rc", "--shell", "bash", cwd=plain, check=False)
    assert (done.returncode, "ended before its first prompt" in done.stderr) == (1, True)
