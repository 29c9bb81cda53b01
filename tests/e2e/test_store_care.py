"""A project's store over time, on the command line: collected, checked, repaired, explained, carried away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devenv.stamp import stamp_path
from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User, devenv_program
from tests.support.registry import Registry, point_clients_at

TOML = 'name = "demo"\n\n[packages]\npython = "3.11"\n\n[env]\nVALUE = "{value}"\n'


@pytest.fixture
def project(tmp_path: Path, user: User, registry: Registry) -> Path:
    root = tmp_path / "project"
    npm_project(root, registry)
    python_project(root, registry)
    configure(root, TOML.format(value="1"))
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    return root


def spec(project: Path) -> Path:
    return (project / ".devenv/env").readlink()


def object_of(user: User, project: Path, name: str) -> Path:
    chain = json.loads(user.run("why", name, "--json", cwd=project).stdout)[0]
    return Path(chain[-1]["path"])


def answer(user: User, project: Path, *arguments: str) -> Any:
    return json.loads(user.run(*arguments, "--json", cwd=project).stdout)


def test_a_collection_drops_downloads_and_keeps_the_environment(user: User, project: Path) -> None:
    planned = answer(user, project, "gc", "--dry-run")
    said = user.run("gc", "--dry-run", cwd=project)
    assert f"would delete {len(planned['paths'])} objects" in said.stderr
    names = {entry["path"].partition("-")[2] for entry in planned["paths"]}
    assert any("wheel0-1.0-py3-none-any.whl" in name for name in names)
    done = answer(user, project, "gc")
    assert done["paths"] == planned["paths"]
    assert done["freed"] > 0
    assert user.run("enter", "--offline", "-c", "hello0", cwd=project).stdout == "hello from wheel0\n"
    Path(stamp_path(str(project), user.env)).unlink()
    assert user.run("enter", "--offline", "-c", "hello0", cwd=project).stdout == "hello from wheel0\n"
    assert answer(user, project, "gc")["paths"] == []
    assert "all is well" in user.run("store", "verify", cwd=project).stderr


def test_an_earlier_environment_stays_until_it_is_dropped(user: User, project: Path) -> None:
    first = spec(project)
    configure(project, TOML.format(value="2"))
    user.run("lock", cwd=project)
    user.run("enter", "-c", "true", cwd=project)
    second = spec(project)
    assert first != second
    user.run("gc", "--older-than", "1d", cwd=project)
    assert first.is_dir()
    dropped = answer(user, project, "gc", "--keep", "1", "--dry-run")["generations"]
    assert [entry["path"] for entry in dropped] == [str(first)]
    user.run("gc", "--keep", "1", cwd=project)
    assert not first.exists()
    assert second.is_dir()
    configure(project, TOML.format(value="1"))
    user.run("enter", "--offline", "-c", "true", cwd=project)
    assert spec(project) == first


def test_entering_the_same_environment_again_makes_no_generation(user: User, project: Path) -> None:
    for _ in range(2):
        Path(stamp_path(str(project), user.env)).unlink()
        user.run("enter", "-c", "true", cwd=project)
    (profile,) = (user.store_root / "state/profiles/per-project").iterdir()
    assert sorted(os.listdir(profile)) == ["profile", "profile-1-link", "profile-1-sources", "project"]


def test_nothing_is_left_of_a_project_that_is_gone(user: User, project: Path, tmp_path: Path) -> None:
    subprocess.run(["rm", "-rf", str(project)], check=True)
    done = answer(user, tmp_path, "gc")
    assert done["live"] == 0
    assert [entry["path"] for entry in done["generations"]]
    assert [name for name in os.listdir(user.store_root / "store") if name != ".links"] == []
    assert os.listdir(user.store_root / "state/profiles/per-project") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gc", "--older-than", "soon"], "no age"),
        (["gc", "--older-than", "-1d"], "expected one argument"),
        (["gc", "--max-size", "big"], "no size"),
        (["gc", "--keep", "0"], "no number from 1"),
        (["store"], "required"),
        (["store", "query", "x"], "required"),
        (["store", "query", "--tree", "--roots", "x"], "not allowed"),
        (["store", "nonsense"], "invalid choice"),
        (["why"], "required"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_said_and_has_status_2(
    user: User, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = user.run(*arguments, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["store", "query", "--tree", "x"], "not in the store"),
        (["store", "path-info"], "no path is given"),
        (["store", "path-info", "--all"], "no store at"),
        (["store", "roots"], "no store at"),
        (["store", "export", "missing"], "not in the store"),
        (["store", "delete", "x", "y"], "y is not in the store"),
        (["store", "add", "missing"], "No such file"),
        (["store", "add", "/"], "name"),
        (["store", "dump", "missing"], "No such file"),
        (["store", "restore", "/"], "exists already"),
        (["store", "import"], "ends too early"),
        (["why", "x"], "no project here"),
        (["why", "x", "y", "z"], "two names are enough"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_said_and_has_status_1(
    user: User, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = user.run(*arguments, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stderr
    assert message in done.stderr


def test_a_place_without_a_store_has_nothing_to_collect_or_check(user: User, tmp_path: Path) -> None:
    assert answer(user, tmp_path, "gc")["paths"] == []
    assert user.run("store", "verify", cwd=tmp_path).returncode == 0
    assert answer(user, tmp_path, "store", "optimise") == {"linked": 0, "freed": 0}
    assert not user.store_root.exists()


def test_options_may_stand_before_or_behind_a_verb_of_store(user: User, tmp_path: Path) -> None:
    place = str(tmp_path / "elsewhere/store")
    assert user.run("store", "--store-dir", place, "path", cwd=tmp_path).stdout == f"{place}\n"
    assert user.run("store", "path", "--store-dir", place, cwd=tmp_path).stdout == f"{place}\n"


# Looking


def test_the_environment_can_be_looked_at(user: User, project: Path) -> None:
    environment, wheel = spec(project), object_of(user, project, "wheel1")
    tree = user.run("store", "query", "--tree", ".devenv/env", cwd=project).stdout
    assert tree.splitlines()[0] == str(environment)
    assert f"───{wheel}\n" in tree
    assert str(wheel) in answer(user, project, "store", "query", "--requisites", ".devenv/env")
    assert answer(user, project, "store", "query", "--referrers", str(wheel)) != []
    deriver = answer(user, project, "store", "query", "--deriver", str(wheel))[str(wheel)]
    assert answer(user, project, "store", "query", "--outputs", deriver) == {deriver: {"out": str(wheel)}}
    roots = {entry["root"] for entry in answer(user, project, "store", "query", "--roots", str(wheel))}
    assert str(project / ".devenv/env") in roots
    assert roots <= {entry["root"] for entry in answer(user, project, "store", "roots")}
    (info,) = answer(user, project, "store", "path-info", ".devenv/env")
    everything = answer(user, project, "store", "path-info", "-r", ".devenv/env")
    assert info["closureSize"] == sum(entry["narSize"] for entry in everything)
    lines = user.run("store", "path-info", "-r", ".devenv/env", cwd=project).stdout.splitlines()
    assert len(lines) == len(everything)


def test_why_names_the_files_between(user: User, project: Path, tmp_path: Path) -> None:
    environment, wheel = spec(project), object_of(user, project, "wheel1")
    ((first, view, last),) = answer(user, project, "why", "wheel1")
    assert (first["path"], last) == (str(environment), {"path": str(wheel), "files": []})
    assert view["path"].endswith("-python-view.json")
    assert "env.json" in first["files"]
    said = user.run("why", "wheel1", cwd=project).stdout.splitlines()
    assert said[0] == str(environment)
    assert said[1].startswith("└── env.json")
    assert said[2:] == [f"    {view['path']}", "    └── the file itself", f"        {wheel}"]
    assert answer(user, project, "why", "node_modules/pkg1")[0][-1]["path"].endswith("-pkg1-1.0.0")
    assert answer(user, project, "why", "wheel1==1.0") == answer(user, project, "why", str(wheel))
    done = user.run("why", "wheel1", "wheel2", cwd=project, check=False)
    assert done.returncode == 1
    assert "does not need" in done.stderr
    assert "Did you mean wheel1?" in user.run("why", "whel1", cwd=project, check=False).stderr
    elsewhere = user.run("why", str(environment), str(wheel), "--json", cwd=tmp_path)
    assert json.loads(elsewhere.stdout)[0][0]["path"] == str(environment)


# In and out


def test_objects_are_added_dumped_and_restored(user: User, tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("text")
    link = tmp_path / "link"
    path = user.run("store", "add", "--root", str(link), "tree", cwd=tmp_path).stdout.strip()
    assert link.readlink() == Path(path)
    assert path.endswith("-tree")
    assert user.run("store", "add", "--name", "t", "tree", cwd=tmp_path).stdout.strip().endswith("-t")
    user.run("gc", cwd=tmp_path)
    assert Path(path, "sub/file").read_text() == "text"
    dump = piped(user, ["store", "dump", path], b"")
    assert dump == piped(user, ["store", "dump", str(tmp_path / "tree")], b"")
    piped(user, ["store", "restore", str(tmp_path / "again")], dump)
    (tmp_path / "again/sub/file").write_text("writable again")


def piped(user: User, arguments: list[str], data: bytes) -> bytes:
    done = subprocess.run(
        [devenv_program(), *arguments], env=user.env, input=data, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_environment_travels_as_a_stream(user: User, project: Path) -> None:
    environment = str(spec(project))
    stream = piped(user, ["store", "export", environment], b"")
    before = answer(user, project, "store", "path-info", "-r", environment)
    subprocess.run(["rm", "-rf", str(user.store_root / "state/profiles/per-project")], check=True)
    for name in ("env", "shell.drv", "bytecode"):
        (project / ".devenv" / name).unlink(missing_ok=True)
    user.run("gc", cwd=project)
    assert not os.path.exists(environment)
    paths = piped(user, ["store", "import"], stream).decode().split()
    assert environment in paths
    after = answer(user, project, "store", "path-info", "-r", environment)
    assert [entry["path"] for entry in after] == [entry["path"] for entry in before]
    assert [entry["narHash"] for entry in after] == [entry["narHash"] for entry in before]
    user.run("store", "verify", cwd=project)


def test_single_objects_are_deleted_only_if_nothing_uses_them(user: User, project: Path) -> None:
    wheel = object_of(user, project, "wheel1")
    done = user.run("store", "delete", str(wheel), cwd=project, check=False)
    assert done.returncode == 1
    assert ".devenv/env" in done.stderr
    (project / "file").write_text("text")
    path = user.run("store", "add", "file", cwd=project).stdout.strip()
    assert user.run("store", "delete", path, cwd=project).stdout == f"{path}\n"
    assert not os.path.exists(path)


# Damage


def damage(path: Path) -> None:
    """Change a file where it is, as a program run by the owner can, through the store or a view of it."""
    path.chmod(0o644)
    path.write_text(path.read_text().replace("wheel0", "evil!!"))
    path.chmod(0o444)


def test_damage_is_found_repaired_and_gone_from_the_view(user: User, project: Path) -> None:
    file = project / ".devenv/python/lib/python3.11/site-packages/wheel0/__init__.py"
    wheel = object_of(user, project, "wheel0")
    damage(file)
    found = user.run("store", "verify", cwd=project, check=False)
    assert found.returncode == 1
    assert f"{wheel} was modified" in found.stdout
    assert "--repair" in found.stderr
    report = answer(user, project, "store", "verify", "--repair")
    assert report["restored"] == [str(wheel)]
    assert (report["forgotten"], report["failures"]) == ([], [])
    assert report["projects"] == [str(project)]
    assert user.run("store", "verify", cwd=project).returncode == 0
    assert "evil" in file.read_text()
    assert user.run("enter", "-c", "hello0", cwd=project).stdout == "hello from wheel0\n"
    assert file.stat().st_ino == Path(wheel, "wheel0/__init__.py").stat().st_ino


def test_what_is_missing_is_fetched_again(user: User, project: Path, registry: Registry) -> None:
    user.run("gc", cwd=project)  # its download is gone, too
    wheel = object_of(user, project, "wheel2")
    subprocess.run(["chmod", "-R", "u+w", str(wheel)], check=True)
    subprocess.run(["rm", "-rf", str(wheel)], check=True)
    registry.requests.clear()
    report = answer(user, project, "store", "verify", "--repair")
    assert report["restored"] == [str(wheel)]
    assert any("wheel2" in request for request in registry.requests)
    assert wheel.is_dir()


def test_what_cannot_be_made_again_is_forgotten_and_enter_makes_it(user: User, project: Path) -> None:
    environment, wheel = spec(project), object_of(user, project, "wheel0")
    user.run("gc", cwd=project)
    damage(Path(wheel, "wheel0/__init__.py"))
    damage(Path(environment, "env.json"))
    done = user.run("store", "verify", "--repair", "--offline", cwd=project)
    assert f"forgot {wheel}" in done.stderr
    assert f"forgot {environment}" in done.stderr
    assert f"run `devenv enter` again in {project}" in done.stderr
    assert not wheel.exists()
    assert not environment.exists()
    assert user.run("store", "verify", cwd=project).returncode == 0
    assert user.run("enter", "-c", "hello0", cwd=project).stdout == "hello from wheel0\n"
    assert spec(project) == environment


def test_equal_files_are_linked(user: User, project: Path) -> None:
    (project / "file").write_text("text" * 3000)
    for name in ("one", "two"):
        user.run("store", "add", "--name", name, "file", cwd=project)
    assert answer(user, project, "store", "optimise")["linked"] >= 1
    assert answer(user, project, "store", "optimise") == {"linked": 0, "freed": 0}
    assert user.run("enter", "--offline", "-c", "hello0", cwd=project).stdout == "hello from wheel0\n"
    assert user.run("store", "verify", cwd=project).returncode == 0


def test_binary_data_does_not_go_to_a_terminal(user: User, tmp_path: Path) -> None:
    import pexpect

    child = pexpect.spawn(
        devenv_program(), ["store", "dump", sys.executable], env=user.env | {"TERM": "dumb"}, timeout=20
    )
    child.expect("binary data")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
