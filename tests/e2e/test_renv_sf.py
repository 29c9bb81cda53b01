"""examples/spatial, whole: sf built from source against libraries of the base, and renv's own word about the result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.server import serving
from tests.support.debian_r import DEBIAN_R
from tests.support.devenv import User
from tests.support.r_repository import Repository, r_tarball
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples/spatial"

FILES = [
    DEBIAN_R[name]
    for name in (
        *("DBI", "KernSmooth", "MASS", "Rcpp", "class", "classInt", "e1071", "magrittr", "proxy", "renv"),
        *("s2", "sf", "units", "wk"),
    )
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    cache = tmp_path_factory.mktemp("debian")
    with serving() as server:
        found = Repository(server)
        for file in FILES:
            # Some are earlier versions in a real repository.
            archived = file.name in ("Rcpp", "proxy")
            found.add(file.name, file.version, r_tarball(file, cache), archived=archived)
        yield found


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, repository: Repository) -> User:
    require_sandboxes()
    found = User(tmp_path_factory.mktemp("spatial") / "home")
    found.env["RENV_CONFIG_REPOS_OVERRIDE"] = repository.url
    shutil.copytree(EXAMPLE, found.home / "spatial")
    found.run("lock", cwd=found.home / "spatial")
    found.run("enter", "--", "true", cwd=found.home / "spatial", timeout=3000)
    return found


def r(user: User, *arguments: str) -> str:
    done = user.run("enter", "--", "Rscript", *arguments, cwd=user.home / "spatial")
    return done.stdout + done.stderr


def test_what_sf_needs_of_the_system_comes_along(user: User) -> None:
    text = (user.home / "spatial/devenv.lock").read_text()
    for name in ("libgdal-dev", "libgeos-dev", "libproj-dev", "libudunits2-dev", "libsqlite3-dev"):
        assert f'"{name}"' in text


def test_coordinates_are_transformed(user: User) -> None:
    said = r(user, "transform.R")
    assert "GDAL" in said and "PROJ" in said
    assert "391391 5817855" in said


def test_units_are_converted(user: User) -> None:
    said = r(user, "-e", "cat(format(units::set_units(units::set_units(1, km), m)))")
    assert said.endswith("1000 [m]")


@pytest.mark.parametrize("activated", [False, True], ids=["as it is", "activated"])
def test_renv_finds_the_library_in_sync_and_restores_nothing(user: User, activated: bool) -> None:
    if activated:
        r(user, "-e", "renv::activate()")
        assert (user.home / "spatial/.Rprofile").is_file()
    assert "No issues found -- the project is in a consistent state." in r(user, "-e", "renv::status()")
    said = r(user, "-e", "renv::restore(prompt = FALSE); cat(find.package('sf'))")
    assert "The library is already synchronized with the lockfile." in said
    assert said.endswith("/.devenv/r/library/R-4.5/x86_64-pc-linux-gnu/sf")


def test_a_second_checkout_builds_nothing(user: User, repository: Repository) -> None:
    asked = repository.asked("sf")
    other = user.home / "other"
    shutil.copytree(
        user.home / "spatial", other, ignore=shutil.ignore_patterns(".devenv", "renv", ".Rprofile")
    )
    done = user.run("enter", "--", "Rscript", "transform.R", cwd=other)
    assert "391391 5817855" in done.stdout and "building" not in done.stderr
    assert repository.asked("sf") == asked


def test_a_project_comes_to_depend_on_sf(
    user: User, repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From renv alone, by one command: R packages and libraries of the system."""
    cache = tmp_path_factory.mktemp("current")
    for file in FILES:
        if file.name in ("Rcpp", "proxy"):  # what is in the index can be asked for
            repository.add(file.name, file.version, r_tarball(file, cache))
    root = user.home / "new"
    shutil.copytree(EXAMPLE, root)
    lock = json.loads((root / "renv.lock").read_text())
    lock["Packages"] = {"renv": lock["Packages"]["renv"]}
    (root / "renv.lock").write_text(json.dumps(lock, indent=2))
    user.run("lock", cwd=root)
    assert "libgdal-dev" not in (root / "devenv.lock").read_text()
    before = (root / "devenv.toml").read_bytes()
    user.run("add", "r:sf", cwd=root)
    assert {"sf", "units", "Rcpp", "s2"} <= set(json.loads((root / "renv.lock").read_text())["Packages"])
    assert "libgdal-dev" in (root / "devenv.lock").read_text()
    assert (
        "391391 5817855" in user.run("enter", "--", "Rscript", "transform.R", cwd=root, timeout=3000).stdout
    )
    assert (root / "devenv.toml").read_bytes() == before
