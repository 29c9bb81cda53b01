"""Environments that a project had: listed, compared, gone back to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.projects import npm_project
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at

Make = Callable[..., Path]


@pytest.fixture
def make(user: User, tmp_path: Path, registry: Registry) -> Make:
    """Give the project so many npm packages and a colour, and enter it once."""
    point_clients_at(registry, user.home)

    def project(count: int, colour: str, enter: bool = True) -> Path:
        root = tmp_path / "p"
        npm_project(root, registry, count)
        (root / "devenv.toml").write_text(f'name = "p"\n[env]\nCOLOUR = "{colour}"\n')
        user.run("lock", cwd=root)
        if enter:
            user.run("enter", "-c", "true", cwd=root)
        return root

    return project


def inside(user: User, root: Path) -> tuple[str, list[str]]:
    done = user.run("enter", "-c", "echo $COLOUR; ls node_modules", cwd=root)
    colour, *packages = done.stdout.split()
    return colour, packages


def test_going_back_brings_packages_and_variables_until_the_files_change(user: User, make: Make) -> None:
    make(2, "red")
    root = make(3, "green")
    listed = json.loads(user.run("generations", "--json", cwd=root).stdout)
    assert [(each["number"], each["current"]) for each in listed] == [(1, False), (2, True)]
    done = user.run("rollback", "--offline", cwd=root)
    assert "environment 1 again" in done.stderr
    assert inside(user, root) == ("red", ["pkg0", "pkg1"])
    assert "* " in user.run("generations", cwd=root).stdout.splitlines()[0]
    assert 'COLOUR = "green"' in (root / "devenv.toml").read_text(), "the files are left alone"
    user.run("rollback", "2", cwd=root)
    assert inside(user, root) == ("green", ["pkg0", "pkg1", "pkg2"])
    user.run("rollback", "1", cwd=root)
    (root / "devenv.toml").write_text('name = "p"\n[env]\nCOLOUR = "blue"\n')
    assert inside(user, root) == ("blue", ["pkg0", "pkg1", "pkg2"])


def test_the_files_can_come_back_too(user: User, make: Make) -> None:
    make(2, "red")
    root = make(3, "green")
    done = user.run("rollback", "--files", cwd=root)
    assert "devenv.toml is as it was" in done.stderr
    assert 'COLOUR = "red"' in (root / "devenv.toml").read_text()
    assert user.run("diff", cwd=root).stdout == ""
    assert inside(user, root) == ("red", ["pkg0", "pkg1"])


def test_a_kept_environment_outlives_a_collection(user: User, make: Make) -> None:
    make(2, "red")
    root = make(3, "green")
    user.run("gc", cwd=root)
    shutil.rmtree(root / "node_modules")
    user.run("rollback", "--offline", cwd=root)
    assert inside(user, root) == ("red", ["pkg0", "pkg1"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("rollback",), "before the current"),
        (("rollback", "9"), "no environment 9"),
        (("diff", "9"), "no environment 9"),
        (("diff", "no-such-branch"), "names no environment"),
        (
            (
                "diff",
                "--",
            ),
            "takes no program",
        ),
    ],
)
def test_what_was_never_there_is_said(user: User, make: Make, words: tuple[str, ...], problem: str) -> None:
    root = make(2, "red")
    if words[-1] == "--":
        words = (*words, "x")
    done = user.run(*words, cwd=root, check=False)
    assert done.returncode in (1, 2)
    assert problem in done.stderr


def test_differences_between_generations_files_projects_and_revisions(
    user: User, make: Make, tmp_path: Path
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
    root = make(2, "red")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "red"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    make(3, "green")
    shutil.copytree(
        root, tmp_path / "other", ignore=shutil.ignore_patterns("node_modules", ".devenv", ".git")
    )
    make(3, "blue", enter=False)
    expected = "+ npm:pkg2 1.0.0\n~ variable COLOUR = 'red' -> = 'green'\n"
    assert user.run("diff", "1", "2", cwd=root, check=False).stdout == expected
    done = user.run("diff", "main", "2", cwd=root, check=False)
    assert (done.stdout, done.stderr) == (expected, "")
    assert user.run("diff", "main", str(tmp_path / "other"), cwd=root, check=False).stdout == expected
    now = user.run("diff", cwd=root, check=False)
    assert (now.stdout, now.returncode) == ("~ variable COLOUR = 'green' -> = 'blue'\n", 1)
    assert user.run("diff", "current", "2", cwd=root).stdout == ""
    found = json.loads(user.run("diff", "2", "1", "--json", cwd=root, check=False).stdout)
    assert found[0] == {"kind": "package", "name": "npm:pkg2", "before": "1.0.0", "after": None}
