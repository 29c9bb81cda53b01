"""What a root of Debian packages costs: unpacking, configuring, composing, beside dpkg-deb and cp.

    python bench/roots.py [--runs N] [--base debian/bookworm] [PACKAGE...]

Without packages the set is R with GDAL and a compiler, some 340 packages. They are downloaded once, from the mirrors that
this machine's apt is configured for, and that is not counted. Each run has a fresh store beside the downloads, and dpkg-deb
a fresh directory on the same file system; in turns, medians.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from devenv.debian.base import resolve, urls
from devenv.debian.locked import LockedBase
from devenv.derivations.graph import Node
from devenv.derivations.realise import realise
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.fhs.plan import RootPlan, derivations
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import remove
from devenv.views.root import compose

PACKAGES = ("r-base-core", "libgdal-dev", "g++", "gfortran", "make", "pkg-config")
TARGETS = {"unpack": 20.0, "configure": 15.0, "compose": 2.0}  # seconds, for 340 packages on two processors


class Bench:
    """`seconds` by the name of what was measured."""

    def __init__(self, directory: str, base: LockedBase, client: Client) -> None:
        self.directory = directory
        self.base = base
        self.client = client
        self.jobs = len(os.sched_getaffinity(0))
        self.seconds: dict[str, list[float]] = {}
        self.debs = self._download()

    def _download(self) -> list[str]:
        """The package files, in a store of their own from which all others take them."""
        self.downloads = Layout(f"{self.directory}/downloads")
        endpoints = self.client.endpoints
        plan = derivations(self.base, lambda deb: urls(deb, endpoints, self.base), self.downloads.store_dir)
        fetches = [below for node in plan.packages.values() for below in node.inputs]
        with Store.open(self.downloads) as store:
            self._realise(store, plan, fetches)
        return [str(node.out) for node in fetches]

    def _realise(self, store: Store, plan: RootPlan, nodes: Sequence[Node]) -> None:
        realise(store, plan.graph, nodes, client=self.client, pythons={}, reporter=Reporter(), jobs=self.jobs)

    def timed(self, name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)

    def ours(self, number: int) -> None:
        layout = Layout(f"{self.directory}/run-{number}")
        files = dict(zip((deb.sha256 for deb in self.base.packages), self.debs, strict=True))
        plan = derivations(self.base, lambda deb: [f"file://{files[deb.sha256]}"], layout.store_dir)
        fetches = [below for node in plan.packages.values() for below in node.inputs]
        with Store.open(layout) as store:
            self._realise(store, plan, fetches)
            self.timed("unpack", lambda: self._realise(store, plan, list(plan.packages.values())))
            self.timed("configure", lambda: self._realise(store, plan, [plan.configured]))
            configured = str(plan.configured.out)
            self.timed("compose", lambda: compose(plan.paths, configured, views_dir=layout.views))
            root = compose(plan.paths, configured, views_dir=layout.views)
            self.timed(
                "compose, when it is there", lambda: compose(plan.paths, configured, views_dir=layout.views)
            )
            self.timed(
                "cp --archive --link of the root", lambda: run("cp", "-al", root, f"{layout.root}/copy")
            )
        remove(layout.root)

    def theirs(self, number: int) -> None:
        for processes in (1, self.jobs):
            target = f"{self.directory}/dpkg-{number}"
            os.mkdir(target)
            script = 'for deb do dpkg-deb -x "$deb" "$0"; done'
            one = ["xargs", f"-P{processes}", "-n8", "sh", "-c", script, target]
            listed = "\n".join(self.debs).encode()
            self.timed(
                f"dpkg-deb -x, {processes} at a time",
                lambda: subprocess.run(one, input=listed, check=True),  # noqa: B023
            )
            remove(target)

    def show(self) -> None:
        packages = len(self.base.packages)
        size = sum(deb.size for deb in self.base.packages) / 1e6
        print(f"\n{packages} packages, {size:.0f} MB, {self.jobs} processors")
        for name, seconds in self.seconds.items():
            line = (
                f"  {name:<32} {statistics.median(seconds):8.3f} s  ({min(seconds):.3f} - {max(seconds):.3f})"
            )
            if name in TARGETS:
                line += f"   target for 340: <= {TARGETS[name]:g} s"
            print(line)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def scratch() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="devenv-bench-")
    try:
        yield os.path.realpath(directory)
    finally:
        remove(directory)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    parser.add_argument("--base", default="debian/bookworm")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with scratch() as directory:
        cache = f"{directory}/cache"
        endpoints = Endpoints.load(project=directory, environ=os.environ, registries={}, cache=cache)
        with Client(endpoints) as client:
            base = resolve(options.base, options.packages, cache_dir=cache, events=Reporter(), client=client)
            bench = Bench(directory, base, client)
            for number in range(options.runs):
                bench.ours(number)
                if shutil.which("dpkg-deb"):
                    bench.theirs(number)
            bench.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
