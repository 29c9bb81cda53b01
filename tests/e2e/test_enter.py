"""From lockfiles to a command in the environment, with a registry of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, npm_lock, point_clients_at


def make_project(tmp_path: Path, user: User, registry: Registry) -> Path:
    root = tmp_path / "project"
    npm_project(root, registry)
    python_project(root, registry)
    configure(root)
    point_clients_at(registry, user.home)
    return root


def node_project(tmp_path: Path, user: User, registry: Registry) -> Path:
    root = tmp_path / "project"
    npm_project(root, registry)
    configure(root, 'name = "project"\n')
    point_clients_at(registry, user.home)
    return root


def test_both_ecosystems_are_entered_together(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "hello0; python -c 'import wheel2; print(wheel2.__version__)'", cwd=root)
    assert done.stdout.split("\n")[:2] == ["hello from wheel0", "1.0"]
    node = program("node")
    done = user.run("enter", "--", node, "-p", "require('pkg2')", cwd=root)
    assert done.stdout == "012\n"


def test_a_second_entry_asks_the_registry_nothing(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    registry.requests.clear()
    user.run("enter", "-c", "true", cwd=root)
    os.utime(root / "devenv.toml")  # looks changed, so the full path is taken
    user.run("enter", "--offline", "-c", "true", cwd=root)
    assert registry.requests == []


def test_a_new_checkout_is_composed_from_the_store_alone(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    first = (root / ".devenv/env").readlink()
    other = tmp_path / "other checkout"
    shutil.copytree(root, other, ignore=shutil.ignore_patterns("node_modules", ".devenv"))
    registry.requests.clear()
    done = user.run("enter", "--offline", "-c", "hello0", cwd=other)
    assert done.stdout == "hello from wheel0\n"
    assert (other / ".devenv/env").readlink() == first, "the spec must not depend on where the checkout is"
    assert registry.requests == []


def test_exit_codes_and_arguments_are_passed_through(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    assert user.run("enter", "-c", "exit 7", cwd=root, check=False).returncode == 7
    done = user.run(
        "enter", "--", "python", "-c", "import sys; print(sys.argv[1:])", "a b", "--", "$x", cwd=root
    )
    assert done.stdout == "['a b', '--', '$x']\n"
    missing = user.run("enter", "--", "no-such-program", cwd=root, check=False)
    assert (missing.returncode, "no-such-program" in missing.stderr) == (1, True)


def test_a_missing_lock_is_an_error_that_says_what_to_do(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = make_project(tmp_path, user, registry)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "devenv.lock does not exist" in done.stderr
    assert "devenv lock" in done.stderr


def test_a_stale_lock_names_what_changed(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    npm_project(root, registry, count=4)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "package-lock.json changed" in done.stderr
    user.run("lock", cwd=root)
    assert user.run("enter", "-c", "test -d node_modules/pkg3", cwd=root).returncode == 0


def test_locking_twice_gives_the_same_bytes(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    first = (root / "devenv.lock").read_bytes()
    user.run("lock", cwd=root)
    assert (root / "devenv.lock").read_bytes() == first
    assert registry.url.encode() not in first, "URLs are relative to the registry that is configured"


def test_what_the_user_adds_on_top_survives_a_change_of_the_lock(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = node_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    (root / "node_modules/.cache").mkdir()
    (root / "node_modules/.cache/entry").write_text("kept")
    npm_project(root, registry, count=2)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    assert (root / "node_modules/.cache/entry").read_text() == "kept"
    assert not (root / "node_modules/pkg2").exists()


def test_a_node_modules_of_npm_is_moved_aside_not_deleted(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = node_project(tmp_path, user, registry)
    (root / "node_modules/mine").mkdir(parents=True)
    (root / "node_modules/mine/file").write_text("precious")
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root)
    kept = list((root / ".devenv").glob("replaced/*/mine/file"))
    assert [path.read_text() for path in kept] == ["precious"]
    assert "moved" in done.stderr


def test_the_store_cannot_be_written_through_the_view(tmp_path: Path, user: User, registry: Registry) -> None:
    root = node_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    placed = root / "node_modules/pkg0/index.js"
    assert placed.stat().st_nlink > 1, "placed by hard link"
    assert placed.stat().st_mode & 0o222 == 0


def test_changing_a_variable_needs_no_lock(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    with (root / "devenv.toml").open("a") as file:
        file.write('\n[env]\nGREETING = "it\'s $HOME"\n')
    assert user.run("enter", "-c", 'printf %s "$GREETING"', cwd=root).stdout == "it's $HOME"


def test_env_shows_origins(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)
    with (root / "devenv.toml").open("a") as file:
        file.write('\n[env]\nGREETING = "hello"\n')
    user.run("lock", cwd=root)
    document = json.loads(user.run("env", "--json", cwd=root).stdout)
    assert "devenv.toml:7" in json.dumps(document["variables"]["GREETING"])
    assert "GREETING = 'hello'  # devenv.toml:7" in user.run("env", cwd=root).stdout


def test_status_follows_the_project(tmp_path: Path, user: User, registry: Registry) -> None:
    root = make_project(tmp_path, user, registry)

    def status() -> dict[str, object]:
        found: dict[str, object] = json.loads(user.run("status", "--json", cwd=root).stdout)
        return found

    assert status()["lock"] == "missing"
    user.run("lock", cwd=root)
    locked = status()
    assert (locked["lock"], locked["missing"]) == ("current", locked["objects"])
    user.run("enter", "-c", "true", cwd=root)
    entered = status()
    assert entered["missing"] == 0
    assert entered["next_step"] == "devenv enter"


def test_convert_shows_derivations_without_a_project(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "alone"
    entries = npm_project(root, registry)
    entries["node_modules/pkg9"] = {"version": "1.0.0", "integrity": registry.add_npm("pkg9", "1.0.0")}
    (root / "package-lock.json").write_text(npm_lock(entries))
    point_clients_at(registry, user.home)
    document = json.loads(user.run("convert", "package-lock.json", "--json", cwd=root).stdout)
    assert sorted(entry["name"] for entry in document["packages"]) == ["pkg0", "pkg1", "pkg2", "pkg9"]
    drv = document["derivations"][document["packages"][0]["derivation"]]
    assert drv["builder"] == "builtin:devenv-unpack"
    assert not (root / ".devenv").exists()


def test_init_then_lock_then_enter(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "fresh"
    python_project(root, registry)
    (root / ".python-version").write_text("3.11\n")
    point_clients_at(registry, user.home)
    user.run("init", cwd=root)
    user.run("lock", cwd=root)
    assert user.run("enter", "-c", "hello0", cwd=root).stdout == "hello from wheel0\n"
    again = user.run("init", cwd=root, check=False)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


def test_a_directory_is_gone_into_and_a_project_option_is_not(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", "--project", str(root), cwd=tmp_path)
    for _ in ("first", "warm"):
        assert user.run("enter", str(root), "-c", "pwd", cwd=tmp_path).stdout == f"{root}\n"
        assert user.run("enter", "--project", str(root), "-c", "pwd", cwd=tmp_path).stdout == f"{tmp_path}\n"
    inner = root / "src"
    inner.mkdir()
    assert user.run("enter", "-c", "pwd; hello0", cwd=inner).stdout == f"{inner}\nhello from wheel0\n"


def test_a_copied_project_gets_an_environment_of_its_own(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    with (copy / "devenv.toml").open("a") as file:
        file.write('\n[env]\nONLY_HERE = "yes"\n')
    assert user.run("enter", "-c", 'echo "$ONLY_HERE $VIRTUAL_ENV"', cwd=copy).stdout == (
        f"yes {copy}/.devenv/python\n"
    )
    assert (
        user.run("enter", "-c", "command -v hello0", cwd=copy).stdout == f"{copy}/.devenv/python/bin/hello0\n"
    )
    text = (copy / ".devenv/python/bin/hello0").read_text()
    assert str(root) + "/" not in text


def test_byte_code_is_made_after_entering_and_kept_for_the_next_checkout(
    tmp_path: Path, user: User, registry: Registry
) -> None:
    root = make_project(tmp_path, user, registry)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "python -c 'import wheel1'", cwd=root, DEVENV_COMPILE="background")
    cache = root / ".devenv/python/lib/python3.11/site-packages/wheel2/__pycache__"
    deadline = time.monotonic() + 60
    while not (root / ".devenv/bytecode").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    (compiled,) = cache.iterdir()
    # The flags word of PEP 552: 1 is "hash-based, not checked", which no import writes by itself.
    assert compiled.read_bytes()[4:8] == b"\1\0\0\0"
    other = tmp_path / "other"
    shutil.copytree(root, other, ignore=shutil.ignore_patterns("node_modules", ".devenv"))
    user.run("enter", "-c", "true", cwd=other, DEVENV_COMPILE="never")
    again = other / compiled.relative_to(root)
    assert again.stat().st_ino == compiled.stat().st_ino
    imported = (
        other / ".devenv/python/lib/python3.11/site-packages/wheel1/__pycache__" / "__init__.cpython-311.pyc"
    )
    assert imported.read_bytes()[4:8] == b"\1\0\0\0", "what Python wrote itself meanwhile is replaced"
