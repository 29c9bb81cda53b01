"""Projects with a lock of version 1, whose packages say only when they are unpacked what they are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry

SCRIPT = "#!/bin/sh\necho $0 runs\n"
CONFIG = 'name = "old"\n[packages]\npython = "3.11"\n[registries]\nnpm = "{}/npm/"\n'


def lock_of(registry: Registry, packages: dict[str, dict[str, Any]]) -> str:
    """A lock of packages that are published now: name -> lock's fields, and `manifest` and `files`."""
    dependencies = {}
    for name, values in packages.items():
        manifest, files = values.pop("manifest", {}), values.pop("files", {})
        integrity = registry.add_npm(name, "1.0.0", files, **manifest)
        dependencies[name] = {"version": "1.0.0", "integrity": integrity, **values}
    return json.dumps({"name": "old", "lockfileVersion": 1, "requires": True, "dependencies": dependencies})


def test_old_lock_becomes_an_environment(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "project"
    root.mkdir()
    packages: dict[str, dict[str, Any]] = {
        "tool": {
            "manifest": {"bin": "tool.sh", "scripts": {"install": "echo > made"}},
            "files": {"tool.sh": SCRIPT},
        },
        "mac": {"manifest": {"os": ["darwin"], "dependencies": {"deep": "1"}}, "optional": True},
        "deep": {"optional": True},
    }
    (root / "package-lock.json").write_text(lock_of(registry, packages))
    (root / "package.json").write_text(
        '{"dependencies": {"tool": "1"}, "optionalDependencies": {"mac": "1"}}'
    )
    (root / "devenv.toml").write_text(CONFIG.format(registry.url))
    user.run("lock", cwd=root)
    before = user.run("status", "--json", cwd=root)
    assert [view["state"] for view in json.loads(before.stdout)["views"]].count("missing") >= 1
    done = user.run("enter", "-c", "tool", cwd=root)
    assert done.stdout.endswith("tool runs\n")
    assert (root / "node_modules/tool/made").exists()
    assert sorted(p.name for p in (root / "node_modules").iterdir() if p.name[0] != ".") == ["tool"]
    states = {view["state"] for view in json.loads(user.run("status", "--json", cwd=root).stdout)["views"]}
    assert states == {"composed"}
    recipe = json.loads(user.run("convert", "package-lock.json", "--json", cwd=root).stdout)["view"]["recipe"]
    assert recipe["manifests"]["optional"] == ["node_modules/deep", "node_modules/mac"]


def test_required_package_of_another_platform_is_refused(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    (tmp_path / "package-lock.json").write_text(lock_of(registry, {"mac": {"manifest": {"os": "darwin"}}}))
    (tmp_path / "devenv.toml").write_text(CONFIG.format(registry.url))
    user.run("lock", cwd=tmp_path)
    done = user.run("enter", "-c", "true", cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "node_modules/mac (mac@1.0.0) is required but only for os darwin (here: linux)" in done.stderr


MANIFEST = {
    "name": "old",
    "version": "1.0.0",
    "dependencies": {"rimraf": "3.0.2", "watchpack": "1.7.5", "chokidar": "3.5.3"},
    "devDependencies": {"semver": "7.5.0"},
    "optionalDependencies": {"@esbuild/linux-x64": "0.19.0", "@esbuild/darwin-x64": "0.19.0"},
}


@pytest.mark.network
def test_npm_installs_the_same_from_a_real_lock(tmp_path: Path, user: User) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for root in (ours, theirs):
        root.mkdir()
        (root / "package.json").write_text(json.dumps(MANIFEST))
    npm(user, "install", "--package-lock-only", "--lockfile-version", "1", directory=theirs)
    (ours / "package-lock.json").write_text((theirs / "package-lock.json").read_text())
    (ours / "devenv.toml").write_text('name = "old"\n[packages]\nnode = "20"\n')
    npm(user, "ci", "--ignore-scripts", directory=theirs)
    user.run("lock", cwd=ours)
    user.run("enter", "-c", "semver 1.2.3 && rimraf lost && node -e \"require('watchpack')\"", cwd=ours)
    assert installed(ours) == installed(theirs)
    assert commands(ours) == commands(theirs)


def npm(user: User, *arguments: str, directory: Path) -> None:
    env = user.env | {"PATH": os.environ["PATH"]}
    command = [program("npm"), *arguments, "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=directory, env=env, check=True, capture_output=True, timeout=300)


def installed(root: Path) -> dict[str, str]:
    """Version by place of every package in node_modules."""
    found = {}
    for manifest in (root / "node_modules").rglob("package.json"):
        place = manifest.parent
        scope = place.parent if place.parent.name.startswith("@") else place
        if scope.parent.name == "node_modules":
            found[str(place.relative_to(root))] = str(json.loads(manifest.read_text()).get("version"))
    assert len(found) > 100
    return found


def commands(root: Path) -> dict[str, str]:
    """Link by place of all commands, which must be programs."""
    found = [path for folder in (root / "node_modules").rglob(".bin") for path in folder.iterdir()]
    assert all(os.access(path, os.X_OK) for path in found)
    return {str(path.relative_to(root)): os.readlink(path) for path in found}
