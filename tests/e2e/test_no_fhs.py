"""System packages used from outside of their root: patched programs, compilers and variables, with real packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network

BASE = "debian/bookworm"
PACKAGES = ["gcc", "g++", "pkg-config", "zlib1g-dev", "hello", "figlet"]
PROGRAM = r"""
#include <iostream>
#include <stdexcept>
#include <zlib.h>
int main() {
    try { throw std::runtime_error(zlibVersion()); }
    catch (std::exception &error) { std::cout << "zlib " << error.what() << std::endl; }
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[User, Path]:
    """Somebody and their project, which has been entered once."""
    require_sandboxes()
    folder = tmp_path_factory.mktemp("no-fhs")
    user, root = User(folder / "home"), folder / "it's a $(project)"
    root.mkdir()
    packages = ", ".join(f'"{name}"' for name in PACKAGES)
    (root / "devenv.toml").write_text(f'name = "p"\nbase = "{BASE}"\n[packages]\nsystem = [{packages}]\n')
    (root / "program.cc").write_text(PROGRAM)
    user.run("lock", cwd=root)
    user.run("enter", "--no-fhs", "-c", "true", cwd=root)
    return user, root


def outside(place: tuple[User, Path], line: str, *words: str, **variables: str) -> str:
    user, root = place
    done = user.run("enter", "--no-fhs", *words, "-c", line, cwd=root, check=True, timeout=300, **variables)
    return done.stdout


def tree_of(place: tuple[User, Path]) -> str:
    return outside(place, "command -v hello").strip().removesuffix("/usr/bin/hello")


def test_programs_run_with_the_packages_loader_and_libraries(place: tuple[User, Path]) -> None:
    tree = tree_of(place)
    assert tree.endswith("-fhs-root.relocated")
    assert outside(place, "hello") == "Hello, world!\n"
    # As the loader itself says which files it opened.
    used = outside(place, "LD_TRACE_LOADED_OBJECTS=1 hello")
    libraries = re.findall(r"(/\S*\.so\S*)", used)
    assert len(libraries) >= 2
    assert all(library.startswith(f"{tree}/") for library in libraries), used


def test_the_machine_stays_as_it_is(place: tuple[User, Path]) -> None:
    assert not os.path.exists("/usr/bin/figlet"), "the machine must lack a program of the packages"
    assert outside(place, "cat /etc/os-release") == Path("/etc/os-release").read_text()
    assert "figlet" in outside(place, "figlet -v | tail -n +1; readlink -f $(command -v figlet)")


@pytest.mark.parametrize("line", ["g++ program.cc $(pkg-config --cflags --libs zlib)", "c++ program.cc -lz"])
def test_what_the_packages_compiler_makes_runs_anywhere(place: tuple[User, Path], line: str) -> None:
    _, root = place
    made = outside(place, f"{line} -o program && ./program")
    assert made.startswith("zlib 1.")
    assert subprocess.run([root / "program"], capture_output=True, text=True, check=True).stdout == made


def test_static_libraries_and_single_steps_work(place: tuple[User, Path]) -> None:
    script = "g++ -c program.cc && g++ -static program.o -lz -o static && ./static && g++ -shared -fPIC program.cc -o l.so"
    assert outside(place, script).startswith("zlib 1.")
    assert outside(place, "cpp --version | head -1; gcc -v 2>&1 | tail -1").count("(Debian") == 2


def test_variables_lead_to_data_and_keep_the_users_own(place: tuple[User, Path]) -> None:
    tree = tree_of(place)
    line = 'printf "%s\\n" "$MANPATH" "$PKG_CONFIG_PATH" "$XDG_DATA_DIRS"'
    manuals, configs, data = outside(place, line, PKG_CONFIG_PATH="/own", MANPATH="/mine").splitlines()
    assert manuals == f"/mine:{tree}/usr/share/man"
    assert configs.endswith(":/own")
    assert configs.startswith(f"{tree}/usr/lib/")
    assert data == f"/usr/local/share:/usr/share:{tree}/usr/share"
    assert outside(place, "hello; printf %s $DEVENV_STATE", "--pure").endswith("/.devenv/state")


def test_the_tree_lives_as_long_as_the_root(place: tuple[User, Path]) -> None:
    user, root = place
    tree = tree_of(place)
    user.run("gc", cwd=root)
    assert os.path.isdir(tree)
    copy = root.parent / "other"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".devenv"))
    (copy / "devenv.toml").write_text(
        f'name = "q"\nbase = "{BASE}"\n[packages]\nsystem = ["hello"]\n', encoding="utf-8"
    )
    user.run("lock", cwd=copy)
    other = user.run("enter", "--no-fhs", "-c", "command -v hello", cwd=copy).stdout.strip()
    shutil.rmtree(copy)
    user.run("gc", "--keep", "1", cwd=root)
    assert not os.path.exists(other)
    assert os.path.isdir(tree)
