"""Debian-family archives beside apt: indices, resolution, and which package has a file, in one run.

    python bench/archive.py [--base debian/bookworm] [--runs N] [--directory DIR] [PACKAGE...]

Needs apt-get; mirrors are those that apt is configured for. Every row prints medians and how devenv's relates to
apt's, or to the target of the project's design. Times of indices hold the download too, on both sides.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from devenv.debian.base import open_base, resolve
from devenv.debian.contents import open_contents
from devenv.debian.family import parse_base
from devenv.debian.solve import solve
from devenv.debian.suites import Places
from devenv.debian.universe import Universe
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client

PACKAGES = ("r-base-core", "libgdal-dev", "g++", "gfortran", "make")
NAMES = ("libGL.so.1", "bin/gdalinfo", "gdal.h", "libssl.so.3", "/usr/bin/git", "libnothing.so.7")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--base", default="debian/bookworm")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="devenv-bench-", dir=options.directory)
    endpoints = Endpoints.load(project=folder, environ=os.environ, registries={}, cache=folder)
    try:
        with Client(endpoints) as client:
            bench = Bench(folder, client, options.base, tuple(options.packages), options.runs)
            bench.indices()
            bench.resolution()
            bench.contents()
    finally:
        shutil.rmtree(folder)
    return 0


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Bench:
    """The rows, and the directory they work in."""

    def __init__(self, folder: str, client: Client, base: str, packages: tuple[str, ...], runs: int) -> None:
        self.folder, self.client, self.base = folder, client, base
        self.packages, self.runs = packages, runs
        self.places = Places(client, folder, Reporter())

    def forget(self, kind: str) -> None:
        """Delete what is kept of one kind: "packages", "contents"."""
        for name in os.listdir(self.places.cache):
            if name.startswith(f"{kind}-"):
                os.unlink(os.path.join(self.places.cache, name))

    def size(self, kind: str) -> float:
        """Megabytes."""
        names = [name for name in os.listdir(self.places.cache) if name.startswith(f"{kind}-")]
        return sum(os.path.getsize(os.path.join(self.places.cache, name)) for name in names) / 1e6

    def apt(self, *arguments: str) -> str:
        state = os.path.join(self.folder, "apt")
        for name in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(state, name), exist_ok=True)
        base, mirrors = parse_base(self.base), self.client.endpoints.archives.mirrors
        with open(f"{state}/sources.list", "w", encoding="utf-8") as file:
            file.writelines(f"deb {mirrors(suite.archive)[0]} {suite.name} main\n" for suite in base.suites)
        with open(f"{state}/status", "w", encoding="utf-8"):
            pass
        settings = {
            "Dir::State": f"{state}/state",
            "Dir::State::status": f"{state}/status",
            "Dir::Cache": f"{state}/cache",
            "Dir::Etc::sourcelist": f"{state}/sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",
            "Debug::NoLocking": "true",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        done = subprocess.run(["apt-get", "-qq", *options, *arguments], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"apt-get {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def open(self, max_age: float = 0.0) -> list[str]:
        """The base's indices; the names of its Essential packages."""
        with open_base(
            self.places, parse_base(self.base), architectures=["amd64"], max_age=max_age
        ) as opened:
            return [each.name for each in Universe(opened.origins, "amd64").essential()]

    def indices(self) -> None:
        own, theirs = [], []
        for _ in range(self.runs):
            self.forget("packages")
            shutil.rmtree(os.path.join(self.folder, "apt"), ignore_errors=True)
            own.append(timed(self.open))
            theirs.append(timed(lambda: self.apt("update")))
        show("fetch, verify and index the suites", own, theirs, "apt-get update")
        print(f"    {self.size('packages'):.0f} MB of databases")

    def resolution(self) -> None:
        essential = self.open(max_age=3600)
        own, theirs, solver = [], [], []
        count = 0
        for _ in range(self.runs):
            own.append(timed(self.resolve))
            theirs.append(timed(lambda: self.apt("-s", "install", *self.packages, *essential)))
            with open_base(
                self.places, parse_base(self.base), architectures=["amd64"], max_age=3600
            ) as opened:
                universe = Universe(opened.origins, "amd64")
                began = time.perf_counter()
                count = len(solve(universe, [universe.named(name) for name in self.packages]))
                solver.append(time.perf_counter() - began)
        show(f"resolve {count} packages", own, theirs, "apt-get -s install")
        print(f"    {statistics.median(solver) * 1000:.0f} ms of it in the solver")

    def resolve(self) -> None:
        resolve(
            self.base,
            self.packages,
            cache_dir=self.folder,
            events=Reporter(),
            client=self.client,
            max_age=3600,
        )

    def contents(self) -> None:
        base = parse_base(self.base)
        made = []
        for _ in range(self.runs):
            self.forget("contents")
            made.append(timed(lambda: open_contents(self.places, base, "amd64", max_age=3600)))
        print(f"{'index of files, made':40} {statistics.median(made):9.2f} s    target 20 s")
        print(f"    {self.size('contents'):.0f} MB of databases")
        with open_contents(self.places, base, "amd64", max_age=3600) as contents:
            for name in NAMES:
                times = [timed(lambda: contents.find(name)) for _ in range(50)]  # noqa: B023
                print(f"{'locate ' + name:40} {statistics.median(times) * 1000:9.3f} ms   target 20 ms")


def show(label: str, own: list[float], theirs: list[float], peer: str) -> None:
    ours, other = statistics.median(own), statistics.median(theirs)
    print(f"{label:40} {ours:9.2f} s    {peer} {other:.2f} s, ours / this = {ours / other:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
