"""`enter_command`: what is executed is the user's shell, their line or their program, in the environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pexpect
import pytest

from devenv.env.enter import EnterError, enter_command
from devenv.env.spec import Default, Operation, Prepend, Set, Spec, Unset
from tests.shells.dialects import DIALECTS, can_hold, command_word
from tests.shells.harness import NAMES, base_environ, expected, read_dump, write_object
from tests.shells.nasty import NASTY
from tests.support.programs import program

ORIGIN = "a test"
LINES = [text for name, text in NASTY.items() if name not in ("long", "empty")]


def demo_spec() -> Spec:
    variables: dict[str, tuple[Operation, ...]] = {
        f"V_{index}": (Set(value=value, origin=ORIGIN),)
        for index, value in enumerate(NASTY.values())
        if all(can_hold(shell, value) for shell in ("nu", "tcsh", "pwsh") if shell in NAMES)
    }
    variables["PATH"] = (Prepend(entries=("./bin", "/ours"), origin=ORIGIN),)
    variables["EDITOR"] = (Default(value="vi", origin=ORIGIN),)
    variables["AWAY"] = (Unset(origin=ORIGIN),)
    return Spec(
        name="demo",
        variables=variables,
        aliases={"greet": ("printf", "%s-%s\\n", "it's", "$x")},
        scripts={"show-place": 'echo "$DEVENV_PROJECT $PWD"\nfalse\necho not reached'},
    )


# Shells that export variables of their own.
ADDING = ("xonsh", "nu", "tcsh")


class Setting:
    """A home, a project and a spec object."""

    def __init__(self, root: Path) -> None:
        self.home, self.project = root / "home", root / "a project"
        for folder in (self.home / ".config/fish", self.project / "sub"):
            folder.mkdir(parents=True)
        self.spec = demo_spec()
        self.place = write_object(self.spec, root / "store" / "x-demo-env-spec")
        tools = os.path.dirname(program("env"))
        self.environ = base_environ(self.home, AWAY="here", MINE="mine") | {"PATH": f"{tools}:/usr/bin:/bin"}

    def run(
        self,
        shell: str | None,
        *,
        line: str | None = None,
        argv: list[str] | None = None,
        pure: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        arguments, variables = enter_command(
            shell=program(shell) if shell else None,
            spec=str(self.place),
            project=str(self.project),
            environ={**self.environ, **(more or {})},
            line=line,
            argv=argv,
            pure=pure,
        )
        return subprocess.run(
            arguments,
            env=variables,
            cwd=self.project / "sub",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )

    def expected(self, environ: dict[str, str], shell: str = "bash") -> dict[str, str]:
        if shell not in ADDING:
            return expected(shell, self.spec, environ, project=self.project, place=self.place)
        # What the shell hands on without us is where it begins.
        plain = [program(shell), *DIALECTS[shell].plain, "-c", "/usr/bin/env -0"]
        done = subprocess.run(plain, env=environ, capture_output=True, check=True)
        outside = parse(done.stdout, self.home)
        return expected(shell, self.spec, outside, project=self.project, place=self.place)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def parse(dump: bytes, folder: Path) -> dict[str, str]:
    (folder / "dump").write_bytes(dump)
    return read_dump(folder / "dump")


@pytest.mark.parametrize("shell", NAMES)
def test_a_line_sees_the_environment_and_nothing_else_of_ours(
    shell: str, setting: Setting, tmp_path: Path
) -> None:
    done = setting.run(shell, line="/usr/bin/env -0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert parse(done.stdout, tmp_path) == setting.expected(setting.environ, shell)


def test_a_program_sees_the_environment_without_a_shell(setting: Setting, tmp_path: Path) -> None:
    done = setting.run(None, argv=["/usr/bin/env", "-0"])
    assert parse(done.stdout, tmp_path) == setting.expected(setting.environ)


@pytest.mark.parametrize("shell", [*NAMES, None])
def test_pure_keeps_the_session_and_drops_the_rest(
    shell: str | None, setting: Setting, tmp_path: Path
) -> None:
    for name in (".bashrc", ".zshrc", ".zshenv"):
        (setting.home / name).write_text("export FROM_RC=1\n")
    (setting.home / ".config/fish/config.fish").write_text("set -gx FROM_RC 1\n")
    more = {"LC_TIME": "C", "EDITOR": "emacs", "http_proxy": "http://proxy.test:1", "SSH_AUTH_SOCK": "/x"}
    done = setting.run(
        shell,
        line="/usr/bin/env -0" if shell else None,
        argv=None if shell else ["/usr/bin/env", "-0"],
        pure=True,
        more=more,
    )
    found = parse(done.stdout, tmp_path)
    kept = base_environ(setting.home) | more
    del kept["EDITOR"]
    pure = kept | {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    assert found == setting.expected(pure, shell or "bash")


@pytest.mark.parametrize("shell", NAMES)
def test_aliases_scripts_and_status(shell: str, setting: Setting) -> None:
    assert setting.run(shell, line="greet").stdout == b"it's-$x\n"
    done = setting.run(shell, line="show-place")
    assert done.stdout.decode() == f"{setting.project} {setting.project}/sub\n"
    failed = 2 if shell == "elvish" else 1  # elvish has exceptions, and one status for them all
    assert done.returncode == failed, "a script ends at its first failure"
    assert setting.run(shell, line="exit 7").returncode == 7
    assert setting.run(shell, line="/bin/false").returncode == failed
    if shell == "elvish":
        return  # it handles the signal, and goes on
    line = f"/bin/kill -TERM {OWN_ID.get(shell, '$$')}"
    assert setting.run(shell, line=line).returncode in (-15, 15, 128 + 15), "some tell it by their status"


LOOPS = {
    "fish": "for i in 1 2\n echo $i\nend",
    "xonsh": "for i in 1, 2:\n    print(i)",
    "nu": "for i in [1 2] {\n print $i\n}",
    "tcsh": "echo 1\necho 2",  # it has no loops in such lines
    "elvish": "for i [1 2] {\n echo $i\n}",
    "pwsh": "foreach ($i in 1, 2) {\n $i\n}",
}
OWN_ID = {"fish": "$fish_pid", "nu": "$nu.pid", "xonsh": "@(__import__('os').getpid())", "pwsh": "$PID"}


@pytest.mark.parametrize("shell", NAMES)
def test_a_line_is_the_shells_own_language_and_reaches_it_whole(shell: str, setting: Setting) -> None:
    lines = [text for text in LINES if can_hold(shell, text)]
    if shell == "pwsh":  # before 7.3 it did not hand these to programs as they are
        lines = [text for text in lines if '"' not in text and not text.endswith("\\")]
    words = " ".join(command_word(shell, text) for text in lines)
    done = setting.run(shell, line=f"/usr/bin/printf '%s\\0' {words}")
    assert [part.decode("utf-8", "surrogateescape") for part in done.stdout.split(b"\0")[:-1]] == lines
    assert (
        setting.run(shell, line=LOOPS.get(shell, "for i in 1 2\ndo echo $i\ndone # comment")).stdout
        == b"1\n2\n"
    )
    done = setting.run(shell, line="if then fi (")
    assert done.stderr
    assert done.returncode != 0 or shell == "fish", "fish itself ends with 0"


@pytest.mark.parametrize("shell", NAMES)
def test_entering_from_inside_another_environment(shell: str, setting: Setting, tmp_path: Path) -> None:
    once = setting.expected(setting.environ, shell)
    done = setting.run(shell, line="/usr/bin/env -0", more=once)
    assert parse(done.stdout, tmp_path) == setting.expected(once, shell)


def test_a_login_shell_that_is_not_known_is_answered_by_bash(
    setting: Setting, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments, _ = enter_command(
        shell=None,
        spec=str(setting.place),
        project=str(setting.project),
        environ=setting.environ | {"SHELL": "/usr/bin/oil"},
    )
    assert os.path.basename(arguments[0]) == "bash"
    assert capfd.readouterr().err == "devenv: oil is not supported yet, so this is bash\n"


def test_the_login_shell_is_taken_where_it_lies(setting: Setting, tmp_path: Path) -> None:
    shell = tmp_path / "opt" / "bash"
    shell.parent.mkdir()
    shell.symlink_to(program("bash"))
    for asked in (None, "bash"):
        arguments, _ = enter_command(
            shell=asked,
            spec=str(setting.place),
            project=str(setting.project),
            environ=setting.environ | {"SHELL": str(shell)},
        )
        assert arguments[0] == str(shell)


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("oil", "this environment has files for bash, elvish, fish, nu, pwsh, sh, tcsh, xonsh, zsh"),
        ("/nowhere/zsh", "there is no program /nowhere/zsh"),
    ],
)
def test_a_shell_that_is_not_there_is_an_error(shell: str, expected: str, setting: Setting) -> None:
    with pytest.raises(EnterError, match=re.escape(expected)) as caught:
        setting_command(setting, shell)
    assert caught.value.hint


def setting_command(setting: Setting, shell: str) -> tuple[list[str], dict[str, str]]:
    return enter_command(
        shell=shell, spec=str(setting.place), project=str(setting.project), environ=setting.environ
    )


@pytest.mark.parametrize("name", ["launch.bash", "steps"])
@pytest.mark.parametrize(
    "damage", [b"nonsense\n", b"mode\tx\n", b"\xff\xfe", None], ids=["text", "line", "bytes", "gone"]
)
def test_a_damaged_object_is_an_error(name: str, damage: bytes | None, setting: Setting) -> None:
    file = setting.place / name
    file.unlink()
    if damage is not None:
        file.write_bytes(damage + b"\n")
    with pytest.raises(EnterError):
        enter_command(
            shell="bash",
            spec=str(setting.place),
            project=str(setting.project),
            environ=setting.environ,
            argv=["true"] if name == "steps" else None,
        )


def test_entering_imports_little() -> None:
    code = (
        "import sys, devenv.env.enter, devenv.env.launch, devenv.env.apply;"
        "print(*sorted(set(sys.modules) & {'re', 'json', 'typing', 'dataclasses', 'subprocess', 'pathlib', 'enum'}))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [], done.stderr


class Terminal:
    """An interactive shell entered by `enter_command`, typed at."""

    def __init__(self, setting: Setting, shell: str, **more: str) -> None:
        arguments, variables = enter_command(
            shell=program(shell),
            spec=str(setting.place),
            project=str(setting.project),
            environ=setting.environ | {"TERM": "dumb"} | more,
        )
        self.folder = setting.home
        self.count = 0
        self.child = pexpect.spawn(
            arguments[0],
            arguments[1:],
            env=variables,
            cwd=str(setting.project),
            encoding="utf-8",
            timeout=30,
            dimensions=(40, 200),
        )
        self.run("true")

    def run(self, line: str) -> str:
        """Type a line; what the terminal shows until the shell has run it."""
        self.count += 1
        self.child.sendline(f"{line}; printf '%s%s\\n' MARK{self.count} DONE")
        self.child.expect_exact(f"MARK{self.count}DONE")
        shown: str = self.child.before or ""
        return shown

    def environment(self) -> dict[str, str]:
        file = self.folder / f"dump{self.count}"
        self.run(f"/usr/bin/env -0 > '{file}'")
        return read_dump(file)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.child.close(force=True)


def rc_files(home: Path) -> None:
    """The user's own files: they set a prompt, a variable and PATH, and say that they were read."""
    text = "export FROM_RC=yes PATH=/rc:$PATH\nPS1='rc> '\n"
    (home / ".bashrc").write_text(text)
    (home / ".zshrc").write_text(text + 'export SEEN_ZDOTDIR="${ZDOTDIR-none}"\nsetopt no_zle\n')
    (home / ".zshenv").write_text("export FROM_ZSHENV=yes\n")
    for name in (".kshrc", ".mkshrc", "env.sh"):
        (home / name).write_text(text)
    (home / ".config/fish/config.fish").write_text(
        "set -gx FROM_RC yes\nset -gx PATH /rc $PATH\nfunction fish_prompt; echo 'rc> '; end\n"
    )


@pytest.mark.parametrize(
    "shell", [name for name in NAMES if name not in ("xonsh", "nu", "elvish", "tcsh", "pwsh")]
)
def test_interactive_the_users_files_come_first(
    shell: str, setting: Setting, terminals: list[Terminal]
) -> None:
    rc_files(setting.home)
    more = {"ENV": "$HOME/env.sh"} if shell in ("dash", "ash") else {}
    terminal = Terminal(setting, shell, **more)
    terminals.append(terminal)
    inside = terminal.environment()
    assert inside.get("ENV") == more.get("ENV")
    assert inside["FROM_RC"] == "yes"
    assert inside["PATH"].startswith(f"{setting.place}/bin:{setting.project}/bin:/ours:/rc:")
    wanted = setting.expected(inside | {"AWAY": "x"})
    assert {name: value for name, value in inside.items() if name.startswith("V_")} == {
        name: value for name, value in wanted.items() if name.startswith("V_")
    }
    assert not [name for name in inside if name.startswith("__devenv")]
    assert "AWAY" not in inside
    assert "it's-$x" in terminal.run("greet")
    terminal.child.expect_exact("(demo) rc> ")
    terminal.run("devenv_leave")
    terminal.child.expect_exact("rc> ")
    assert not (terminal.child.before or "").strip().endswith("(demo)")
    after = terminal.environment()
    assert after["PATH"] == "/rc:" + setting.environ["PATH"]
    assert after["AWAY"] == "here"
    assert "DEVENV_PROJECT" not in after


def test_zsh_reads_the_files_of_the_users_own_directory(setting: Setting, terminals: list[Terminal]) -> None:
    own = setting.home / "zdot"
    own.mkdir()
    (own / ".zshenv").write_text("export FROM_ZSHENV=own\n")
    (own / ".zshrc").write_text(
        "export FROM_ZSHRC=own SEEN_ZDOTDIR=$ZDOTDIR\nHISTFILE=${ZDOTDIR:-$HOME}/.history\nsetopt no_zle\n"
    )
    terminal = Terminal(setting, "zsh", ZDOTDIR=str(own))
    terminals.append(terminal)
    inside = terminal.environment()
    assert (inside["FROM_ZSHENV"], inside["FROM_ZSHRC"]) == ("own", "own")
    assert (inside["SEEN_ZDOTDIR"], inside["ZDOTDIR"]) == (str(own), str(own))
    assert f"{own}/.history" in terminal.run("echo $HISTFILE")


def test_zsh_that_sets_its_directory_in_zshenv(setting: Setting, terminals: list[Terminal]) -> None:
    own = setting.home / "zdot"
    own.mkdir()
    (setting.home / ".zshenv").write_text(f"export ZDOTDIR={own}\n")
    (own / ".zshrc").write_text("export FROM_ZSHRC=own\nsetopt no_zle\n")
    terminal = Terminal(setting, "zsh")
    terminals.append(terminal)
    inside = terminal.environment()
    assert (inside["FROM_ZSHRC"], inside["ZDOTDIR"]) == ("own", str(own))
    assert inside["PATH"].startswith(f"{setting.place}/bin:")


def test_zsh_without_a_directory_of_its_own_has_none_inside(
    setting: Setting, terminals: list[Terminal]
) -> None:
    rc_files(setting.home)
    terminal = Terminal(setting, "zsh")
    terminals.append(terminal)
    inside = terminal.environment()
    assert (inside["SEEN_ZDOTDIR"], inside["FROM_ZSHENV"]) == ("none", "yes")
    assert "ZDOTDIR" not in inside


def test_the_prompt_is_left_alone_when_asked(setting: Setting, terminals: list[Terminal]) -> None:
    rc_files(setting.home)
    terminal = Terminal(setting, "bash", DEVENV_NO_PROMPT="1")
    terminals.append(terminal)
    terminal.run("true")
    terminal.child.expect_exact("rc> ")
    assert "(demo)" not in (terminal.child.before or "")


def test_bash_keeps_its_history(setting: Setting, terminals: list[Terminal]) -> None:
    (setting.home / ".bash_history").write_text("echo from-history\n")
    terminal = Terminal(setting, "bash")
    terminals.append(terminal)
    assert "from-history" in terminal.run("history")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_status_of_the_last_command_shows_in_the_prompt(
    shell: str, setting: Setting, terminals: list[Terminal]
) -> None:
    rc_files(setting.home)
    (setting.home / ".bashrc").write_text("PS1='[$?]> '\n")
    (setting.home / ".zshrc").write_text("PS1='[%?]> '\nsetopt no_zle\n")
    (setting.home / ".config/fish/config.fish").write_text('function fish_prompt; echo "[$status]> "; end\n')
    terminal = Terminal(setting, shell)
    terminals.append(terminal)
    terminal.child.sendline("sh -c 'exit 3'")
    terminal.child.expect_exact("(demo) [3]> ")


def test_json_of_the_spec_is_beside_it(setting: Setting) -> None:
    assert json.loads((setting.place / "env.json").read_text())["name"] == "demo"
