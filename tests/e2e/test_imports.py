"""Development shells of real Nix as environments of ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.config.toml import parse_config
from devenv.errors import DevenvError
from devenv.importing import declared, read
from devenv.store.layout import Layout
from tests.support.devenv import User
from tests.support.nix import nix_environment
from tests.support.programs import program

NASTY = "line one\nit's \"quoted\" $HOME `id` \\ ünï→ '''"
EXPRESSION = """
derivation {
  name = "shell"; system = builtins.currentSystem; builder = "/bin/bash"; args = [ "-c" "true" ];
  NASTY = %s; EMPTY = ""; PLAIN = "x"; shellHook = "echo hooked";
  stdenv = "%s"; outputs = [ "out" ];
}
"""
SETUP = 'export PATH=/tool/bin:/other/bin:/usr/bin:/bin\nexport XDG_DATA_DIRS=/tool/share\nhelper() { echo "$1"; }\n'


def nix_text(value: str) -> str:
    return (
        '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${").replace("\n", "\\n") + '"'
    )


@pytest.fixture
def printed(user: User, tmp_path: Path) -> str:
    """What nix says of a shell whose stdenv has tools, data and a function."""
    env = nix_environment(Layout.find(None, user.env), tmp_path)
    stdenv = tmp_path / "stdenv"
    stdenv.mkdir()
    (stdenv / "setup").write_text(SETUP)
    nix_file = tmp_path / "shell.nix"
    nix_file.write_text(EXPRESSION % (nix_text(NASTY), stdenv))

    def run(*command: str) -> str:
        done = subprocess.run(
            [program(command[0]), *command[1:]],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    drv = run("nix-instantiate", str(nix_file)).strip()
    return run("nix", "print-dev-env", "--json", drv)


def test_a_shell_of_nix_is_entered_from_any_shell(user: User, tmp_path: Path, printed: str) -> None:
    root = tmp_path / "flake"
    root.mkdir()
    (tmp_path / "shell.json").write_text(printed)
    done = user.run("import", str(tmp_path / "shell.json"), cwd=root)
    assert "functions of bash, helper among them" in done.stderr
    assert "left out shellHook" in done.stderr
    (root / "devenv.toml").unlink()
    user.run("import", str(tmp_path / "shell.json"), "--function", "helper", cwd=root)
    user.run("lock", cwd=root)
    user.run("allow", "--yes", cwd=root)
    assert user.run("enter", "--shell", program("bash"), "-c", "helper there", cwd=root).stdout == "there\n"
    for shell in ("bash", "zsh", "fish"):
        line = 'printf "%s\\0" "$NASTY" "$EMPTY" "$PLAIN" "$XDG_DATA_DIRS" "$PATH"'
        found = user.run("enter", "--shell", program(shell), "-c", line, cwd=root).stdout.split("\0")
        assert found[:3] == [NASTY, "", "x"]
        assert found[3].startswith("/tool/share")
        assert found[4].startswith("/tool/bin:/other/bin:/usr/bin:")
        assert (
            "homeless"
            not in user.run("enter", "--shell", program(shell), "-c", "echo $HOME", cwd=root).stdout
        )


FLAKE = """{
  outputs = { self }: {
    devShells.%s.default = derivation {
      name = "shell"; system = "%s"; builder = "/bin/bash"; args = [ "-c" "true" ];
      NASTY = %s; EMPTY = ""; PLAIN = "x"; stdenv = ./stdenv; outputs = [ "out" ];
    };
  };
}
"""


def test_the_shell_of_a_flake_becomes_a_spec_and_passes_back_through_nix(user: User, tmp_path: Path) -> None:
    """flake -> nix print-dev-env -> our environment -> nix print-dev-env and nix develop -> our environment again."""
    env = nix_environment(Layout.find(None, user.env), tmp_path)
    env["NIX_CONFIG"] = (
        f"{env.get('NIX_CONFIG', '')}\nexperimental-features = nix-command flakes\nflake-registry ="
    )
    flake, first, second = (tmp_path / name for name in ("flake", "first", "second"))
    (flake / "stdenv").mkdir(parents=True)
    (flake / "stdenv/setup").write_text(SETUP)
    system = f"{os.uname().machine}-linux"
    (flake / "flake.nix").write_text(FLAKE % (system, system, nix_text(NASTY)))

    def nix(*words: str) -> bytes:
        command = [program("nix"), *words]
        done = subprocess.run(command, env=env, cwd=flake, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def adopt(root: Path, printed: bytes) -> str:
        root.mkdir()
        (root / "shell.json").write_bytes(printed)
        user.run("import", "shell.json", "--name", "shell", cwd=root)
        user.run("lock", cwd=root)
        user.run("enter", "-c", "true", cwd=root)
        return str((root / ".devenv/shell.drv").readlink())

    drv = adopt(first, nix("print-dev-env", "--json", f"path:{flake}"))
    again = nix("print-dev-env", "--json", drv)
    ours = {"NASTY": NASTY, "EMPTY": "", "PLAIN": "x", "DEVENV_PROJECT": str(first)}
    variables = json.loads(again)["variables"]
    assert {name: variables[name] for name in ours} == {
        name: {"type": "exported", "value": value} for name, value in ours.items()
    }
    inside = nix("develop", drv, "--command", "/usr/bin/env", "-0").decode().split("\0")
    found = dict(line.split("=", 1) for line in inside if line)
    assert {name: found[name] for name in ours} == ours
    assert found["PATH"].startswith("/tool/bin:/other/bin:")
    adopt(second, again)
    specs = [json.loads((root / ".devenv/env/env.json").read_text()) for root in (first, second)]
    for name in ("NASTY", "EMPTY", "PLAIN"):
        assert specs[1]["variables"][name][0]["value"] == specs[0]["variables"][name][0]["value"]


def test_an_existing_file_is_not_written_over(user: User, tmp_path: Path) -> None:
    (tmp_path / "shell.json").write_text('{"variables": {}}')
    (tmp_path / "devenv.toml").write_text("mine")
    done = user.run("import", "shell.json", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "writing devenv.toml: File exists" in done.stderr
    assert (tmp_path / "devenv.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("[]", "no object `variables`"),
        ('{"variables": []}', "no object `variables`"),
        ('{"variables": {"A": 1}}', "'A' is no object"),
        ('{"variables": {"A": {"type": "exported", "value": [1]}}}', "has no text"),
        ('{"variables": {}, "bashFunctions": []}', "is no object"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_other_texts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(DevenvError, match=problem):
        read(text)


@settings(deadline=None)  # the first example imports the parser
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text()))
def test_what_is_declared_is_a_configuration_with_the_same_values(values: dict[str, str]) -> None:
    from devenv.config.toml import parse_config
    from devenv.env.spec import Set

    document = {"variables": {name: {"type": "exported", "value": value} for name, value in values.items()}}
    imported = read(json.dumps(document))
    config = parse_config(declared(imported, "x"), "devenv.toml")
    found = {
        name: operation.value for name, (operation, *_) in config.env.items() if isinstance(operation, Set)
    }
    assert found == dict(imported.values)


def shell_with(**functions: object) -> str:
    return json.dumps({"variables": {}, "bashFunctions": functions})


def test_functions_that_are_asked_for_are_declared_as_they_are() -> None:
    body = "    echo 'a''' \"\\$x\" \\\n\tback\\slash\n"
    functions = {"helper": body, "a-b": "x", "cd": "x", "empty": " ", "other": 3, "_phase": ":"}
    imported = read(shell_with(**functions), ["*"])
    assert parse_config(declared(imported, "p"), "devenv.toml").functions == {
        "helper": {"bash": body},
        "_phase": {"bash": ":"},
    }
    assert [line.partition(":")[0] for line in imported.left_out] == [
        f"function {name}" for name in ("a-b", "cd", "empty", "other")
    ]
    assert read(shell_with(**functions)).functions == {}
    with pytest.raises(DevenvError, match="nothing"):
        read(shell_with(**functions), ["nothing"])
