"""Environments made of several files: what a project extends, its profiles, the members of a repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.derivations.archives import entry
from tests.e2e.projects import npm_project, python_project
from tests.fetch.server import serving
from tests.support.archive import Archive
from tests.support.archive import settings as archive_settings
from tests.support.devenv import User
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at
from tests.support.sandboxes import require_sandboxes


def write(place: Path, text: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "devenv.toml").write_text(text)
    return place


def tool(place: Path, name: str, said: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\necho {said}\n")
    (place / name).chmod(0o755)


def inside(user: User, root: Path, line: str, *options: str) -> str:
    return user.run("enter", *options, "-c", line, cwd=root).stdout


def commit(place: Path, message: str) -> str:
    git = [program("git"), "-c", "user.name=t", "-c", "user.email=t@example.test", "-C", str(place)]
    if not (place / ".git").exists():
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    for words in (["add", "."], ["commit", "-qm", message]):
        subprocess.run([*git, *words], check=True)
    return subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that others extend, which itself extends another."""
    write(tmp_path / "common", '[env]\nLEVEL = { default = "info" }\nREGION = "north"\n')
    tool(tmp_path / "shared/bin", "helper", "shared")
    return write(
        tmp_path / "shared",
        'extends = "../common"\n[env]\nPATH = { prepend = ["./bin"] }\nCOLOUR = { default = "grey" }\n'
        '[aliases]\nhi = ["echo", "hi"]\n[scripts]\nshout = "echo LOUD"\n'
        "[parameters]\nport = 80\n",
    )


def test_a_project_has_what_it_extends_and_its_own_comes_first(
    user: User, tmp_path: Path, shared: Path
) -> None:
    tool(tmp_path / "p/bin", "helper", "own")
    root = write(
        tmp_path / "p",
        'name = "p"\nextends = ["../shared"]\n'
        '[env]\nCOLOUR = "red"\nPORT = "${parameter:port}"\nPATH = { prepend = ["./bin"] }\n',
    )
    user.run("lock", cwd=root)
    line = "echo $COLOUR $LEVEL $REGION $PORT; shout; hi; helper"
    assert inside(user, root, line, "--set", "port=9").split("\n")[:4] == [
        "red info north 9",
        "LOUD",
        "hi",
        "own",
    ]
    shutil.rmtree(root / "bin")
    assert inside(user, root, "helper") == "shared\n"
    spec = json.loads((root / ".devenv/env/env.json").read_text())
    assert [each["origin"] for each in spec["variables"]["PATH"]] == [
        "../shared/devenv.toml:3",
        "devenv.toml:6",
    ]
    assert spec["origins"]["scripts.shout"] == "../shared/devenv.toml:8"
    assert "../common/devenv.toml:3" in user.run("why", "REGION", cwd=root).stdout


def test_a_change_of_what_is_extended_is_noticed_and_gone_back_from(
    user: User, tmp_path: Path, shared: Path
) -> None:
    root = write(tmp_path / "p", 'extends = "../shared"\n')
    user.run("lock", cwd=root)
    assert inside(user, root, "echo $REGION") == "north\n"
    write(tmp_path / "common", '[env]\nREGION = "south"\n')
    assert user.run("diff", cwd=root, check=False).stdout.splitlines() == [
        "- variable LEVEL = 'info' unless set",
        "~ variable REGION = 'north' -> = 'south'",
    ]
    assert inside(user, root, "echo $REGION") == "south\n"
    user.run("rollback", cwd=root)
    assert inside(user, root, "echo $REGION") == "north\n"


def test_every_conflict_names_both_places(user: User, tmp_path: Path) -> None:
    write(
        tmp_path / "a",
        'base = "debian/bookworm"\n[packages]\npython = "3.11"\n[env]\nCOLOUR = "red"\n'
        '[aliases]\ngo = ["a"]\n[parameters]\nport = 1\n',
    )
    root = write(
        tmp_path / "p",
        'extends = "../a"\nbase = "debian/trixie"\n[packages]\npython = "3.12"\n[env]\nCOLOUR = "blue"\n'
        '[scripts]\ngo = "b"\n[parameters]\nport = 2\n',
    )
    done = user.run("lock", cwd=root, check=False)
    assert done.returncode == 1
    for part in (
        "base is 'debian/bookworm' in ../a/devenv.toml:1 and 'debian/trixie' in devenv.toml:2",
        "packages.python is '3.11' in ../a/devenv.toml:3 and '3.12' in devenv.toml:4",
        "COLOUR is set 'red' by ../a/devenv.toml:5 and set 'blue' by devenv.toml:6",
        "go is an alias in ../a/devenv.toml:7 and a script in devenv.toml:8",
        "parameters.port is declared differently in ../a/devenv.toml:9 and devenv.toml:10",
    ):
        assert part in done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param('extends = "../nowhere"', "where there is no devenv.toml", id="missing"),
        pytest.param('extends = "../pipe"', "it is no regular file", id="pipe"),
        pytest.param('extends = "../endless"', "it is no regular file", id="device"),
        pytest.param('extends = "../huge"', "larger than 1 MiB", id="huge"),
        pytest.param('extends = "../binary"', "it is not UTF-8 text", id="binary"),
        pytest.param('extends = "../broken"', "../broken/devenv.toml:1", id="no TOML"),
        pytest.param('extends = "../circle"', "a circle", id="circle"),
        pytest.param('extends = "/bin"', "where there is no devenv.toml", id="no project"),
        pytest.param('extends = { git = "file:///nowhere/at/all" }', "git failed", id="no repository"),
        pytest.param('extends = { git = "ext::sh -c evil" }', "URL of a git repository", id="ext"),
        pytest.param('extends = "../leaf"\n[env]\nA = "${parameter:x}"', 'no parameter "x"', id="mark"),
        pytest.param('extends = { path = "a", rev = "b" }', "`path` alone", id="both"),
        pytest.param('members = ["apps/*"]', "no directory apps/* has a devenv.toml", id="no member"),
        pytest.param('members = ["../*"]', "must not hold `..`", id="member outside"),
    ],
)
def test_what_cannot_be_extended_is_said(user: User, tmp_path: Path, text: str, problem: str) -> None:
    for name in ("pipe", "endless", "huge", "binary"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe/devenv.toml")
    (tmp_path / "endless/devenv.toml").symlink_to("/dev/zero")
    (tmp_path / "huge/devenv.toml").write_text("#" * (5 << 20))
    (tmp_path / "binary/devenv.toml").write_bytes(b'name = "\xff"\n')
    write(tmp_path / "broken", "name = oops\n")
    write(tmp_path / "circle", 'extends = "../around"\n')
    write(tmp_path / "leaf", "[parameters]\ny = 1\n")
    write(tmp_path / "around", 'extends = "../circle"\n')
    root = write(tmp_path / "p", f"{text}\n")
    done = user.run("lock", cwd=root, check=False)
    if done.returncode == 0:
        done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert (done.returncode, problem in done.stderr) == (1, True), done.stderr


def test_a_repository_is_pinned_to_a_commit_with_its_files(user: User, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    write(origin / "envs/common", '[env]\nLEVEL = "one"\n')
    write(origin / "envs/py", 'extends = "../common"\n[env]\nPATH = { prepend = ["./bin"] }\n')
    tool(origin / "envs/py/bin", "helper", "from-git")
    commit(origin, "before")
    write(tmp_path / "sub", "")
    (tmp_path / "sub/data").write_text("of the submodule\n")
    commit(tmp_path / "sub", "data")
    allowing = [program("git"), "-c", "protocol.file.allow=always", "-C", str(origin)]
    add = ["submodule", "--quiet", "add", f"file://{tmp_path}/sub", "envs/py/sub"]
    subprocess.run([*allowing, *add], check=True)
    tool(origin / "envs/py/bin", "helper", 'from-git; cat "${0%/*}/../sub/data"')
    first = commit(origin, "first")
    root = write(tmp_path / "p", f'extends = {{ git = "file://{origin}", rev = "main", dir = "envs/py" }}\n')
    user.run("lock", cwd=root)
    assert inside(user, root, "echo $LEVEL; helper") == "one\nfrom-git\nof the submodule\n"
    (tree,) = json.loads((root / "devenv.lock").read_text())["extends"]
    assert (tree["commit"], sorted(tree["files"])) == (
        first,
        ["envs/common/devenv.toml", "envs/py/devenv.toml"],
    )
    write(origin / "envs/common", '[env]\nLEVEL = "two"\n')
    second = commit(origin, "second")
    assert inside(user, root, "echo $LEVEL") == "one\n"
    assert "up to date" in user.run("lock", cwd=root).stderr
    # Somebody else, who has the lock alone, gets the same commit.
    other = User(tmp_path / "other-home")
    shutil.copytree(root, tmp_path / "clone", ignore=shutil.ignore_patterns(".devenv"))
    assert inside(other, tmp_path / "clone", "echo $LEVEL; helper") == "one\nfrom-git\nof the submodule\n"
    assert f"{first[:12]} -> {second[:12]}" in user.run("lock", "--update", cwd=root).stderr
    assert inside(user, root, "echo $LEVEL") == "two\n"
    (root / "devenv.toml").write_text("[env]\n")
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert "is no longer extended" in done.stderr
    (root / "devenv.toml").write_text(f'extends = {{ git = "file://{origin}", rev = "v1" }}\n')
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert (done.returncode, "is new (devenv.toml:1)" in done.stderr) == (1, True)


def test_an_environment_in_the_store_can_be_extended(user: User, tmp_path: Path, shared: Path) -> None:
    first = write(
        tmp_path / "first", 'name = "first"\nextends = "../common"\n[scripts]\nshout = "echo LOUD"\n'
    )
    user.run("lock", cwd=first)
    user.run("enter", "-c", "true", cwd=first)
    spec = (first / ".devenv/env").resolve()
    root = write(tmp_path / "p", f'extends = "{spec}"\n[env]\nLEVEL = "debug"\n')
    user.run("lock", cwd=root)
    assert inside(user, root, "echo $LEVEL $REGION; shout") == "debug north\nLOUD\n"
    shutil.rmtree(first)
    user.run("gc", cwd=root)
    assert spec.is_dir(), "what an environment extends is kept with it"
    assert "first, ../common/devenv.toml:3" in user.run("why", "REGION", cwd=root).stdout


@pytest.fixture
def archive() -> Iterator[Archive]:
    with serving() as server:
        made = Archive(server)
        made.package("tool", entry("./usr/bin/tool", b"#!/bin/sh\necho tool of the base\n", mode=0o755))
        made.publish()
        yield made


def test_system_packages_come_along_with_an_environment_in_the_store(
    user: User, tmp_path: Path, archive: Archive
) -> None:
    require_sandboxes()
    user.env |= archive_settings(tmp_path, archive.server.url + "/debian")
    base = 'name = "tools"\nbase = "debian/bookworm"\n[packages]\nsystem = ["tool"]\n[env]\nLEVEL = "info"\n'
    first = write(tmp_path / "first", base)
    user.run("lock", cwd=first)
    user.run("enter", "-c", "true", cwd=first)
    spec = (first / ".devenv/env").resolve()
    extending = f'name = "p"\nextends = "{spec}"\n[env]\nOWN = "1"\n'
    root = write(tmp_path / "p", extending)
    user.run("lock", cwd=root)
    assert inside(user, root, "tool") == "tool of the base\n"
    shutil.rmtree(first)
    user.run("gc", cwd=root)
    for views in Path(user.env["HOME"]).rglob("*-fhs-root"):
        if views.is_dir():  # it is made again from what has come along
            subprocess.run(["chmod", "-R", "u+w", str(views)], check=True)
            shutil.rmtree(views)
    assert inside(user, root, "tool; echo $LEVEL $OWN") == "tool of the base\ninfo 1\n"
    write(
        root,
        f'{extending}[packages]\nsystem = ["base"]\n'.replace("extends", 'base = "debian/bookworm"\nextends'),
    )
    user.run("lock", cwd=root)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert done.returncode == 1
    assert "devenv.toml:3 extends brings its system packages along" in done.stderr
    assert "extend the devenv.toml of that environment instead" in done.stderr


def test_packages_of_lockfiles_stay_with_the_environment_that_has_them(
    user: User, tmp_path: Path, registry: Registry
) -> None:
    point_clients_at(registry, Path(user.env["HOME"]))
    first = tmp_path / "first"
    npm_project(first, registry)
    (first / "devenv.toml").write_text('name = "first"\n[env]\nLEVEL = "info"\n')
    user.run("lock", cwd=first)
    user.run("enter", "-c", "true", cwd=first)
    spec = (first / ".devenv/env").resolve()
    root = write(tmp_path / "p", f'extends = "{spec}"\n')
    user.run("lock", cwd=root)
    assert inside(user, root, "echo $LEVEL; echo $PATH").split("\n")[0] == "info"
    assert "node_modules" not in inside(user, root, "echo $PATH")
    assert not (root / "node_modules").exists()


PROFILES = """name = "p"

[env]
LEVEL = { default = "info" }

[profiles.ci.env]
LEVEL = "warn"
CI = "true"

[profiles.ci.scripts]
report = "echo reporting"

[profiles.local.env]
PATH = { prepend = ["./local"] }
"""


def test_profiles_are_added_for_one_time_and_recorded(user: User, tmp_path: Path) -> None:
    user.env.pop("CI", None)  # the profile sets it
    root = write(tmp_path / "p", PROFILES)
    tool(root / "local", "helper", "local")
    user.run("lock", cwd=root)
    assert inside(user, root, "echo $LEVEL${CI-}") == "info\n"
    both = ("--profile", "ci", "--profile", "local")
    assert inside(user, root, "echo $LEVEL; report; helper", *both) == "warn\nreporting\nlocal\n"
    assert inside(user, root, "echo $LEVEL${CI-}") == "info\n"
    user.run("rollback", "2", cwd=root)
    assert inside(user, root, "echo $LEVEL") == "warn\n"
    assert json.loads((root / ".devenv/env/env.json").read_text())["profiles"] == ["ci", "local"]
    done = user.run("enter", "--profile", "loca", "-c", "true", cwd=root, check=False)
    assert "did you mean `local`?" in done.stderr


def test_members_bring_their_packages_and_variables(user: User, tmp_path: Path, registry: Registry) -> None:
    point_clients_at(registry, user.home)
    root = write(tmp_path / "mono", 'name = "mono"\nmembers = ["apps/*", "libs/py"]\n[env]\nSHARED = "yes"\n')
    npm_project(root / "apps/web", registry, 2)
    write(root / "apps/web", 'extends = "../.."\n[env]\nPATH = { prepend = ["./bin"] }\nWEB = "1"\n')
    tool(root / "apps/web/bin", "helper", "web")
    python_project(root / "libs/py", registry, 1)
    write(root / "libs/py", 'extends = "../.."\n[packages]\npython = "3.11"\n')
    user.run("lock", cwd=root)
    line = "echo $SHARED$WEB; helper; hello0; ls apps/web/node_modules"
    assert inside(user, root, line).split() == ["yes1", "web", "hello", "from", "wheel0", "pkg0", "pkg1"]
    # A member alone has the repository's variables, and its own packages only.
    web = root / "apps/web"
    user.run("lock", cwd=web)
    assert inside(user, web, "echo $SHARED$WEB; helper; ls node_modules").split() == [
        "yes1",
        "web",
        "pkg0",
        "pkg1",
    ]
    python_project(root / "libs/py", registry, 2)
    done = user.run("enter", "-c", "true", cwd=root, check=False)
    assert "libs/py/requirements.txt changed" in done.stderr
