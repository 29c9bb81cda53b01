"""`devenv enter --build`: a shell where a phase failed, or in the build of any derivation."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from devenv.build_shell import ShellRequest, enter_recipe
from devenv.derivations.graph import Graph
from devenv.derivations.packages import write_node
from devenv.derivations.process import BuildOptions
from devenv.project import Project
from devenv.recipes.phases import Phase, order
from devenv.recipes.shell import phases_script
from devenv.sandbox.probe import Probe
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import remove
from devenv.workplace import Settings
from tests.derivations.site import Recorder
from tests.support.devenv import User, devenv_program
from tests.support.nix import Nix
from tests.support.programs import program

pytestmark = pytest.mark.usefixtures("sandboxes")


RECIPE = """
[build.tool]
host = true
phases.install = "mkdir -p $out/bin; printf '#!/bin/sh\\\\necho tool at work\\\\n' >$out/bin/tool; chmod +x $out/bin/tool"

[build.demo]
version = "2.0"
sources = ["input"]
inputs = ["tool"]
host = true
attributes = { greeting = "it's", list = ["a b", "c"], deep = { x = 1 } }
env = { MODE = "dev ${project} $HOME" }
[build.demo.phases]
build = "mkdir inner; cd inner; tr a-z A-Z <../input >made"
install = '''INSTALL'''
"""


@pytest.fixture
def root(root: Path) -> Path:
    (root / "input").write_text("hello\n")
    write(root, "test -e mended; cat made >$out")
    return root


def write(root: Path, install: str) -> None:
    (root / "devenv.toml").write_text(RECIPE.replace("INSTALL", install))


@contextmanager
def session(user: User, root: Path, *arguments: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        devenv_program(),
        ["enter", "--build", *arguments],
        cwd=str(root),
        env=user.env | {"PS1": "$ "},
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 200),
    )
    try:
        yield child
    finally:
        child.close(force=True)


def run_line(user: User, root: Path, line: str) -> list[str]:
    return user.run("enter", "--build", "demo", "-c", line, cwd=root).stdout.splitlines()


def test_a_failed_phase_is_entered_mended_and_gone_on_from(user: User, root: Path) -> None:
    assert user.run("build", "demo", cwd=root, check=False).returncode == 1
    with session(user, root, "demo") as child:
        child.expect_exact("demo-2.0 is as its phase install left it.")
        child.expect_exact("(demo-2.0)")
        child.sendline("pwd; cat made; phases")
        child.expect_exact("/build/source/inner")
        child.expect_exact("HELLO")
        child.expect(r"build +done\s+check +done\s+install +failed\s+fixup +not run")
        child.sendline("phase install; echo status $?")
        child.expect("status 1")
        child.sendline("touch mended; phase install && phases && cat $out")
        child.expect(r"install +done\s+fixup +not run")
        child.expect_exact("HELLO")
        child.sendline("exit 7")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 7
    # What was tried by hand stays for the next look, and is no part of what is built.
    assert run_line(user, root, "ls") == ["made", "mended"]
    write(root, "cat made made >$out")
    done = user.run("build", "-v", "demo", cwd=root)
    assert "goes on after the phase check" in done.stderr
    assert "phase: build" not in done.stderr
    assert Path(done.stdout.strip()).read_text() == "HELLO\nHELLO\n"


def test_a_closed_terminal_loses_nothing(user: User, root: Path) -> None:
    user.run("build", "demo", cwd=root, check=False)
    with session(user, root, "demo") as child:
        child.expect_exact("(demo-2.0)")
        child.sendline("touch by-hand; echo made it")
        child.expect_exact("\r\nmade it")
        child.close(force=False)
        child.wait() if child.isalive() else None
    assert "by-hand" in run_line(user, root, "ls")


def test_the_environment_is_that_of_the_phases(user: User, root: Path) -> None:
    user.run("build", "demo", cwd=root, check=False)
    lines = run_line(
        user,
        root,
        'printf "%s\\n" "$greeting" "$list" "${deep-none}" "$MODE" "$NIX_BUILD_TOP" "$HOME" "$LC_ALL"; '
        'tool; id -un; ls "$HOME" 2>&1 | head -n 1; grep -c greeting "$NIX_ATTRS_JSON_FILE"',
    )
    assert lines[:8] == [
        "it's",
        "'a b' c",
        "none",
        "dev ${project} $HOME",
        "/build",
        "/homeless-shelter",
        "C",
        "tool at work",
    ]
    assert lines[8] == "nixbld"
    assert "No such file" in lines[9]
    assert lines[10] == "1"


def test_a_program_and_its_status_are_passed_on(user: User, root: Path) -> None:
    done = user.run(
        "enter", "--build", "demo", "--", "sh", "-c", "echo $greeting; exit 5", cwd=root, check=False
    )
    assert (done.returncode, done.stdout) == (5, "it's\n")
    done = user.run("enter", "--build", "demo", "--", "tool", cwd=root)
    assert done.stdout == "tool at work\n"
    done = user.run("enter", "--build", "demo", "--", "nothing-like-this", cwd=root, check=False)
    assert (done.returncode, "no such program on the PATH" in done.stderr) == (1, True)
    done = user.run("enter", "--build", "demo", "--", "sh", "-c", "kill -9 $$", cwd=root, check=False)
    assert done.returncode == 128 + 9


def test_without_a_failure_it_begins_after_what_is_known(user: User, root: Path) -> None:
    done = user.run("enter", "--build", "demo", "-c", "pwd; phase unpack build; ls source", cwd=root)
    assert "demo-2.0 is before its first phase; what is changed here is not kept." in done.stderr
    assert done.stdout.splitlines() == ["/build", "phase: unpack", "phase: build", "inner", "input"]
    write(root, "cat made >$out")
    user.run("build", "demo", cwd=root)
    done = user.run("enter", "--build", "demo", "-c", "pwd; ls; phases | tail -n 2", cwd=root)
    assert "demo-2.0 is after its phase install" in done.stderr
    assert done.stdout.splitlines()[:2] == ["/build/source/inner", "made"]
    assert done.stdout.split()[-5:] == ["install", "done", "fixup", "not", "run"]


def test_what_an_older_recipe_left_is_not_taken_for_this_one(user: User, root: Path) -> None:
    user.run("build", "demo", cwd=root, check=False)
    (root / "input").write_text("other\n")
    done = user.run("enter", "--build", "demo", "-c", "pwd", cwd=root)
    assert "is of an older version of this recipe" in done.stderr
    assert done.stdout == "/build\n"
    (root / "input").write_text("hello\n")
    assert run_line(user, root, "pwd") == ["/build/source/inner"]


def test_two_failures_leave_the_later_one(user: User, root: Path) -> None:
    user.run("build", "demo", cwd=root, check=False)
    write(root, "touch second; exit 1")
    user.run("build", "demo", cwd=root, check=False)
    assert run_line(user, root, "ls") == ["made", "second"]
    write(root, "cat made >$out")
    user.run("build", "demo", cwd=root)
    assert "as its phase" not in user.run("enter", "--build", "demo", "-c", "true", cwd=root).stderr


def test_nothing_can_be_written_but_the_build(user: User, root: Path) -> None:
    line = 'for each in /usr /bin / "$input_tool" "$sources"; do touch "$each/x" 2>/dev/null && echo "$each"; done; echo end'
    assert run_line(user, root, line) == ["end"]


def test_a_shell_that_a_build_cannot_see_gives_way_to_bash(user: User, root: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "zsh"
    hidden.write_text("#!/bin/sh\necho never\n")
    hidden.chmod(0o755)
    done = user.run("enter", "--build", "demo", "-c", "echo $BASH", cwd=root, SHELL=str(hidden))
    assert f"A build cannot see {hidden}, so this is bash." in done.stderr
    assert done.stdout.strip().endswith("bash")
    done = user.run("enter", "--build", "demo", "--shell", str(hidden), "-c", "x", cwd=root, check=False)
    assert "a build cannot see it" in done.stderr


def test_without_namespaces_it_works_and_says_so(
    user: User, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    user.run("build", "demo", cwd=root, check=False)
    monkeypatch.setattr("devenv.sandbox.probe.probe", lambda: Probe(works=False, reason="nobody wants it"))
    reporter = Recorder()
    # The inputs are there, so nothing has to be built.
    project = Project(str(root), Settings(environ=user.env, reporter=reporter))
    line = "pwd; cat made; echo $NIX_BUILD_TOP; tool; touch here"
    status = enter_recipe(project, "demo", ShellRequest(line=line), BuildOptions())
    lines = capfd.readouterr().out.splitlines()
    assert status == 0
    assert lines[1] == "HELLO"
    assert lines[3] == "tool at work"
    assert lines[0] == lines[2] + "/source/inner"
    assert os.path.dirname(lines[2]).startswith(str(user.store_root))
    notices = [text for text in map(str, reporter.events) if "nobody wants it" in text]
    assert len(notices) == 1
    assert "here" in run_line_unpatched(user, root, monkeypatch)


def run_line_unpatched(user: User, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.undo()
    return run_line(user, root, "ls")


MISTAKES = {
    "no recipe": (("--build", "dmeo"), "there is no recipe dmeo"),
    "line and program": (("--build", "demo", "-c", "x", "--", "y"), "both -c LINE and -- PROG"),
    "directory": (("--build", "demo", "web"), "both --build and the directory web"),
    "no derivation": (("--build", "./x.drv"), "x.drv"),
}


@pytest.mark.parametrize(("arguments", "what"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_explained(user: User, root: Path, arguments: tuple[str, ...], what: str) -> None:
    done = user.run("enter", *arguments, cwd=root, check=False)
    assert done.returncode == 1
    assert what in done.stderr


def test_an_input_that_cannot_be_built_is_the_reason_that_is_given(user: User, root: Path) -> None:
    text = (root / "devenv.toml").read_text()
    (root / "devenv.toml").write_text(text.replace("mkdir -p $out/bin", "exit 1"))
    done = user.run("enter", "--build", "demo", "-c", "echo never", cwd=root, check=False)
    assert done.returncode == 1
    assert "cannot build tool (phase install)" in done.stderr
    assert done.stdout == ""


# What `phases` says


@pytest.mark.parametrize(
    ("log", "states"),
    [
        ("", ["not run"] * 3),
        ("began a\nended a\nbegan b\n", ["done", "failed", "not run"]),
        ("began a\nended a\nbegan b\nended b\nbegan c\nended c\n", ["done"] * 3),
        (
            "began a\nended a\nbegan b\nended b\nbegan c\nended c\nbegan b\nended b\n",
            ["done", "done", "not run"],
        ),
        ("began c\nbegan a\n", ["failed", "not run", "not run"]),
        ("ab\n\nbegan\nbegan zz\n", ["not run"] * 3),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_states_are_read_from_the_record(tmp_path: Path, shell: str, log: str, states: list[str]) -> None:
    (tmp_path / ".phases").write_text(log)
    text = "set -e\n" + phases_script([Phase(name, "") for name in "abc"])
    done = subprocess.run(
        [program(shell), "-c", text],
        env={"NIX_BUILD_TOP": str(tmp_path), "PATH": "/path-not-set"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()] == [
        [name, state] for name, state in zip("abc", states, strict=True)
    ]


def test_one_phase_whose_name_ends_like_another_is_told_apart(tmp_path: Path) -> None:
    phases = order({})
    (tmp_path / ".phases").write_text(
        "began unpack\nended unpack\nbegan patch\nended patch\nbegan install\nended install\n"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", phases_script(phases)],
        env={"NIX_BUILD_TOP": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith("done")] == [
        "unpack",
        "patch",
        "install",
    ]


# Derivations that others wrote


def instantiate(nix: Nix, place: Path, text: str) -> str:
    file = place / "expression.nix"
    file.write_text(text)
    return nix.run("nix-instantiate", str(file)).stdout.strip()


@pytest.fixture
def nix(user: User, root: Path, tmp_path: Path) -> Nix:
    program("nix-instantiate")
    user.run("store", "add", str(root / "input"), cwd=root)
    return Nix(Layout(os.path.realpath(user.store_root)), tmp_path)


def test_the_build_of_a_derivation_that_nix_wrote_is_entered(user: User, root: Path, nix: Nix) -> None:
    drv = instantiate(
        nix,
        root,
        'derivation { name = "plain"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "true" ]; '
        'greeting = "it\'s ${builtins.toFile "x" "hi"}"; "odd-name" = "1"; }',
    )
    done = user.run(
        "enter",
        "--build",
        drv,
        "-c",
        'pwd; ls -A; echo "$greeting"; cat ${greeting#* }; echo x >$out; cat $out',
        cwd=root,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "/build"
    assert lines[1].startswith("it's /")
    assert lines[2] == "hix"


STDENV = """
let
  setup = builtins.toFile "setup" ''
    export PATH=/usr/bin:/bin
    genericBuild() { echo "builds $name in $PWD"; }
  '';
  system = builtins.currentSystem;
  stdenv = derivation {
    name = "stdenv"; inherit system; builder = "/bin/sh";
    args = [ "-c" "/bin/mkdir $out; /bin/cp ${setup} $out/setup" ];
  };
in derivation { name = "demo"; inherit system stdenv; builder = "/bin/bash"; args = [ "-e" ]; }
"""


def test_nixpkgs_phases_are_functions(user: User, root: Path, nix: Nix) -> None:
    drv = instantiate(nix, root, STDENV)
    shown = [f"--sandbox-path={path}?" for path in ("/bin", "/lib", "/lib64", "/usr")]
    done = user.run("enter", "--build", drv, *shown, "-c", "genericBuild", cwd=root)
    assert done.stdout == "builds demo in /build\n"
    with session(user, root, drv, *shown) as child:
        child.expect_exact("(build)")
        child.sendline("genericBuild; exit 3")
        child.expect_exact("builds demo in /build")
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 3


def test_what_devenv_builds_by_itself_has_no_environment(user: User, root: Path) -> None:
    with Store.open(Layout(os.path.realpath(user.store_root))) as store:
        node = write_node(Graph(store.store_dir), "files", {"a": "b"})
        store.add_texts([(node.path, node.aterm, ())])
    done = user.run("enter", "--build", node.path, "-c", "true", cwd=root, check=False)
    assert "builtin:devenv-write is part of devenv or Nix" in done.stderr


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A directory that Nix's sandbox does not hide: not in /tmp."""
    place = tempfile.mkdtemp(prefix="devenv-test-", dir="/var/tmp")
    yield Path(os.path.realpath(place))
    remove(place)


def test_real_nix_builds_a_recipe_to_the_same_bytes(
    user: User, root: Path, tmp_path: Path, elsewhere: Path
) -> None:
    """The derivation of a recipe is one like any other."""
    write(root, "mkdir $out; cp made $out/; echo $out $NIX_BUILD_TOP >$out/where; ln -s $out/made $out/link")
    user.env["DEVENV_STORE_DIR"] = str(elsewhere / "store")
    out = user.run("build", "demo", cwd=root).stdout.strip()
    assert Path(out, "where").read_text() == f"{out} /build\n"
    nix = Nix(Layout(str(elsewhere)), tmp_path)
    drv = nix.store("-q", "--deriver", out)
    options = {
        "sandbox": "true",
        "sandbox-paths": "/bin /lib /lib64? /usr",
        "allowed-impure-host-deps": "/bin /lib /lib64 /usr /etc/alternatives",
    }
    flags = [word for name, value in options.items() for word in ("--option", name, value)]
    for _ in range(5):  # without root, Nix 2.8 now and then kills a build as short as this
        done = nix.run("nix-store", *flags, "--realise", drv, "--check", check=False)
        if "failed due to signal 9" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
