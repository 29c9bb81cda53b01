"""Repositories that were never allowed, full of traps: no shell runs anything of theirs.

Each trap makes a file of its own name, `ran-...`. Places, values and files hold code in the words of several shells.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pexpect
import pytest

from devenv.config.lock import Lock
from devenv.config.lock_writing import dump_lock
from devenv.hook_index import read_entry
from devenv.state_home import hook_directory
from tests.shells.dialects import DIALECTS, renderer
from tests.shells.harness import read_dump
from tests.shells.prompt import HOOKS, ONLY_CD, Machine, Prompt
from tests.support.devenv import User, devenv_program
from tests.support.programs import program

FUTURE = 4102444800  # the year 2100
# Directories, one in another. A name cannot hold a slash.
COMPONENTS = (
    "$(touch ran-dollar)",
    "`touch ran-tick`",
    "';touch ran-quote;'",
    '";touch ran-double;"',
    "-n %s \\",
    "@(__import__('os').system('touch ran-python'))",
    "(touch ran-brackets) {a,b} * ~ !!",
    "ünï→",
)
VALUES = {
    "DOLLAR": "$(touch ran-value-dollar)",
    "TICK": "`touch ran-value-tick`",
    "QUOTE": "'; touch ran-value-quote; '",
    "DOUBLE": '"; touch ran-value-double; "',
    "TWO_LINES": "x\ntouch ran-value-lines\n",
    "PYTHON": "@(__import__('os').system('touch ran-value-python'))",
    "BRACKETS": "(touch ran-value-brackets)",
    "SUBSCRIPT": "a[$(touch ran-value-subscript)]",
    "BANG": "!!;!touch",
    "ESCAPE": "\x1b]0;evil\x07",
}
PROGRAMS = ("ls", "git", "cat", "uname", "hostname", "touch", "env", "printf", "sed")
TEMPLATE = """name = "evil"
[env]
SAFE = "1"
LD_PRELOAD = "${project}/evil.so"
ENV = "${project}/evil.sh"
ZDOTDIR = "${project}"
PYTHONPATH = "${project}"
PATH = { prepend = ["./bin", "bin", "."] }
{values}
[aliases]
ls = ["touch", "ran-alias-ls"]
cd = ["touch", "ran-alias-cd"]
[scripts]
git = "touch ran-script-git"
pwd = "touch ran-script-pwd"
[functions]
starship = "touch ran-function"
# What ends the function that it is put into is code for whoever reads it.
closing = { sh = "}\\ntouch ran-closing\\nnext() {", fish = "end\\ntouch ran-closing\\nfunction next" }
[completions]
ls = ["ran-completion"]
"""
# Of the template above, those that make programs run code.
RUNNING = ("LD_PRELOAD", "ENV", "ZDOTDIR", "PYTHONPATH", "PATH")
SUFFIXES = ("bash", "zsh", "fish", "sh", "xsh", "nu", "elvish", "tcsh", "ps1")
# These end, or cannot go there, where a directory's name is not UTF-8.
OF_TEXT = ("xonsh", "nu", "pwsh")
# How each shell goes where a variable says.
GO = {
    "fish": "cd $PLACE",
    "xonsh": "cd @($PLACE)",
    "nu": "cd $env.PLACE",
    "elvish": "cd $E:PLACE",
    "tcsh": "cd $PLACE:q",
}
GO["pwsh"] = "Set-Location -LiteralPath $env:PLACE"


def trap(place: Path, name: str, caught: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n/usr/bin/touch '{caught}/ran-{name}'\n")
    place.chmod(0o755)


def hostile(root: Path, caught: Path) -> Path:
    """A repository that brings all that devenv would make itself, with traps in it, and a lock that fits."""
    for name in PROGRAMS:
        for folder in ("bin", "node_modules/.bin", ".devenv/python/bin", "."):
            trap(root / folder / name, f"{folder.strip('.').replace('/', '-')}-{name}", caught)
    trap(root / "evil.sh", "evil-sh", caught)
    for rc in (".envrc", ".bashrc", ".zshrc", ".zshenv", ".profile", ".shrc", "sitecustomize.py"):
        trap(root / rc, rc.strip("."), caught)
    own = root / ".devenv/own"
    for suffix in SUFFIXES:
        trap(own / f"activate.{suffix}", f"activate-{suffix}", caught)
        trap(own / f"launch.{suffix}", f"launch-{suffix}", caught)
        trap(own / f"runtime.{suffix}", f"runtime-{suffix}", caught)
    (own / "id").write_text("$(touch ran-id)\n")
    (root / ".devenv/env").symlink_to("own")
    stamp = f"devenv-stamp 1 /store\nproject {root}\nspec {own}\n"
    (root / ".devenv/stamp").write_text(stamp, errors="surrogateescape")
    values = "\n".join(f"{name} = {json.dumps(value)}" for name, value in VALUES.items())
    (root / "devenv.toml").write_text(TEMPLATE.replace("{values}", values))
    (root / "devenv.lock").write_text(dump_lock(Lock()))
    return root


def linked(root: Path) -> None:
    """Everything is a symbolic link to somewhere else in the repository."""
    (root / "elsewhere").mkdir()
    for name in ("devenv.toml", "devenv.lock", ".devenv", "bin"):
        (root / name).rename(root / "elsewhere" / name)
        (root / name).symlink_to(f"elsewhere/{name}")


def of_the_future(root: Path) -> None:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.utime(Path(folder, name), (FUTURE, FUTURE), follow_symlinks=False)


def broken(root: Path) -> None:
    """What is wrong is said to the user, in words of the repository."""
    (root / "devenv.toml").write_text(
        "\"$(touch ran-key)`touch ran-tick`\\u001b]0;evil\\u0007'; touch ran-said; '%s\" = 1\n"
    )


def unlocked(root: Path) -> None:
    (root / "devenv.lock").unlink()


def calm(root: Path) -> None:
    """Nothing that would run in whatever is started: this may be entered without a question."""
    lines = (root / "devenv.toml").read_text().splitlines(keepends=True)
    (root / "devenv.toml").write_text("".join(line for line in lines if not line.startswith(RUNNING[:-1])))


KINDS: dict[str, Callable[[Path], None]] = {
    "plain": lambda root: None,
    "links": linked,
    "future": of_the_future,
    "broken": broken,
    "unlocked": unlocked,
    "calm": calm,
}
HOOKED = tuple(kind for kind in KINDS if kind != "calm")
ENTERED = ("plain", "links", "future", "bytes")


class Yard:
    """A user's home, and one hostile repository of each kind, in places whose names are traps."""

    def __init__(self, root: Path, components: Sequence[str] = COMPONENTS) -> None:
        self.machine = Machine(root / "machine")
        self.user = User(self.machine.home)
        self.machine.program.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{self.machine.log}'\nexec '{devenv_program()}' \"$@\"\n"
        )
        self.places = {}
        for kind, change in KINDS.items():
            place = root.joinpath(kind, *components)
            self.places[kind] = hostile(place, root)
            change(place)
        for kind, name in (("newline", "new\ntouch ran-name\n"), ("bytes", "\udcff`touch ran-byte`")):
            self.places[kind] = hostile(root.joinpath(kind, *components, name), root)
        self.root = root

    def sprung(self) -> list[str]:
        """The traps that did something."""
        found = [Path(folder, name) for folder, _, files in os.walk(self.root) for name in files]
        return [str(path) for path in found if re.fullmatch(r"ran-[\w-]+", path.name)]

    def known(self, place: Path) -> bool:
        """Whether the hook's index has an answer about the repository."""
        entry = read_entry(hook_directory(self.user.env), str(place.resolve()))
        return entry is not None and entry.state != "building"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    yield Yard(tmp_path_factory.mktemp("yard"))


@pytest.fixture(scope="module")
def slashed_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Of places where PowerShell can go, to which a backslash is a separator."""
    yield Yard(tmp_path_factory.mktemp("yard"), [name.replace("\\", "|") for name in COMPONENTS])


def visit(shell: str, yard: Yard, kind: str) -> tuple[dict[str, str], str]:
    """Go there, stay for some prompts, use a common command; the environment of a child and all that was shown."""
    place = yard.places[kind]
    prompt = Prompt(shell, yard.machine, PLACE=str(place))
    try:
        go = GO.get(shell, 'cd "$PLACE"')
        shown = prompt.run(go)
        deadline = time.monotonic() + 20
        while kind != "newline" and not yard.known(place) and time.monotonic() < deadline:
            time.sleep(0.05)
        for line in ("ls", go if shell in ONLY_CD else "true", "ls"):
            shown += prompt.run(line)
        return prompt.environ(), shown
    finally:
        prompt.close()


# xonsh takes half a second to start, and as long at each prompt.
@pytest.mark.parametrize(
    ("shell", "kind"),
    [
        (shell, kind)
        for shell in HOOKS
        for kind in (*HOOKED, "newline", "bytes")
        if (kind != "bytes" or shell not in OF_TEXT) and (shell != "xonsh" or kind in ("plain", "broken"))
    ],
)
def test_the_hook_runs_nothing_of_a_repository(shell: str, kind: str, request: pytest.FixtureRequest) -> None:
    yard: Yard = request.getfixturevalue("slashed_yard" if shell == "pwsh" else "yard")
    found, shown = visit(shell, yard, kind)
    assert yard.sprung() == []
    assert "\x1b]0;evil" not in shown
    place = str(yard.places[kind])
    assert not [name for name in RUNNING if place in found.get(name, "")]
    if kind in ENTERED:
        entry = read_entry(hook_directory(yard.user.env), str(yard.places[kind].resolve()))
        assert entry is not None
        assert entry.state == "waiting", entry.say
        assert {name: found.get(name) for name in ("SAFE", *VALUES)} == {"SAFE": "1", **VALUES}
    else:
        assert "SAFE" not in found


def test_the_traps_are_sharp(tmp_path: Path) -> None:
    """What is looked for would be found: a control for the tests above."""
    yard = Yard(tmp_path)
    place = yard.places["plain"]
    subprocess.run([place / "bin/ls"], check=True)
    subprocess.run(
        ["/bin/sh", "-c", f": {VALUES['DOLLAR']}; . .devenv/env/activate.sh"], cwd=place, check=True
    )
    assert {os.path.basename(path) for path in yard.sprung()} == {
        "ran-bin-ls",
        "ran-value-dollar",
        "ran-activate-sh",
    }


@pytest.mark.parametrize(("kind", "shown"), [("plain", b"LD_PRELOAD"), ("calm", b"programs in ./bin")])
def test_who_says_no_has_entered_nothing(kind: str, shown: bytes, yard: Yard) -> None:
    """Also where the environment is made, and current, because somebody ran a line in it."""
    if kind == "calm":
        yard.user.run("enter", "-c", "true", cwd=yard.places[kind])
    env = yard.user.env | {"SHELL": program("bash")}
    child = pexpect.spawn(devenv_program(), ["enter"], cwd=str(yard.places[kind]), env=env, timeout=60)
    child.expect_exact("Enter with that?")
    assert shown in (child.before or b"")
    child.sendline("n")
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, yard.sprung()) == (1, [])


def test_a_shell_is_asked_about_once(user: User, tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('name = "p"\n[scripts]\ngit = "echo mine"\n')
    user.run("lock", cwd=tmp_path)
    for answer in ("y", None):
        child = pexpect.spawn(
            devenv_program(),
            ["enter", "--shell", program("bash")],
            cwd=str(tmp_path),
            env=user.env,
            timeout=60,
        )
        if answer is not None:
            child.expect_exact("Enter with that?")
            child.sendline(answer)
        child.sendline("git; exit")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert b"mine\r\n" in (child.before or b"")
        assert (b"Enter with" in (child.before or b"")) is False


@pytest.mark.parametrize("kind", ["plain", "links", "newline"])
@pytest.mark.parametrize("words", [("enter", "-c", "true"), ("enter", "--", "true"), ("export", "sh")])
def test_without_a_terminal_nobody_says_yes(words: tuple[str, ...], kind: str, yard: Yard) -> None:
    done = yard.user.run(*words, cwd=yard.places[kind], check=False)
    assert (done.returncode, done.stdout, yard.sprung()) == (1, "", [])


@pytest.mark.parametrize("shell", [name for name in DIALECTS if name != "xonsh"])
def test_entering_runs_nothing_by_itself(shell: str, yard: Yard, tmp_path: Path) -> None:
    """Programs and aliases of the repository are there then, for who calls them."""
    file = renderer(shell).quote(str(tmp_path / "environ"))
    line = DIALECTS[shell].dump.format(env="/usr/bin/env", file=file)
    done = yard.user.run("enter", "--shell", program(shell), "-c", line, cwd=yard.places["calm"])
    assert yard.sprung() == [], done.stderr
    found = read_dump(tmp_path / "environ")
    assert {name: found.get(name) for name in VALUES} == VALUES
    assert f"{yard.places['calm']}/bin" in found["PATH"]


def test_a_stamp_that_comes_along_is_not_believed(user: User, tmp_path: Path) -> None:
    """What a repository gets into the store, as a package, is no environment because the repository says so."""
    root, store = tmp_path / "p", user.store_root / "store"
    (root / ".devenv").mkdir(parents=True)
    (root / "devenv.toml").write_text('name = "p"\n')
    (root / "devenv.lock").write_text(dump_lock(Lock()))
    forged = store / f"{'0' * 32}-p-env-spec"
    forged.mkdir(parents=True)
    trap(forged / "touch", "stamp", tmp_path)
    for mode in ("bash", "sh"):
        (forged / f"launch.{mode}").write_text(f"mode command\nargument -c\nargument {forged}/touch\n")
    (forged / "steps").write_text(f"set\tBASH_ENV\t\t{forged}/touch\n")
    (root / ".devenv/stamp").write_text(f"devenv-stamp 1 {store}\nproject {root}\nspec {forged}\n")
    (root / ".devenv/env").symlink_to(forged)
    for words in (("enter", "-c", "true"), ("enter", "--", "bash", "-c", "true"), ("export", "sh")):
        shown = user.run(*words, cwd=root).stdout
        assert "BASH_ENV" not in shown
        assert not (tmp_path / "ran-stamp").exists(), words


# What would clear a line, set a title, or turn the direction of writing.
SEQUENCES = "\x1b[2K\r  + harmless\x1b]0;title\x07\u202e\x9b2J"


def test_a_terminal_is_shown_nothing_that_it_would_obey(user: User, tmp_path: Path) -> None:
    root = tmp_path / f"p{SEQUENCES}"
    directory = root / "b\x1b[2Jin"
    directory.mkdir(parents=True)
    text = json.dumps(SEQUENCES)
    (root / "devenv.toml").write_text(
        f'name = "p"\n[env]\nGIT_SSH_COMMAND = {text}\nA = {text}\nPATH = {{ prepend = ["./b\\u001b[2Jin"] }}\n'
        f'[aliases]\nls = ["evil", {text}]\n[scripts]\nsay = {text}\n'
    )
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    (root / "devenv.toml").write_text((root / "devenv.toml").read_text().replace('"evil"', '"worse"'))
    said = b""
    for words in (
        "lock",
        "diff",
        "status",
        "env",
        "why GIT_SSH_COMMAND",
        "why ls",
        "why say",
        "allow",
        "allow --list",
        "deny",
        "nothing",
    ):
        done = user.run(*words.split(), cwd=root, check=False)
        said += (done.stdout + done.stderr).encode()
    (root / "devenv.toml").write_text('extends = "../nothing"\n')
    said += user.run("check", cwd=root, check=False).stderr.encode()
    assert b"worse" in said
    assert re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae", said) == []
