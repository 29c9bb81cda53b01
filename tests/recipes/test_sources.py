"""The files of a project that recipes are made from."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from devenv.recipes.errors import RecipeError
from devenv.recipes.sources import SourceTree, add_file, add_source, file_path, source_path
from devenv.store.local import Store
from tests.store.conftest import layout, store

__all__ = ["layout", "store"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for directory in ("src/lib", ".git", ".devenv", "node_modules/x", "web/node_modules", "docs"):
        (root / directory).mkdir(parents=True)
    for name in ("src/main.c", "src/main.o", "src/lib/a.c", "Makefile", ".git/config", ".devenv/stamp"):
        (root / name).write_text(name)
    (root / "node_modules/x/index.js").write_text("x")
    (root / "node_modules/.devenv-view").write_text("{}")
    (root / "web/node_modules/mine.js").write_text("mine")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o700)
    (root / "src/link").symlink_to("../Makefile")
    return root


def tree(project: Path, *paths: str, exclude: tuple[str, ...] = ()) -> SourceTree:
    return SourceTree(project=str(project), paths=paths, exclude=exclude, recipe="hello")


def listed(path: str) -> list[str]:
    found = []
    for place, directories, names in os.walk(path):
        directories.sort()
        found += [os.path.relpath(os.path.join(place, name), path) for name in names]
    return sorted(found)


ALL = ["Makefile", "run", "src/lib/a.c", "src/link", "src/main.c", "src/main.o", "web/node_modules/mine.js"]


@pytest.mark.parametrize(
    ("paths", "exclude", "expected"),
    [
        ((".",), (), ALL),
        (("src", "Makefile"), (), ["Makefile", "src/lib/a.c", "src/link", "src/main.c", "src/main.o"]),
        (("src/main.c",), (), ["src/main.c"]),
        (("src/lib", "src"), (), ["src/lib/a.c", "src/link", "src/main.c", "src/main.o"]),
        (("src/lib", "src/main.c"), (), ["src/lib/a.c", "src/main.c"]),
        (("src",), ("*.o", "src/lib"), ["src/link", "src/main.c"]),
        (("src",), ("lib",), ["src/link", "src/main.c", "src/main.o"]),
        ((".", "src"), ("*",), []),
    ],
    ids=["all", "two", "a file", "one in the other", "parts", "patterns", "a name", "nothing left"],
)
def test_what_is_named_is_there_and_nothing_else(
    project: Path, store: Store, paths: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    wanted = tree(project, *paths, exclude=exclude)
    path = add_source(wanted, store)
    assert listed(path) == expected
    assert path == source_path(wanted, store.store_dir), "known before it is there"
    assert path.endswith("-hello-source")


def test_programs_stay_programs_and_times_do_not_matter(project: Path, store: Store) -> None:
    first = add_source(tree(project, "run", "Makefile"), store)
    assert os.access(os.path.join(first, "run"), os.X_OK)
    os.utime(project / "Makefile", (1, 1))
    assert add_source(tree(project, "Makefile", "run"), store) == first
    (project / "Makefile").write_text("other")
    assert add_source(tree(project, "Makefile", "run"), store) != first


def test_a_patch_is_an_object_by_itself(project: Path, store: Store) -> None:
    wanted = tree(project)
    path = add_file(wanted, "src/main.c", store)
    assert Path(path).read_text() == "src/main.c"
    assert path == file_path(wanted, "src/main.c", store.store_dir) == add_file(wanted, "src/main.c", store)
    assert path.endswith("-main.c")


def test_what_is_not_there_is_named(project: Path, store: Store) -> None:
    with pytest.raises(RecipeError, match=r"the sources of hello: there is no src/mian\.c in the project"):
        add_source(tree(project, "src/mian.c"), store)
    with pytest.raises(RecipeError, match=r"reading nothing\.patch"):
        add_file(tree(project), "nothing.patch", store)


def test_a_socket_is_refused_with_the_way_to_leave_it_out(
    project: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(project / "src")  # the names of sockets are short
        listening.bind("control")
    with pytest.raises(RecipeError, match="src/control is neither") as caught:
        add_source(tree(project, "src"), store)
    assert caught.value.hint == 'leave it out: exclude = ["control"]'
    add_source(tree(project, "src", exclude=("control",)), store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_named(project: Path, store: Store) -> None:
    (project / "src/main.c").chmod(0)
    with pytest.raises(RecipeError, match=r"src/main\.c: Permission denied"):
        add_source(tree(project, "src"), store)


def test_a_link_leads_nowhere_outside(project: Path, store: Store, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key").write_text("secret")
    (project / "out").symlink_to(tmp_path / "private")
    (project / "key.patch").symlink_to(tmp_path / "private/key")
    with pytest.raises(RecipeError, match="out is no directory of the project"):
        add_source(tree(project, "out/key"), store)
    with pytest.raises(RecipeError, match="no file of the project"):
        add_file(tree(project), "key.patch", store)
    path = add_source(tree(project, "out"), store)
    assert os.readlink(os.path.join(path, "out")) == str(tmp_path / "private")


def test_a_very_deep_tree_is_no_trouble(project: Path, store: Store) -> None:
    here = os.open(project, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    add_source(tree(project, "d"), store)
    with pytest.raises(RecipeError, match="a path of 500 directories"):
        add_source(tree(project, "/".join(["d"] * 500)), store)
