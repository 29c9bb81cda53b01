"""examples/build-c does what its README says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

EXAMPLE = Path(__file__).parents[2] / "examples/build-c"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    require_sandboxes()
    for name in ("cc", "make", "ar"):
        if shutil.which(name, path="/usr/bin:/bin") is None:
            pytest.skip(f"there is no {name} on this machine")
    shutil.copytree(EXAMPLE, tmp_path / "build-c", ignore=shutil.ignore_patterns(".devenv"))
    return tmp_path / "build-c"


def phases(done: subprocess.CompletedProcess[str], label: str) -> list[str]:
    return re.findall(rf"^{label}> phase: (\S+)$", done.stderr, re.MULTILINE)


def hello(project: Path) -> str:
    return subprocess.run(
        [project / ".devenv/builds/hello/bin/hello"], capture_output=True, text=True, check=True
    ).stdout


def test_the_example_is_built_edited_and_built_again(user: User, project: Path) -> None:
    first = user.run("build", "-v", cwd=project)
    assert hello(project) == "Hello, world!\n"
    assert phases(first, "greet-1.0") == ["unpack", "patch", "configure", "build", "install", "fixup"]
    assert phases(first, "hello-1.0")[3:6] == ["build", "smoke", "check"]
    source = project / "src/hello.c"
    source.write_text(source.read_text().replace("Hello", "Good morning"))
    second = user.run("build", "-v", cwd=project)
    assert hello(project) == "Good morning, world!\n"
    assert phases(second, "greet-1.0") == []
    assert phases(second, "hello-1.0") == phases(first, "hello-1.0")
    config = project / "devenv.toml"
    config.write_text(config.read_text().replace("0555", "0755"))
    third = user.run("build", "-v", cwd=project)
    assert phases(third, "hello-1.0") == ["install", "fixup"]
    done = user.run("enter", "--build", "hello", "-c", "./hello", cwd=project)
    assert done.stdout == "Good morning, world!\n"
