"""The resolver against apt's own answer, from this machine's own mirrors."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from devenv.debian.base import _universe, open_base, resolve
from devenv.debian.family import parse_base
from devenv.debian.suites import Places
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from tests.support.programs import program

pytestmark = [pytest.mark.network, pytest.mark.slow]

# Packages, and how many of the set may differ: both answers are right where alternatives are equally good.
SETS = {
    "compiler and GIS": ("bookworm", "r-base-core libgdal-dev g++ gfortran make", 1),
    "browser": ("bookworm", "chromium", 0),
    "TeX": ("bookworm", "texlive-latex-recommended", 0),
    "Java": ("bookworm", "default-jdk maven", 0),
    "servers": ("bookworm", "postgresql redis-server nginx php-fpm", 0),
    "toolkit": ("bookworm", "libgtk-4-dev", 1),
    "editors": ("bookworm", "git vim less man-db emacs", 0),
    "Python": ("bookworm", "python3-numpy python3-gdal", 0),
    "the second alternative by name": ("bookworm", "libcurl4-openssl-dev libgdal-dev", 0),
    "newer suite": ("trixie", "python3 nodejs fish", 0),
    "newer toolkit": ("trixie", "libgtk-4-dev inkscape", 0),
    "newer browser": ("trixie", "chromium", 0),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("archive")
    endpoints = Endpoints.load(project=str(folder), environ=os.environ, registries={}, cache=str(folder))
    with Client(endpoints) as client:
        yield Places(client, str(folder), Reporter())


class Apt:
    """apt-get with a state of its own, in which nothing is installed."""

    def __init__(self, folder: Path, places: Places, suite: str) -> None:
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        endpoints = places.client.endpoints
        debian, security = (endpoints.archives.mirrors(each)[0] for each in ("debian", "debian-security"))
        lines = [(debian, suite), (debian, f"{suite}-updates"), (security, f"{suite}-security")]
        (folder / "sources.list").write_text("".join(f"deb {url} {name} main\n" for url, name in lines))
        self._folder = folder
        self.run("update")

    def run(self, *arguments: str) -> str:
        settings = {
            "Dir::State": f"{self._folder}/state",
            "Dir::State::status": f"{self._folder}/status",
            "Dir::Cache": f"{self._folder}/cache",
            "Dir::Etc::sourcelist": f"{self._folder}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",
            "Debug::NoLocking": "true",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        done = subprocess.run(
            [program("apt-get"), "-qq", *options, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def choose(self, *packages: str) -> set[tuple[str, str, str]]:
        """(name, version, architecture) of what would be installed."""
        found = re.findall(
            r"^Inst ([^ :]+)\S* \(([^ ]+) .*\[([a-z0-9]+)\]\)",
            self.run("-s", "install", *packages),
            re.MULTILINE,
        )
        return set(found)


@pytest.fixture(scope="module")
def apt(places: Places, tmp_path_factory: pytest.TempPathFactory) -> object:
    @cache
    def for_suite(suite: str) -> Apt:
        return Apt(tmp_path_factory.mktemp("apt"), places, suite)

    return for_suite


def essential(places: Places, suite: str) -> list[str]:
    with open_base(places, parse_base(f"debian/{suite}"), architectures=["amd64"], max_age=3600) as opened:
        return [each.name for each in _universe(opened, "amd64", None).essential()]


@pytest.mark.parametrize("name", SETS)
def test_the_set_is_the_one_that_apt_chooses(name: str, places: Places, apt: object) -> None:
    suite, packages, differing = SETS[name]
    locked = resolve(
        f"debian/{suite}",
        packages.split(),
        cache_dir=places.cache.removesuffix("/debian"),
        events=Reporter(),
        client=places.client,
        max_age=3600,
    )
    assert callable(apt)
    theirs = apt(suite).choose(*packages.split(), *essential(places, suite))
    ours = {(deb.name, deb.version, deb.architecture) for deb in locked.packages}
    assert len(ours - theirs) <= differing and len(theirs - ours) <= differing, ours ^ theirs
