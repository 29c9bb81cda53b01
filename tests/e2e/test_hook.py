"""The hook with the real devenv behind it: what is made in the background, what waits for the user's word."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.config.lock import Lock
from devenv.config.lock_writing import dump_lock
from tests.e2e.projects import npm_project
from tests.e2e.test_sessions import Session
from tests.support.devenv import User, devenv_program
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at

SHELLS = ("bash", "zsh", "fish")
_RC = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}
Start = Callable[..., Session]


@pytest.fixture
def start(user: User, tmp_path: Path) -> Iterator[Start]:
    opened = []

    def session(shell: str = "bash") -> Session:
        rc = user.home / _RC[shell]
        rc.parent.mkdir(parents=True, exist_ok=True)
        hook = f"{devenv_program()} hook {shell}"
        rc.write_text(f"{hook} | source\n" if shell == "fish" else f'eval "$({hook})"\n')
        opened.append(Session(shell, user, tmp_path))
        return opened[-1]

    yield session
    for each in opened:
        each.close()


@pytest.fixture
def make(user: User, tmp_path: Path) -> Callable[..., Path]:
    def project(text: str, name: str = "p", lock: bool = True) -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        (root / "devenv.toml").write_text(f'name = "{name}"\n{text}')
        if lock:
            user.run("lock", cwd=root)
        return root

    return project


def wait_for(
    session: Session, place: Path, name: str, value: str | None, seconds: float = 20
) -> dict[str, str]:
    """The environment of a child once it has this value, or as it is when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = session.environment(place)
        if found.get(name) == value or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@pytest.mark.parametrize("shell", SHELLS)
def test_plain_variables_need_no_word(
    shell: str, start: Start, make: Callable[..., Path], tmp_path: Path
) -> None:
    root = make('[env]\nCOLOUR = "red"\nEDITION = { default = "first" }\n')
    session = start(shell)
    session.run(f"cd {root}")
    found = wait_for(session, tmp_path / "env", "COLOUR", "red")
    assert (found["COLOUR"], found["EDITION"], found["DEVENV_PROJECT"]) == ("red", "first", str(root))
    (root / "devenv.toml").write_text('name = "p"\n[env]\nCOLOUR = "green"\n')
    found = wait_for(session, tmp_path / "env", "COLOUR", "green")
    assert (found["COLOUR"], found.get("EDITION")) == ("green", None)
    assert not (root / ".devenv").exists(), "nothing is written into a repository that nobody allowed"


def test_a_change_of_what_is_extended_is_noticed(
    start: Start, make: Callable[..., Path], tmp_path: Path
) -> None:
    shared = make('[env]\nCOLOUR = "red"\n', name="shared", lock=False)
    root = make("", lock=False)
    (root / "devenv.toml").write_text('extends = "../shared"\n')
    (root / "devenv.lock").write_text(dump_lock(Lock()))
    session = start()
    session.run(f"cd {root}")
    assert wait_for(session, tmp_path / "env", "COLOUR", "red")["COLOUR"] == "red"
    (shared / "devenv.toml").write_text('[env]\nCOLOUR = "green"\n')
    assert wait_for(session, tmp_path / "env", "COLOUR", "green")["COLOUR"] == "green"


RUNS_CODE = """
[env]
COLOUR = "red"
LD_PRELOAD = "${project}/evil.so"
GIT_SSH_COMMAND = "evil"
PATH = { prepend = ["./bin"] }
[aliases]
ls = ["evil"]
[scripts]
cat = "evil"
[functions]
function_of_theirs = "evil"
"""


def test_what_runs_code_waits_and_the_rest_does_not(
    start: Start, make: Callable[..., Path], tmp_path: Path, user: User
) -> None:
    root = make(RUNS_CODE)
    session = start()
    session.run(f"cd {root}")
    found = wait_for(session, tmp_path / "env", "COLOUR", "red")
    assert found["COLOUR"] == "red"
    assert not {"LD_PRELOAD", "GIT_SSH_COMMAND"} & found.keys()
    assert str(root) not in found["PATH"]
    session.run(f"type ls cat function_of_theirs > {tmp_path}/types 2>&1")
    assert "evil" not in (tmp_path / "types").read_text()
    assert str(root) not in (tmp_path / "types").read_text()


def test_what_was_allowed_is_there_in_clones_and_worktrees_too(
    start: Start, make: Callable[..., Path], tmp_path: Path, user: User
) -> None:
    git = [
        program("git"),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.test",
        "-c",
        "init.defaultBranch=main",
    ]
    root = make('[env]\nPATH = { prepend = ["./bin"] }\n[aliases]\nhi = ["echo", "hello"]\n')
    (root / "bin").mkdir()
    (root / "bin/mine").write_text("#!/bin/sh\necho mine\n")
    (root / "bin/mine").chmod(0o755)
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-qm", "all"],
        ["worktree", "add", "-q", str(tmp_path / "tree")],
    ):
        subprocess.run([*git, *words], cwd=root, check=True)
    subprocess.run([*git, "clone", "-q", str(root), str(tmp_path / "clone")], check=True)
    done = user.run("allow", cwd=root)
    assert "+ programs in ./bin are found on PATH" in done.stderr
    session = start()
    for place in (root, tmp_path / "tree", tmp_path / "clone"):
        session.run(f"cd {place}")
        wait_for(session, tmp_path / "env", "DEVENV_PROJECT", str(place))
        session.run(f"mine > {tmp_path}/said; hi >> {tmp_path}/said")
        assert (tmp_path / "said").read_text() == "mine\nhello\n", place


def test_other_programs_under_the_same_words_are_another_content(
    make: Callable[..., Path], tmp_path: Path, user: User, start: Start
) -> None:
    text = '[env]\nPATH = { prepend = ["./bin"] }\n'
    for name in ("good", "evil"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin/mine").write_text(f"#!/bin/sh\necho {name}\n")
        (tmp_path / name / "devenv.toml").write_text(f'name = "same"\n{text}')
        user.run("lock", cwd=tmp_path / name)
    user.run("allow", cwd=tmp_path / "good")
    session = start()
    session.run(f"cd {tmp_path}/evil")
    wait_for(session, tmp_path / "env", "DEVENV_PROJECT", str(tmp_path / "evil"), seconds=3)
    assert f"{tmp_path}/evil/bin" not in session.environment(tmp_path / "env")["PATH"]


def test_a_question_shows_what_changed(make: Callable[..., Path], user: User) -> None:
    root = make('[aliases]\nhi = ["echo", "hello"]\n')
    assert "+ the alias hi" in user.run("allow", cwd=root).stderr
    assert "nothing of p is new" in user.run("allow", cwd=root).stderr
    make('[aliases]\nhi = ["echo", "bye"]\n')
    shown = user.run("allow", cwd=root).stderr
    assert '- the alias hi runs ["echo", "hello"]' in shown
    assert '+ the alias hi runs ["echo", "bye"]' in shown
    listed = json.loads(user.run("allow", "--list", "--json", cwd=root).stdout)
    assert [grant["project"] for grant in listed["places"]] == [str(root)]
    assert len(listed["contents"]) == 2


def test_who_denies_is_out_and_is_not_asked_again(
    make: Callable[..., Path], user: User, start: Start, tmp_path: Path
) -> None:
    root = make('[env]\nCOLOUR = "red"\nPATH = { prepend = ["./bin"] }\n')
    user.run("allow", cwd=root)
    session = start()
    session.run(f"cd {root}")
    assert session.environment(tmp_path / "env")["COLOUR"] == "red"
    user.run("deny", cwd=root)
    session.run("true")
    assert "COLOUR" not in session.environment(tmp_path / "env")
    user.run("allow", cwd=root)
    session.run("true")
    assert session.environment(tmp_path / "env")["COLOUR"] == "red"


def test_entering_on_purpose_asks_only_for_what_runs_in_everything(
    make: Callable[..., Path], user: User
) -> None:
    root = make('[env]\nGIT_PAGER = "cat"\nPATH = { prepend = ["./bin"] }\n')
    assert user.run("enter", "-c", "echo $GIT_PAGER", cwd=root).stdout == "cat\n"
    make('[env]\nENV = "./setup.sh"\n')
    (root / "setup.sh").write_text("echo RAN\n")
    refused = user.run("enter", "-c", "true", cwd=root, check=False)
    assert refused.returncode == 1
    assert "ENV" in refused.stderr
    assert "devenv allow" in refused.stderr
    user.run("allow", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    user.run("deny", cwd=root)
    assert "denied" in user.run("enter", "-c", "true", cwd=root, check=False).stderr


def test_packages_come_with_the_users_word_and_the_shell_is_free_meanwhile(
    start: Start, user: User, registry: Registry, tmp_path: Path
) -> None:
    root = tmp_path / "web"
    npm_project(root, registry)
    (root / "devenv.toml").write_text('name = "web"\n[env]\nCOLOUR = "red"\n')
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    session = start()
    session.run(f"cd {root}")
    found = wait_for(session, tmp_path / "env", "COLOUR", "red")
    assert "node_modules" not in found["PATH"]
    assert not (root / "node_modules").exists()
    user.run("allow", cwd=root)
    session.run("true")
    assert f"{root}/node_modules/.bin" in session.environment(tmp_path / "env")["PATH"]
    shutil.rmtree(root / "node_modules")
    session.run("cd /")
    session.run(f"cd {root}")
    deadline = time.monotonic() + 20
    while not (root / "node_modules/pkg2/index.js").exists() and time.monotonic() < deadline:
        session.run("true")
        time.sleep(0.05)
    assert (root / "node_modules/pkg2/index.js").exists()


def test_a_broken_configuration_keeps_the_last_environment_and_says_why(
    start: Start, make: Callable[..., Path], tmp_path: Path
) -> None:
    root = make('[env]\nCOLOUR = "red"\n')
    session = start()
    session.run(f"cd {root}")
    wait_for(session, tmp_path / "env", "COLOUR", "red")
    (root / "devenv.toml").write_text("name = \n")
    session.run("true")
    shown = ""
    for _ in range(60):
        session.run("true")
        shown += str(session.child.before)
        if "stays" in shown:
            break
        time.sleep(0.1)
    assert "devenv.toml:1" in shown
    assert "the former environment stays" in shown
    assert session.environment(tmp_path / "env")["COLOUR"] == "red"


FORGERIES = {
    "a stamp": (".devenv/stamp", "devenv-stamp 1 {store}\nproject {root}\nspec {root}/.devenv/env\n"),
    "programs in the views": ("node_modules/.bin/ls", "#!/bin/sh\ntouch {root}/RAN\n"),
    "programs in Python's view": (".devenv/python/bin/ls", "#!/bin/sh\ntouch {root}/RAN\n"),
    "an npmrc": (".npmrc", "registry=http://evil.test/\n//evil.test/:_authToken=${HOME}\n"),
}


@pytest.mark.parametrize(("file", "text"), FORGERIES.values(), ids=FORGERIES)
def test_a_repository_cannot_pretend_to_be_allowed(
    start: Start, make: Callable[..., Path], tmp_path: Path, user: User, file: str, text: str
) -> None:
    root = make('[env]\nCOLOUR = "red"\n[packages]\npython = "3.11"\n')
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text.format(root=root, store=user.store_root / "store", HOME=""))
    (root / file).chmod(0o755)
    (root / ".devenv/env").mkdir(parents=True, exist_ok=True)
    for shell in SHELLS:
        (root / f".devenv/env/activate.{shell}").write_text(f"touch {root}/RAN\n")
    session = start()
    session.run(f"cd {root}")
    wait_for(session, tmp_path / "env", "COLOUR", "red")
    session.run("ls > /dev/null")
    assert str(root) not in session.environment(tmp_path / "env")["PATH"]
    assert not (root / "RAN").exists()
