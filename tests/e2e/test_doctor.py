"""What stands in devenv's way on a machine, found and told with its remedy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.projects import npm_project
from tests.support.devenv import User, devenv_program
from tests.support.registry import Registry, point_clients_at
from tests.support.sandboxes import require_sandboxes

Findings = dict[str, tuple[str, str, str]]


def findings(user: User, root: Path, *words: str, status: int = 0) -> Findings:
    done = user.run("doctor", "--json", *words, cwd=root, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return {
        each["subject"]: (each["state"], each["text"], each["remedy"]) for each in json.loads(done.stdout)
    }


@pytest.fixture
def root(user: User, registry: Registry, tmp_path: Path) -> Path:
    point_clients_at(registry, user.home)
    user.env["DEVENV_DEBIAN_MIRROR"] = f"{registry.url}/debian/"
    place = tmp_path / "p"
    npm_project(place, registry, 1)
    (place / "devenv.toml").write_text('name = "p"\n')
    user.run("lock", cwd=place)
    user.run("enter", "-c", "true", cwd=place)
    return place


def test_a_sound_machine_and_project(user: User, root: Path, registry: Registry) -> None:
    require_sandboxes()
    found = findings(user, root)
    expected = ("kernel", "sandboxes", "disk", "store", "shell", "project", "npm registry")
    assert {subject: found[subject][0] for subject in expected} == dict.fromkeys(expected, "good")
    assert registry.url in found["npm registry"][1]
    text = user.run("doctor", "--offline", cwd=root).stdout
    assert "ok    kernel: Linux " in text
    assert "network: not looked at" in text


def test_outside_of_projects_the_machine_alone_is_looked_at(user: User, tmp_path: Path) -> None:
    assert "project" not in findings(user, tmp_path, "--offline")


def test_a_stale_project_is_told_with_what_to_run(user: User, root: Path) -> None:
    (root / "devenv.toml").write_text('name = "p"\n[packages]\nnode = "20"\n')
    state, text, remedy = findings(user, root, "--offline", status=1)["project"]
    assert (state, remedy) == ("bad", "Run `devenv lock`.")
    assert "stale" in text


def test_a_registry_that_is_down_and_a_cache_that_is_none(user: User, root: Path, tmp_path: Path) -> None:
    (user.home / ".npmrc").write_text("registry=http://127.0.0.1:9/\n")
    found = findings(user, root, "--substituters", f"file://{tmp_path}/nothing", status=1)
    assert found["npm registry"][0] == "bad"
    assert "127.0.0.1:9" in found["npm registry"][1]
    assert found["binary cache"][0] == "bad"
    assert "is no binary cache" in found["binary cache"][1]


def test_a_damaged_database_is_told(user: User, root: Path) -> None:
    database = user.store_root / "state/db/db.sqlite"
    database.write_bytes(database.read_bytes()[:100] + b"damage" * 1000)
    state, _, remedy = findings(user, root, "--offline", status=1)["store"]
    assert state == "bad"
    assert remedy


def test_forbidden_namespaces_are_told_with_the_setting(user: User, root: Path) -> None:
    require_sandboxes()
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" doctor --json --offline'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, devenv_program()]
    done = subprocess.run(command, cwd=root, env=user.env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = {each["subject"]: each for each in json.loads(done.stdout)}["sandboxes"]
    assert "user.max_user_namespaces is 0" in found["text"]
    assert "sysctl -w user.max_user_namespaces=15000" in found["remedy"]
    assert "--no-fhs" in found["remedy"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_hook_is_seen(user: User, root: Path, shell: str) -> None:
    user.env["SHELL"] = f"/bin/{shell}"
    assert findings(user, root, "--offline")["shell"][1] == f"{shell}, without the hook"
    place = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/conf.d/devenv.fish"}[shell]
    (user.home / place).parent.mkdir(parents=True, exist_ok=True)
    with (user.home / place).open("a") as file:
        file.write(f"\ndevenv hook {shell} | source\n")
    assert findings(user, root, "--offline")["shell"][1] == f"{shell}, with the hook"
