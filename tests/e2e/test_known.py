"""A second checkout of a project whose environment was made before: the same, without being planned again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.registry import Registry, point_clients_at, serve

_PLANNING = "devenv.instantiation"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with serve(Registry()) as running:
        yield running


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> User:
    """Shared by all: what a test destroys, entering mends."""
    found = User(tmp_path_factory.mktemp("known") / "home")
    point_clients_at(registry, found.home)
    found.env["DEVENV_COMPILE"] = "never"
    return found


@pytest.fixture(scope="module")
def first(user: User, registry: Registry) -> Path:
    """A project with packages of both kinds, entered once."""
    root = user.home.parent / "first"
    python_project(root, registry)
    npm_project(root, registry)
    configure(root)
    user.run("lock", cwd=root)
    user.run("enter", "-c", "true", cwd=root)
    return root


def checkout(project: Path, name: str) -> Path:
    """Another one, without what devenv made."""
    place = project.parent / name
    shutil.rmtree(place, ignore_errors=True)
    return shutil.copytree(project, place, ignore=shutil.ignore_patterns(".devenv", "node_modules"))


def enter(user: User, root: Path, line: str = "hello0", **env: str) -> tuple[str, bool]:
    """What a line prints in there, and whether the environment was planned for it."""
    before = user.env
    user.env = {**before, "PYTHONPROFILEIMPORTTIME": "1", **env}
    done = user.run("enter", "-c", line, cwd=root)
    user.env = before
    return done.stdout, re.search(rf"\| *{_PLANNING}\n", done.stderr) is not None


def contents(root: Path) -> dict[str, str]:
    """What lies below a checkout: path -> link or contents, the checkout's own path as a word."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            text = (
                path.read_bytes().replace(str(root).encode(), b"PROJECT").replace(root.name.encode(), b"NAME")
            )
            found[name] = text.decode("utf-8", "surrogateescape")
    return found


def comparable(root: Path) -> dict[str, str]:
    """The contents but for what hashes the path of the checkout, or an inode."""
    found = contents(root)
    for name in [*found]:
        if name.endswith(
            (".devenv-view", ".devenv/shell.drv", ".dist-info/RECORD", "python-libraries", ".pyc")
        ):
            del found[name]
    return found


def test_another_checkout_is_entered_without_planning(first: Path, user: User, registry: Registry) -> None:
    second = checkout(first, "second")
    registry.requests.clear()
    assert enter(user, second) == ("hello from wheel0\n", False)
    assert not registry.requests
    shutil.rmtree(user.home / ".local/state/devenv/known")
    third = checkout(first, "third")
    assert enter(user, third) == ("hello from wheel0\n", True)
    assert comparable(second) == comparable(third)
    # The records have the hashes of scripts that name their place, so they are compared with those.
    scripts = list(second.glob(".devenv/python/lib/python3.*/site-packages/wheel0-1.0.dist-info/RECORD"))
    assert scripts
    from devenv.views.wheel_tree import record_columns

    script = (second / ".devenv/python/bin/hello0").read_bytes()
    assert ",".join(record_columns(script)) in scripts[0].read_text()
    for root in (second, third):
        assert os.readlink(root / ".devenv/shell.drv").endswith("-project-shell.drv")
        assert enter(user, root) == ("hello from wheel0\n", False)  # by its stamp
        status = user.run("status", cwd=root)
        assert "drift" not in status.stdout


def _edit(name: str, text: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / name).write_text(text)

    return edit


def _override(root: Path) -> None:
    (root / "devenv.d/pip").mkdir(parents=True)
    (root / "devenv.d/pip/wheel0.toml").write_text('[env]\nX = "1"\n')


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        pytest.param(_edit("requirements.txt", "wheel0==2\n"), True, id="a lockfile differs"),
        pytest.param(_edit("poetry.lock", "# another\n"), True, id="there is one more lockfile"),
        pytest.param(lambda root: (root / "package-lock.json").unlink(), True, id="a lockfile is missing"),
        pytest.param(_override, True, id="an override appears"),
        pytest.param(_edit("unrelated.txt", "x"), False, id="another file"),
    ],
)
def test_only_a_checkout_with_the_same_files_is_taken_for_the_same(
    change: Callable[[Path], None], fails: bool, first: Path, user: User
) -> None:
    second = checkout(first, "second")
    change(second)
    done = user.run("enter", "-c", "hello0", cwd=second, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    assert (done.stdout == "hello from wheel0\n") != fails


def test_a_path_that_needs_other_scripts_is_planned_for(first: Path, user: User) -> None:
    assert enter(user, checkout(first, "with a blank")) == ("hello from wheel0\n", True)


def test_another_way_to_find_an_interpreter_is_planned_for(first: Path, user: User) -> None:
    second = checkout(first, "second")
    assert enter(user, second, PATH=user.env["PATH"] + ":/nowhere") == ("hello from wheel0\n", True)


def test_what_was_deleted_from_the_store_is_made_again(first: Path, user: User, registry: Registry) -> None:
    (tree,) = user.store_root.glob("store/*-wheel0-1.0")
    tree.chmod(0o755)
    os.rename(tree, user.store_root / "deleted")
    assert enter(user, checkout(first, "second")) == ("hello from wheel0\n", True)


def test_byte_code_that_came_later_is_put_in_place(first: Path, user: User) -> None:
    user.run("enter", "-c", "true", cwd=first, DEVENV_COMPILE="now")
    second = checkout(first, "second")
    assert enter(user, second)[0] == "hello from wheel0\n"
    assert list(second.glob(".devenv/python/lib/python3.*/site-packages/wheel0/__pycache__/*.pyc"))


def test_what_lies_in_the_way_is_kept(first: Path, user: User) -> None:
    second = checkout(first, "second")
    (second / "node_modules/mine").mkdir(parents=True)
    (second / "node_modules/mine/index.js").write_text("mine")
    done = user.run("enter", "-c", "hello0", cwd=second)
    assert "it was moved to" in done.stderr
    assert (second / ".devenv/replaced/node_modules/mine/index.js").read_text() == "mine"


def test_a_damaged_record_is_none(first: Path, user: User) -> None:
    for path in (user.home / ".local/state/devenv/known").iterdir():
        if "." not in path.name:
            path.write_text(path.read_text()[:-100])
    assert enter(user, checkout(first, "second")) == ("hello from wheel0\n", True)
