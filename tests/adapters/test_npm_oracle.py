"""Plans compared with what npm itself says about the same locks. No network: npm is told to be offline."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devenv.adapter import NodeModules, Target

from .npm_locks import ARM_MUSL, DATA, X64, entry, lock_text, plan, read_lock

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")

LOCKS = (
    "arborist-workspaces-conflicting-versions-virtual",
    "cachix-devenv-docs",
    "dream2nix-nextjs",
    "npm-cli-v3",
    "pypi-warehouse",
)


def project_of(text: str, directory: Path, manifest: str | None = None) -> Path:
    """A project with this lock: its manifest and those of its workspaces made from the lock."""
    lock = json.loads(text)
    directory.mkdir(exist_ok=True)
    (directory / "package-lock.json").write_text(text)
    own = {"name": lock.get("name", "project"), **lock["packages"][""]}
    (directory / "package.json").write_text(manifest or json.dumps(own))
    for place, values in lock["packages"].items():
        if values.get("link") and values["resolved"]:
            target = directory / values["resolved"]
            target.mkdir(parents=True, exist_ok=True)
            name = place.rpartition("node_modules/")[2]
            (target / "package.json").write_text(
                json.dumps({"name": name, **lock["packages"][values["resolved"]]})
            )
    return directory


def run(*command: str, directory: Path) -> str:
    """Output of a command that sees no user's configuration of npm and no network."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "npm_config_offline": "true",
        "npm_config_audit": "false",
        "npm_config_update_notifier": "false",
        "npm_config_registry": "https://npm.test/",
    }
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return done.stdout


def npm_says(directory: Path, cpu: str, libc: str, omit: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    script = str(Path(__file__).parent / "ideal_tree.js")
    found = json.loads(run("node", script, str(directory), cpu, libc, ",".join(omit), directory=directory))
    assert isinstance(found, dict)
    return found


def view_of(text: str, target: Target, omit: tuple[str, ...] = ()) -> NodeModules:
    view = plan(text, target=target, omit=omit).view
    assert isinstance(view, NodeModules)
    return view


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize(
    ("target", "cpu", "omit"),
    [(X64, "x64", ()), (ARM_MUSL, "arm64", ("dev",)), (X64, "x64", ("dev", "optional"))],
    ids=["x64", "arm64-musl-without-dev", "x64-without-dev-and-optional"],
)
def test_plan_has_the_places_and_commands_that_npm_has(
    name: str, target: Target, cpu: str, omit: tuple[str, ...], tmp_path: Path
) -> None:
    text = read_lock(name)
    manifest = DATA / name / "package.json"
    project = project_of(text, tmp_path / "p", manifest.read_text() if manifest.exists() else None)
    theirs = npm_says(project, cpu, target.libc, omit)
    ours = view_of(text, target, omit)
    assert set(ours.packages) == {p for p, v in theirs.items() if not v["link"] and not v["bundled"]}
    assert set(ours.links) == {p for p, v in theirs.items() if v["link"]}
    assert set(ours.bins) == {b for v in theirs.values() for b in v["bins"]}
    hidden = json.loads(ours.hidden_lock or "")["packages"]
    assert {p for p in hidden if "node_modules" in p.split("/")} == set(theirs)


@pytest.mark.parametrize("name", ["cachix-devenv-docs", "dream2nix-nextjs", "pypi-warehouse"])
def test_npm_ls_misses_nothing_in_a_lock_of_what_is_planned(name: str, tmp_path: Path) -> None:
    text = read_lock(name)
    whole = json.loads(text)
    planned = json.loads(view_of(text, X64).hidden_lock or "")["packages"]
    assert 0 < len(planned) < len(whole["packages"]) - 1
    reduced = json.dumps({**whole, "packages": {"": whole["packages"][""], **planned}})
    manifest = DATA / name / "package.json"
    project = project_of(reduced, tmp_path / "p", manifest.read_text() if manifest.exists() else None)
    found = json.loads(run("npm", "ls", "--all", "--json", "--package-lock-only", directory=project))
    assert "problems" not in found
    seen: set[tuple[str, str]] = set()
    _collect(found["dependencies"], seen)
    bare = [(p.rpartition("node_modules/")[2], v["version"]) for p, v in planned.items()]
    assert seen == set(bare)


def _collect(dependencies: dict[str, Any], seen: set[tuple[str, str]]) -> None:
    for name, values in dependencies.items():
        if "version" in values:
            seen.add((name, values["version"]))
        _collect(values.get("dependencies", {}), seen)


NAMES = ("zed", "Alpha", "alpha", "@scope/mid", "a_b", "a-b", "a.b", "a1", "a10", "a2", "B", "b~c", "_x")


def test_first_of_packages_with_one_command_is_npms_first(tmp_path: Path) -> None:
    listed = json.dumps([f"/p/node_modules/{name}" for name in NAMES])
    code = f"console.log(JSON.stringify({listed}.sort(new Intl.Collator('en').compare)))"
    order = [path[3:] for path in json.loads(run("node", "-e", code, directory=tmp_path))]
    for first, second in itertools.pairwise(order):
        packages = {place: entry(place[13:], bin={"same": "x.js"}) for place in (second, first)}
        view = view_of(lock_text(packages), X64)
        assert view.bins == {"node_modules/.bin/same": f"{first}/x.js"}
