"""devenv add, remove and update, with the real tools against a registry of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.programs import program
from tests.support.pythons import uv_program
from tests.support.registry import Registry, point_clients_at, serve


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    for version in ("1.0", "2.0"):
        made.add_wheel("helper", version)
    for version in ("1.0.0", "1.1.0"):
        made.add_npm("left", version)
    with serve(made):
        yield made


@pytest.fixture
def user(tmp_path: Path, registry: Registry) -> User:
    uv_program()
    home = tmp_path / "home"
    point_clients_at(registry, home)
    return User(home)


def test_python_packages_go_to_the_manifest_and_every_lock(tmp_path: Path, user: User) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text('name = "p"  # mine\n[packages]\npython = "3"\n')
    manifest = (
        '[project]\nname = "p"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = []  # none yet\n'
    )
    (root / "pyproject.toml").write_text(manifest)
    (root / "uv.lock").write_text(
        'version = 1\nrequires-python = ">=3.9"\n[[package]]\nname = "p"\nversion = "0"\nsource = { virtual = "." }\n'
    )
    user.run("add", "pip:helper<2", cwd=root)
    assert '"helper<2"' in (root / "pyproject.toml").read_text()
    assert 'version = "1.0"' in (root / "uv.lock").read_text()
    assert (
        user.run("enter", "-c", "python -c 'import helper; print(helper.__version__)'", cwd=root).stdout
        == "1.0\n"
    )
    user.run("remove", "pip:helper", cwd=root)
    assert "helper" not in (root / "uv.lock").read_text()
    assert (root / "devenv.toml").read_text().startswith('name = "p"  # mine\n')
    gone = user.run("enter", "-c", "python -c 'import helper' 2> /dev/null || echo gone", cwd=root)
    assert gone.stdout == "gone\n"


def test_requirements_are_compiled_again_from_their_source(tmp_path: Path, user: User) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text('name = "p"\n[packages]\npython = "3"\n')
    (root / "requirements.in").write_text("# ours\n")
    (root / "requirements.txt").write_text("")
    user.run("add", "pip:helper==1.0", cwd=root)
    assert (root / "requirements.in").read_text() == "# ours\nhelper==1.0\n"
    assert "helper==1.0" in (root / "requirements.txt").read_text()
    done = user.run("add", "pip:nowhere-to-be-found", cwd=root, check=False)
    assert done.returncode == 1
    assert "devenv.lock is as it was" in done.stderr
    assert (root / "requirements.in").read_text() == "# ours\nhelper==1.0\n"
    (root / "requirements.in").write_text("helper\n")
    user.run("update", "pip:helper", cwd=root)
    assert "helper==2.0" in (root / "requirements.txt").read_text()


def test_npm_packages_are_added_updated_and_removed(tmp_path: Path, user: User) -> None:
    if shutil.which("npm", path=user.env["PATH"]) is None:
        pytest.skip("needs npm")
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text('name = "p"\n')
    (root / "package.json").write_text('{"name": "p", "version": "1.0.0"}\n')
    (root / "package-lock.json").write_text(
        '{"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0"}}}\n'
    )
    user.run("add", "npm:left@1.0.0", cwd=root)
    lock = json.loads((root / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/left"]["version"] == "1.0.0"
    assert not (root / "node_modules/left").exists()
    (root / "package.json").write_text('{"name": "p", "version": "1.0.0", "dependencies": {"left": "^1"}}\n')
    user.run("update", cwd=root)
    lock = json.loads((root / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/left"]["version"] == "1.1.0"
    user.run("remove", "npm:left", cwd=root)
    assert "node_modules/left" not in json.loads((root / "package-lock.json").read_text())["packages"]


def test_what_has_no_lockfile_says_how_to_begin(tmp_path: Path, user: User) -> None:
    (tmp_path / "devenv.toml").write_text('name = "p"\n')
    done = user.run("add", "pip:helper", "crate:serde", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "pip:helper: the project has no lockfile for it" in done.stderr
    assert "crate:serde: the project has no lockfile for it" in done.stderr
    assert "cargo init" in done.stderr


TOOLS = {
    "pnpm": (
        "pnpm@9",
        "pnpm/bin/pnpm.cjs",
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n",
    ),
    "yarn 1": ("yarn@1", "yarn/bin/yarn.js", "yarn.lock", "# yarn lockfile v1\n\n"),
    "yarn 4": (
        "@yarnpkg/cli-dist@4",
        "@yarnpkg/cli-dist/bin/yarn.js",
        "yarn.lock",
        "__metadata:\n  version: 8\n",
    ),
}


@pytest.mark.network
@pytest.mark.parametrize("name", TOOLS)
def test_other_tools_of_npm_change_their_lockfiles(
    name: str, tmp_path: Path, user: User, registry: Registry
) -> None:
    """The tool comes from the registry, what it adds from the test's."""
    package, script, lockfile, empty = TOOLS[name]
    npm = program("npm")
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "package.json").write_text("{}")
    environ = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([npm, "install", package], cwd=folder, env=environ, check=True, capture_output=True)
    command = folder / name.split()[0]
    command.write_text(f'#!/bin/sh\nexec node {folder}/node_modules/{script} "$@"\n')
    command.chmod(0o755)
    user.env["PATH"] = f"{folder}:{user.env['PATH']}"
    ours = dict.fromkeys(("YARN_NPM_REGISTRY_SERVER", "YARN_REGISTRY"), f"{registry.url}/npm")
    user.env |= {**ours, "YARN_UNSAFE_HTTP_WHITELIST": "127.0.0.1", "YARN_ENABLE_TELEMETRY": "0"}
    user.env["YARN_NPM_MINIMAL_AGE_GATE"] = "0"  # what the test publishes was never published before
    # Under CI yarn refuses to change what it is asked to change.
    user.env.pop("CI", None)
    root = tmp_path / "project"
    root.mkdir()
    (root / "devenv.toml").write_text('name = "p"\n')
    (root / "package.json").write_text('{"name": "p", "version": "1.0.0"}\n')
    (root / lockfile).write_text(empty)
    user.run("add", "npm:left@1.0.0", cwd=root)
    assert json.loads((root / "package.json").read_text())["dependencies"] == {"left": "1.0.0"}
    assert "left" in (root / lockfile).read_text() and not (root / "node_modules").exists()
    (root / "package.json").write_text(
        '{"name": "p", "version": "1.0.0", "dependencies": {"left": "^1.0.0"}}\n'
    )
    if name == "yarn 1":  # it insists that manifest and lockfile agree
        (root / lockfile).write_text((root / lockfile).read_text().replace("left@1.0.0:", "left@^1.0.0:"))
    user.run("update", "npm:left", cwd=root)
    assert "1.1.0" in (root / lockfile).read_text()
    user.run("remove", "npm:left", cwd=root)
    assert "1.1.0" not in (root / lockfile).read_text()


def test_what_fails_after_another_tool_leaves_everything_as_it_was(tmp_path: Path, user: User) -> None:
    """npm has done its part when uv fails, or when there is no base to add system packages from."""
    if shutil.which("npm", path=user.env["PATH"]) is None:
        pytest.skip("needs npm")
    (tmp_path / "devenv.toml").write_text('name = "p"\n[packages]\npython = "3"\n')
    (tmp_path / "package.json").write_text('{ "name": "p", "version": "1.0.0" }\n')
    (tmp_path / "package-lock.json").write_text(
        '{"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0"}}}\n'
    )
    (tmp_path / "requirements.in").write_text("# ours\n")
    (tmp_path / "requirements.txt").write_text("")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = user.run("add", "npm:left", "pip:nowhere-to-be-found", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert (
        "uv pip compile" in done.stderr and "manifests and lockfiles are as they were before" in done.stderr
    )
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    done = user.run("add", "npm:left", "system:jq", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "manifests and lockfiles are as they were before" in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
