"""Roots of real packages as people use them: in a terminal, with a project, and with programs that make sandboxes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pexpect
import pytest

from tests.support.devenv import User, devenv_program
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network

BASE = "debian/bookworm"
PACKAGES = ("fish", "less", "vim-tiny", "zsh")
FHS = ("fhs", "--base", BASE, *PACKAGES)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Somebody for whom the root has been made."""
    require_sandboxes()
    user = User(tmp_path_factory.mktemp("fhs") / "home")
    user.run(*FHS, "--", "true", cwd=user.home)
    return user


def inside(
    user: User, *command: str, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return user.run(*FHS, "--", *command, cwd=cwd or user.home, check=check)


def test_programs_are_the_packages_own_and_files_the_users(guest: User, tmp_path: Path) -> None:
    folder = tmp_path / "it's a 'new\nline' $(x)"
    folder.mkdir()
    done = inside(guest, "sh", "-c", "pwd; id -un; cat /etc/debian_version; echo made > file", cwd=folder)
    lines = done.stdout.removeprefix(f"{folder}\n").splitlines()
    assert (
        lines[0] == subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    )
    assert lines[1].startswith("12.")
    assert (folder / "file").read_text() == "made\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 7", 7), ("kill -SEGV $$", -signal.SIGSEGV), ("kill -TERM $$", -signal.SIGTERM)],
)
def test_statuses_are_the_programs_own(guest: User, script: str, status: int) -> None:
    assert inside(guest, "sh", "-c", script, check=False).returncode == status


def test_packages_cannot_be_changed_and_hosts_can(guest: User) -> None:
    script = "touch /usr/x /etc/x 2>&1; echo '127.0.0.5 my.test' >> /etc/hosts && getent hosts my.test"
    done = inside(guest, "sh", "-c", script)
    assert done.stdout.count("Read-only file system") == 2
    assert done.stdout.splitlines()[-1].split() == ["127.0.0.5", "my.test"]


def test_namespaces_can_be_made_inside(guest: User) -> None:
    assert inside(guest, "unshare", "-Urm", "id", "-u").stdout == "0\n"


def test_a_root_within_a_root_works(guest: User) -> None:
    # The program itself needs the machine's Python, which only a root with the same one has.
    done = inside(
        guest, "sh", "-c", "ls /run/host/usr/bin | head -1; test -e /run/host/etc/passwd && echo there"
    )
    assert done.stdout.splitlines()[-1] == "there"


def test_a_missing_program_is_an_error_that_says_who_has_it(guest: User) -> None:
    done = inside(guest, "no-such-program", check=False)
    assert done.returncode == 1
    assert "there is no such program in this root" in done.stderr
    assert "devenv locate bin/no-such-program" in done.stderr


def test_misspelt_packages_are_all_named(guest: User) -> None:
    done = guest.run(
        "fhs", "--base", BASE, "libgdal-dve", "pyhton3", "--", "true", cwd=guest.home, check=False
    )
    assert done.returncode == 1
    assert "libgdal-dve" in done.stderr and "pyhton3" in done.stderr
    assert "libgdal-dev" in done.stderr and "python3" in done.stderr


@pytest.fixture(params=["bash", "zsh", "fish"])
def terminal(request: pytest.FixtureRequest, guest: User) -> Iterator[pexpect.spawn[str]]:
    """The user's shell in the root, on a terminal, at its prompt."""
    shell = request.param
    env = guest.env | {"SHELL": f"/bin/{shell}", "TERM": "xterm", "PS1": "READY> "}
    (guest.home / ".zshrc").write_text("PS1='READY> '\nunsetopt zle\n")
    (guest.home / ".bashrc").write_text("PS1='READY> '\nbind 'set enable-bracketed-paste off'\n")
    (guest.home / ".config/fish").mkdir(parents=True, exist_ok=True)
    (guest.home / ".config/fish/config.fish").write_text(
        "function fish_prompt; echo -n 'READY> '; end\nset fish_greeting\n"
    )
    child = pexpect.spawn(
        devenv_program(),
        list(FHS),
        env=env,
        cwd=str(guest.home),
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
    )
    with closing(child):
        child.expect("READY> ")
        time.sleep(0.5)  # fish draws its first prompt twice, and drops what was typed before
        yield child


def say(child: pexpect.spawn[str], line: str, answer: str) -> None:
    child.send(line + "\r")
    child.expect(answer)


def test_a_terminal_is_as_always(terminal: pexpect.spawn[str]) -> None:
    say(terminal, "cat /etc/debian_version", r"[^/]12\.\d+")
    # Ctrl-Z and fg
    say(terminal, "sh -c 'echo begun; read line; echo got-$line'", "begun\r\n")
    terminal.send("\x1a")
    terminal.expect(r"(?i)(stopped|suspended)")
    terminal.expect("READY> ")
    terminal.send("fg\r")
    terminal.expect("read line")
    terminal.send("x7y\r")
    terminal.expect("got-x7y")
    terminal.expect("READY> ")
    # Ctrl-C
    say(terminal, "sh -c 'echo slee''ping; sleep 100; echo not reached'", "sleeping\r\n")
    terminal.send("\x03")
    terminal.expect("READY> ")
    # resizing
    terminal.setwinsize(31, 97)
    say(terminal, "stty size", "31 97")
    terminal.expect("READY> ")
    terminal.send("exit 6\r")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    assert terminal.exitstatus == 6


def test_full_screen_programs_work(guest: User, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"line {number}\n" for number in range(200)))
    env = guest.env | {"TERM": "xterm"}
    arguments = [*FHS, "--", "less", str(text)]
    with closing(pexpect.spawn(devenv_program(), arguments, env=env, encoding="utf-8", timeout=30)) as less:
        less.expect("line 0")
        less.send("G")
        less.expect("line 199")
        less.send("q")
        less.expect(pexpect.EOF)
    arguments = [*FHS, "--", "vim.tiny", str(text)]
    with closing(pexpect.spawn(devenv_program(), arguments, env=env, encoding="utf-8", timeout=30)) as vim:
        vim.expect("line 0")
        vim.send("ichanged \x1b:wq\r")
        vim.expect(pexpect.EOF)
    assert text.read_text().startswith("changed line 0\n")


def test_a_project_is_entered_in_the_root_of_its_packages(guest: User, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text(
        f'name = "demo"\nbase = "{BASE}"\n[packages]\nsystem = {list(PACKAGES)}\n[env]\nGREETING = "a $HOME `b`"\n'.replace(
            "'", '"'
        )
    )
    guest.run("lock", cwd=root)
    line = 'cat /etc/debian_version; echo "$GREETING"; command -v zsh'
    for _ in range(2):  # at first made, then as it was
        done = guest.run("enter", "-c", line, cwd=root)
        version, greeting, zsh = done.stdout.splitlines()
        assert version.startswith("12.")
        assert (greeting, zsh) == ("a $HOME `b`", "/usr/bin/zsh")
    assert guest.run("enter", "--", "sh", "-c", "exit 5", cwd=root, check=False).returncode == 5
    assert re.search(r"/usr/bin/zsh  # zsh[-_].*, packages.system", guest.run("why", "zsh", cwd=root).stdout)
    guest.run("gc", cwd=root)
    assert guest.run("enter", "--offline", "-c", "echo still", cwd=root).stdout == "still\n"
    assert re.search(r"^root", "\n".join(os.listdir(os.readlink(root / ".devenv/env"))), re.MULTILINE)


def test_a_python_that_the_machine_lacks_comes_from_the_base(guest: User, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text(
        'base = "debian/trixie"\n[packages]\npython = "3.13"\nsystem = ["less"]\n'
    )
    (root / "requirements.txt").write_text("markupsafe==3.0.2\n")
    compiled = subprocess.run(
        [
            *(
                os.path.join(os.path.dirname(devenv_program()), "uv"),
                "pip",
                "compile",
                "--generate-hashes",
                "-q",
            ),
            *("--python-version", "3.13", "--no-emit-index-url", "requirements.txt"),
        ],
        cwd=root,
        env=guest.env,
        capture_output=True,
        text=True,
        check=True,
    )
    (root / "requirements.txt").write_text(compiled.stdout)
    guest.run("lock", cwd=root)
    program = "import sys, markupsafe._speedups; print(sys.version_info[:2], sys.prefix)"
    done = guest.run("enter", "--", "python", "-c", program, cwd=root)
    assert done.stdout == f"(3, 13) {root}/.devenv/python\n"
