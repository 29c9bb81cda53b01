"""An R library of a lock, beside renv::restore() of the same lock from the same repository, in the same R.

    python bench/r_library.py [--runs N] [--base debian/trixie]

The packages are those that Debian has the unchanged sources of; they are downloaded once and served on loopback. R and the
compilers are one root for both, which is made first and not counted.

    cold    nothing is there: fetched and built          warm   another checkout: built before, on this machine
    again   everything is there, and looked at
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fetch.server import serving
from tests.support.debian_r import DEBIAN_R
from tests.support.devenv import User
from tests.support.r_repository import DebianFile, Repository, r_tarball

FILES = tuple(DEBIAN_R[name] for name in ("R6", "glue", "magrittr", "DBI", "proxy"))
RENV = DEBIAN_R["renv"]
CONFIG = 'name = "bench"\nbase = "{base}"\n\n[packages]\nr = "4"\n'


class Bench:
    """`seconds` by what was measured. `with_renv` is a project that keeps the root, and has renv itself."""

    def __init__(self, directory: Path, repository: Repository, base: str) -> None:
        self.directory, self.repository, self.base = directory, repository, base
        self.user = User(directory / "home")
        self.seconds: dict[str, list[float]] = {}
        self.with_renv = self.project("with-renv", (RENV,))
        self.enter(self.with_renv)

    def project(self, name: str, files: tuple[DebianFile, ...]) -> Path:
        root = self.directory / name
        root.mkdir()
        (root / "devenv.toml").write_text(CONFIG.format(base=self.base))
        records = {
            file.name: {
                "Package": file.name,
                "Version": file.version,
                "Source": "Repository",
                "Repository": "CRAN",
            }
            for file in files
        }
        repositories = [{"Name": "CRAN", "URL": self.repository.url}]
        document = {"R": {"Version": "4.5.0", "Repositories": repositories}, "Packages": records}
        (root / "renv.lock").write_text(json.dumps(document, indent=2))
        return root

    def enter(self, root: Path) -> None:
        if not (root / "devenv.lock").exists():
            self.user.run("lock", cwd=root)
        self.user.run("enter", "--", "true", cwd=root)

    def restore(self, lock: Path, library: Path, cache: Path) -> None:
        code = f"renv::restore(lockfile='{lock}', library='{library}', prompt=FALSE)"
        library.mkdir(exist_ok=True)
        self.user.run(
            *("enter", "--", "env", f"RENV_PATHS_CACHE={cache}", f"RENV_PATHS_SOURCE={cache}-sources"),
            *("RENV_CONFIG_CACHE_ENABLED=TRUE", "Rscript", "-e", code),
            cwd=self.with_renv,
        )

    def timed(self, name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        self.seconds.setdefault(name, []).append(time.perf_counter() - began)

    def ours(self, number: int) -> None:
        first = self.project(f"ours-{number}", FILES)
        self.timed("devenv cold", lambda: self.enter(first))
        second = self.directory / f"ours-{number}-again"
        shutil.copytree(first, second, ignore=shutil.ignore_patterns(".devenv"))
        self.timed("devenv warm", lambda: self.enter(second))
        self.timed("devenv again", lambda: self.enter(second))
        shutil.rmtree(first)
        shutil.rmtree(second)
        # What nothing keeps any more goes; the root stays with the other project.
        self.user.run("gc", cwd=self.directory)

    def renvs(self, number: int) -> None:
        place = self.directory / f"renv-{number}"
        place.mkdir()
        lock = self.project(f"lock-{number}", FILES) / "renv.lock"
        self.timed("renv cold", lambda: self.restore(lock, place / "one", place / "cache"))
        self.timed("renv warm", lambda: self.restore(lock, place / "two", place / "cache"))
        self.timed("renv again", lambda: self.restore(lock, place / "two", place / "cache"))
        assert {path.name for path in (place / "two").iterdir()} >= {file.name for file in FILES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--base", default="debian/trixie")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="devenv-bench-", ignore_cleanup_errors=True) as folder,
        serving() as server,
    ):
        directory = Path(folder)
        repository = Repository(server)
        for file in (*FILES, RENV):
            repository.add(file.name, file.version, r_tarball(file, directory))
        bench = Bench(directory, repository, arguments.base)
        for number in range(arguments.runs):
            bench.ours(number)
            bench.renvs(number)
    print(f"{len(FILES)} packages, {arguments.runs} runs, medians in seconds")
    for state in ("cold", "warm", "again"):
        ours, theirs = (statistics.median(bench.seconds[f"{name} {state}"]) for name in ("devenv", "renv"))
        print(f"{state:6} devenv {ours:7.2f}   renv::restore {theirs:7.2f}   ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
