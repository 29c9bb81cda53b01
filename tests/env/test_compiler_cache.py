"""What shells and builds in a root with ccache are told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.env import compiler_cache


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "abc-fhs-root/usr/bin").mkdir(parents=True)
    (tmp_path / "abc-fhs-root/usr/bin/ccache").touch()
    (tmp_path / "abc-fhs-root/usr/lib/ccache-placed").mkdir(parents=True)
    (tmp_path / "abc-fhs-root/usr/lib/ccache-placed/identity").write_text("the-compilers\n")
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
    assert shell["CCACHE_COMPILERCHECK"] == "string:the-compilers"


@pytest.mark.parametrize(
    "path", ["/a:/usr/bin", "/a:/usr/lib/ccache-placed:/usr/bin", "/usr/lib/ccache-placed:/a:/usr/bin"]
)
def test_its_compilers_come_first_and_once(path: str) -> None:
    assert compiler_cache.search_path(path) == "/usr/lib/ccache-placed:/a:/usr/bin"


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


def test_a_shell_takes_what_packages_builds_compiled_and_cannot_write_there(root: str) -> None:
    own, built = compiler_cache.shell_variables(root, "/my project", {})["CCACHE_REMOTE_STORAGE"].split()
    assert own == "file:/my%20project/.devenv/state/ccache-shell|update-mtime=true"
    assert built == "file:/my%20project/.devenv/state/ccache-built|read-only"


def test_a_package_cannot_write_where_shells_do_and_reads_no_lists_of_headers(root: str) -> None:
    found = compiler_cache.package_build_variables(root) | compiler_cache.package_variables()
    assert found["CCACHE_NODIRECT"] == "1"
    shell = compiler_cache.package_build_variables(root)["CCACHE_REMOTE_STORAGE"].split()[1]
    assert shell == "file:/ccache-shell|read-only"


def test_a_users_own_storage_stays_and_another_shells_does_not(root: str) -> None:
    inside = compiler_cache.shell_variables(root, "/other", {})
    outer = {"CCACHE_REMOTE_STORAGE": inside["CCACHE_REMOTE_STORAGE"] + " redis://cache.test"}
    words = compiler_cache.shell_variables(root, "/p", outer)["CCACHE_REMOTE_STORAGE"].split()
    assert words[2:] == ["redis://cache.test"] and not any("/other" in word for word in words)
