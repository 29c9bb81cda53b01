"""Real projects, from the registries that this machine's own clients are configured for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.programs import program

pytestmark = pytest.mark.network

EXAMPLES = Path(__file__).parents[2] / "examples"
CORPUS = Path(__file__).parents[1] / "data/npm"


@pytest.fixture
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """One home, so one store, for all of these: they share packages, as a person's projects do."""
    base = tmp_path_factory.getbasetemp() / "real-home"
    return User(base)


def test_the_example_runs_its_own_tests_and_build(tmp_path: Path, user: User) -> None:
    root = tmp_path / "web"
    shutil.copytree(EXAMPLES / "web", root, ignore=shutil.ignore_patterns("node_modules", ".devenv", "dist"))
    user.run("enter", "-c", "node -e \"require('express')\" && python -c 'import numpy'", cwd=root)
    user.run("enter", "-c", "npx vite build && npx vitest run && npm ls >/dev/null", cwd=root)
    done = user.run("status", "--json", cwd=root)
    counts = {entry["path"]: entry["packages"] for entry in json.loads(done.stdout)["lockfiles"]}
    assert counts["package-lock.json"] >= 300
    assert counts["requirements.txt"] >= 30


def test_any_published_node(tmp_path: Path, user: User) -> None:
    (tmp_path / "devenv.toml").write_text('name = "old"\n[packages]\nnode = "17"\n')
    user.run("lock", cwd=tmp_path)
    assert user.run("enter", "-c", "node --version", cwd=tmp_path).stdout.startswith("v17.")
    assert user.run("enter", "-c", "npm --version", cwd=tmp_path).stdout[0] in "78"


def test_npm_installs_globally_into_the_project(tmp_path: Path, user: User) -> None:
    (tmp_path / "devenv.toml").write_text('name = "global"\n[packages]\nnode = "22"\n')
    user.run("lock", cwd=tmp_path)
    user.run("enter", "-c", "npm install -g --silent semver && semver 1.2.3", cwd=tmp_path)
    assert (tmp_path / ".devenv/npm/bin/semver").exists()


def test_a_front_end_locked_by_npm_today(tmp_path: Path, user: User) -> None:
    (tmp_path / "package.json").write_text(
        json.dumps(
            {
                "name": "front",
                "version": "1.0.0",
                "type": "module",
                "dependencies": {"react": "latest", "react-dom": "latest"},
                "devDependencies": {
                    "@vitejs/plugin-react": "latest",
                    "eslint": "latest",
                    "typescript": "latest",
                    "vite": "latest",
                },
            }
        )
    )
    (tmp_path / "index.html").write_text('<script type="module" src="/main.jsx"></script>')
    (tmp_path / "main.jsx").write_text(
        'import { createRoot } from "react-dom/client";\ncreateRoot(document.body).render(<p>hello</p>);\n'
    )
    (tmp_path / "devenv.toml").write_text('name = "front"\n[packages]\nnode = "24"\n')
    env = user.env | {"PATH": os.environ["PATH"]}
    subprocess.run(
        [program("npm"), "install", "--package-lock-only"],
        cwd=tmp_path,
        env=env,
        check=True,
        capture_output=True,
    )
    user.run("lock", cwd=tmp_path)
    user.run("enter", "-c", "true", cwd=tmp_path)
    user.run("enter", "-c", "npx vite build && npx eslint --version && npx tsc --version", cwd=tmp_path)
    assert list((tmp_path / "dist/assets").glob("*.js"))


def test_jupyterlab_locked_by_uv_today(tmp_path: Path, user: User) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "notes"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["jupyterlab"]\n'
    )
    (tmp_path / "devenv.toml").write_text('name = "notes"\n[packages]\npython = "3.11"\n')
    env = user.env | {"PATH": os.environ["PATH"]}
    subprocess.run([program("uv"), "lock", "--quiet"], cwd=tmp_path, env=env, check=True, capture_output=True)
    user.run("lock", cwd=tmp_path)
    assert user.run("enter", "-c", "jupyter lab --version", cwd=tmp_path).stdout[0].isdigit()
    data = user.run("enter", "-c", "jupyter --paths --json", cwd=tmp_path).stdout
    assert str(tmp_path / ".devenv/python/share/jupyter") in json.loads(data)["data"]
