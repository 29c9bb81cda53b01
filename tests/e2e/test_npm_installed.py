"""Projects without a lockfile, whose node_modules npm installed: what npm wrote there serves as one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry

HIDDEN = "node_modules/.package-lock.json"


@pytest.fixture
def project(tmp_path: Path, registry: Registry) -> Path:
    """A project that npm installed packages for, one of them a directory of the project."""
    registry.add_npm(
        "tool", "1.0.0", {"t.js": "#!/usr/bin/env node\nconsole.log(require('left'))\n"}, bin="t.js"
    )
    registry.add_npm("left", "1.2.0", {"index.js": "module.exports = 'left'\n"})
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "lib/package.json").write_text('{"name": "lib", "version": "1.0.0"}')
    (root / "package.json").write_text(
        json.dumps(
            {
                "name": "app",
                "version": "1.0.0",
                "dependencies": {"tool": "1", "left": "1", "lib": "file:lib"},
            }
        )
    )
    (root / ".npmrc").write_text(f"registry={registry.url}/npm/\npackage-lock=false\n")
    environ = {**os.environ, "HOME": str(tmp_path)}
    npm = [program("npm"), "install", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=root, env=environ, check=True, capture_output=True)
    assert (root / HIDDEN).exists() and not (root / "package-lock.json").exists()
    return root


def test_what_is_installed_is_locked_and_stays_so(project: Path, user: User) -> None:
    before = (project / HIDDEN).read_bytes()
    done = user.run("init", cwd=project)
    assert HIDDEN in done.stdout + done.stderr
    config = (project / "devenv.toml").read_text()
    assert f'npm = "{HIDDEN}"' in config
    # Node is the machine's here.
    (project / "devenv.toml").write_text("".join(f"{x}\n" for x in config.splitlines() if x[:4] != "node"))
    user.run("lock", cwd=project)
    done = user.run("enter", "-c", "tool", cwd=project)
    assert done.stdout == "left\n"
    assert (project / HIDDEN).read_bytes() == before
    assert os.readlink(project / "node_modules/lib") == "../lib"
    assert os.stat(project / "node_modules/left/index.js").st_nlink > 1
    listed = user.run("enter", "-c", "npm ls --all", cwd=project).stdout
    assert {"left@1.2.0", "tool@1.0.0"} <= set(listed.split())
    assert json.loads(user.run("status", "--json", cwd=project).stdout)["lock"] == "current"


def test_nothing_of_it_can_be_left_out(project: Path, user: User) -> None:
    (project / "devenv.toml").write_text(
        f'name = "app"\n[lockfiles]\nnpm = {{ path = "{HIDDEN}", omit = ["dev"] }}\n'
    )
    done = user.run("lock", cwd=project, check=False)
    assert done.returncode == 1
    assert "says what is installed, so nothing of it can be left out" in done.stderr
    assert "npm install --package-lock-only" in done.stderr
