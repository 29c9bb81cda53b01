"""Every lockfile of a corpus beside what the ecosystem's own tool lists of it, as a table: `pytest -s -m "" tests/corpus`.

The corpus is the directory DEVENV_CORPUS, or `shared/corpus` beside the checkout: FAMILY/NAME/LOCKFILE. Each plan has the
packages that the tool lists for this platform, neither more nor less, or is refused for the reason that stands here.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from devenv.adapter import CargoSources, Options, Target
from devenv.errors import DevenvError
from tests.adapters.test_npm_corpus import compared
from tests.corpus import cargo, python, r
from tests.corpus.plans import Packages, answered, lockfile, packages
from tests.support.devenv import User
from tests.support.pythons import linux_target
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("DEVENV_CORPUS") or ROOT.parent / "shared/corpus")
KINDS = (
    "Cargo.lock",
    "package-lock.json",
    "renv.lock",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pylock*.toml",
    "*.txt",
)
REFUSED: dict[str, str] = {}


def files() -> list[Path]:
    if not CORPUS.is_dir():
        return []
    return sorted(path for kind in KINDS for path in CORPUS.rglob(kind))


def name_of(file: Path) -> str:
    return str(file.relative_to(CORPUS))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(tmp_path_factory.mktemp("corpus") / "home")


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, str, str, str]]]:
    """Rows, printed when all are there."""
    rows = [("lockfile", "ours", "the tool's own", "tool")]
    yield rows
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print(
            "\n" + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)),
            row[3],
            end="",
        )
    print()


@pytest.fixture(scope="module")
def renv(user: User) -> dict[str, Packages]:
    """What renv reads in each renv.lock, asked once."""
    require_sandboxes()
    words = r.command([str(file) for file in files() if file.name == "renv.lock"])
    return r.listed(in_root(user, words, user.home))


def in_root(user: User, words: list[str], cwd: Path) -> str:
    """Run a program of the system packages, which need not be on this machine."""
    packages = ("cargo", "rustc", "r-base-core", "r-cran-renv")
    return user.run("fhs", "--yes", "--base", "debian/trixie", *packages, "--", *words, cwd=cwd).stdout


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus: {CORPUS} is no directory")
@pytest.mark.parametrize("file", files(), ids=name_of)
def test_plan_is_what_the_tool_lists(
    file: Path,
    user: User,
    table: list[tuple[str, str, str, str]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if file.name == "package-lock.json":
        _, said = compared(file.parent, tmp_path)
        ours, _, read = said.rpartition(", npm reads ")
        table.append((name_of(file), ours or said, read, "npm (arborist)"))
        return
    copy, target = python.prepared(file, tmp_path / "project"), target_of(file)
    try:
        found = answered(lockfile(copy, Options()), target)
    except DevenvError as error:
        assert REFUSED[name_of(file)] in str(error)
        table.append((name_of(file), f"refused: {REFUSED[name_of(file)]}", "", ""))
        return
    if isinstance(found.view, CargoSources):
        config = cargo.project(copy, found.view, tmp_path)
        said = in_root(user, cargo.command(config), config.parents[4])
        theirs, tool = cargo.listed(said, copy), "cargo metadata"
    elif file.name == "renv.lock":
        theirs, tool = request.getfixturevalue("renv")[str(file)], "renv::lockfile_read"
    else:
        theirs, tool = python.listed(python.Tools(user.env), copy, target)
    mine = packages(found)
    table.append((name_of(file), str(len(mine)), str(len(theirs)), tool))
    assert differences(mine, theirs) == []
    assert name_of(file) not in REFUSED


def differences(ours: Packages, theirs: Packages) -> list[str]:
    """What only one of them has. Where a tool tells no version (a repository, a directory), the name counts."""
    unversioned = {name for name, version in theirs if not version}
    mine = {(name, "" if name in unversioned else version) for name, version in ours}
    return [f"only ours: {each}" for each in sorted(mine - theirs)] + [
        f"only the tool's: {each}" for each in sorted(theirs - mine)
    ]


def target_of(file: Path) -> Target:
    """This machine, with the interpreter that runs the tests, or the next one that the lockfile is for."""
    asked = SpecifierSet(python.asked_python(file))
    versions = (platform.python_version(), "3.12.4", "3.10.9")
    return linux_target(next(version for version in versions if version in asked))
