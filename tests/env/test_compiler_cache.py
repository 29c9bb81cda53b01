"""What shells and builds in a root with ccache are told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.env import compiler_cache


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "abc-fhs-root/usr/bin").mkdir(parents=True)
    (tmp_path / "abc-fhs-root/usr/bin/ccache").touch()
    return str(tmp_path / "abc-fhs-root")


def test_a_root_without_it_changes_nothing(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert compiler_cache.shell_variables(root, "/p", {}) == {}
    assert compiler_cache.identity(root) == {}


def test_shell_and_build_know_the_compilers_by_the_same_name(root: str) -> None:
    shell = compiler_cache.shell_variables(root, "/p", {})
    build = compiler_cache.build_variables(root)
    for name in ("CCACHE_COMPILERCHECK", "CCACHE_SLOPPINESS"):
        assert shell[name] == build[name]
    assert shell["CCACHE_COMPILERCHECK"] == "string:abc-fhs-root"


@pytest.mark.parametrize(
    "path", ["/a:/usr/bin", "/a:/usr/lib/ccache:/usr/bin", "/usr/lib/ccache:/a:/usr/bin"]
)
def test_its_compilers_come_first_and_once(path: str) -> None:
    assert compiler_cache.search_path(path) == "/usr/lib/ccache:/a:/usr/bin"


OWN = "/p/.devenv/state/ccache"
DIRECTORIES: dict[str, tuple[dict[str, str], str, str | None]] = {
    "the project's": ({}, OWN, f"{OWN}.conf"),
    "the user's": ({"CCACHE_DIR": "/home/u/cache"}, "/home/u/cache", None),
    "of another project's shell": ({"CCACHE_DIR": "/other/.devenv/state/ccache"}, OWN, f"{OWN}.conf"),
    "empty": ({"CCACHE_DIR": ""}, OWN, f"{OWN}.conf"),
}


@pytest.mark.parametrize(
    ("environ", "directory", "configuration"), DIRECTORIES.values(), ids=DIRECTORIES.keys()
)
def test_the_cache_is_the_users_or_the_projects(
    root: str, environ: dict[str, str], directory: str, configuration: str | None
) -> None:
    assert compiler_cache.directory("/p", environ) == directory
    found = compiler_cache.shell_variables(root, "/p", environ)
    assert (found["CCACHE_DIR"], found.get("CCACHE_CONFIGPATH")) == (directory, configuration)


def test_no_configuration_is_read_from_where_builds_write(root: str) -> None:
    for found in (compiler_cache.build_variables(root), compiler_cache.shell_variables(root, "/p", {})):
        assert not found["CCACHE_CONFIGPATH"].startswith(f"{found['CCACHE_DIR']}/")
