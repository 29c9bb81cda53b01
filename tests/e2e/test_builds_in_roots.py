"""Recipes that are built among the project's system packages, with an archive of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.derivations.archives import entry
from tests.fetch.server import serving
from tests.support.archive import Archive, settings
from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

TOML = """
base = "debian/bookworm"
[packages]
system = ["tool"]
[build.thing]
sources = ["input"]
inputs = ["system"]
[build.thing.phases]
install = '''
tool <input >"$out"
ls /etc >>"$out"
test ! -e /run/host && test ! -e /etc/host
'''
"""


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving() as server:
        made = Archive(server)
        script = b"#!/bin/sh\ncat /etc/tool.conf; while read -r line; do echo tool: $line; done\n"
        made.package("tool", entry("./usr/bin/tool", script, mode=0o755), entry("./etc/tool.conf", b"one\n"))
        made.publish()
        yield made


@pytest.fixture
def user(tmp_path: Path, archive: Archive) -> User:
    require_sandboxes()
    found = User(tmp_path / "home")
    found.env |= settings(tmp_path, archive.server.url + "/debian")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "devenv.toml").write_text(TOML)
    (folder / "input").write_text("line\n")
    return folder


def test_a_recipe_is_built_with_the_system_packages(user: User, project: Path) -> None:
    user.run("lock", cwd=project)
    path = Path(user.run("build", cwd=project).stdout.strip())
    lines = path.read_text().splitlines()
    assert lines[:2] == ["one", "tool: line"]
    assert {"tool.conf", "passwd", "hosts"} <= set(lines[2:])
    # Nothing is built again, and nothing of the network used.
    assert user.run("build", "--offline", cwd=project).stdout.strip() == str(path)


def test_another_package_builds_it_again(user: User, project: Path, archive: Archive) -> None:
    user.run("lock", cwd=project)
    before = user.run("build", cwd=project).stdout
    archive.package("more", entry("./etc/more", b""))
    archive.publish()
    (project / "devenv.toml").write_text(TOML.replace('"tool"', '"tool", "more"'))
    user.run("lock", cwd=project)
    after = user.run("build", cwd=project).stdout
    assert after != before
    assert "more" in Path(after.strip()).read_text().splitlines()


def test_a_shell_in_its_build_has_the_packages(user: User, project: Path) -> None:
    (project / "devenv.toml").write_text(TOML.replace('tool <input >"$out"', "tool <input >made; exit 3"))
    user.run("lock", cwd=project)
    failed = user.run("build", cwd=project, check=False)
    assert failed.returncode == 1 and "ended with status 3" in failed.stderr
    inside = user.run("enter", "--build", "thing", "-c", "pwd; cat made; command -v tool", cwd=project)
    assert inside.stdout == "/build/source\none\ntool: line\n/usr/bin/tool\n"
    program = user.run("enter", "--build", "thing", "--", "tool", "/dev/null", cwd=project)
    assert program.stdout == "one\n"


MISTAKES = {
    "no packages": (
        TOML.replace('system = ["tool"]', ""),
        "there are no system packages",
        "[packages] system",
    ),
    "the machine as well": (
        TOML.replace("inputs =", "host = true\ninputs ="),
        '"system" is among its inputs',
        "both say what /usr is",
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_cannot_be_is_told(user: User, project: Path, text: str, message: str, hint: str) -> None:
    (project / "devenv.toml").write_text(text)
    user.run("lock", cwd=project, check=False)
    failed = user.run("build", cwd=project, check=False)
    assert failed.returncode == 1
    assert message in failed.stderr and hint in failed.stderr


def test_a_recipe_may_be_called_system(user: User, project: Path) -> None:
    text = "[build.system]\nhost = true\nphases.install = 'echo mine >$out'\n[build.b]\nhost = true\n"
    text += "inputs = ['system']\nphases.install = 'cat $input_system >$out'\n"
    (project / "devenv.toml").write_text(text)
    assert Path(user.run("build", "b", cwd=project).stdout.strip()).read_text() == "mine\n"
