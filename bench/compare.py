"""Side by side with the tools that people use today: the same work, in turns, in one run.

    python bench/compare.py [--runs N] [--project examples/web] [--npm] [NAME...]

Every row alternates ours and theirs (A B A B), quotes medians, and prints the ratio beside the target of the
project's design. Nothing is hidden: a missed target is printed as missed, a peer that is not installed as absent.
The registries are those that the machine's own npm and pip are configured for.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
IGNORED = shutil.ignore_patterns("node_modules", ".devenv", "dist")


@dataclass
class Contestant:
    """One side of a row: `prepare` runs before each timed run and is not counted."""

    name: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    prepare: Callable[[], None] = lambda: None
    seconds: list[float] = field(default_factory=list)
    # Of all processors together, which says more than the clock where others use the machine as well.
    processor: list[float] = field(default_factory=list)

    def run(self) -> None:
        self.prepare()
        before, started = _processor_seconds(), time.perf_counter()
        done = subprocess.run(
            self.argv, cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        self.seconds.append(time.perf_counter() - started)
        self.processor.append(_processor_seconds() - before)
        if done.returncode:
            raise SystemExit(f"{self.name}: {' '.join(self.argv)} failed:\n{done.stdout}{done.stderr}")

    def forget(self) -> None:
        """Take what ran so far for warming up."""
        self.seconds.clear()
        self.processor.clear()

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def median_processor(self) -> float:
        return statistics.median(self.processor)


def _processor_seconds() -> float:
    """What the processes that ended used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def alternate(contestants: list[Contestant], runs: int, warmup: int) -> None:
    for turn in range(runs + warmup):
        for contestant in contestants:
            contestant.run()
            if turn < warmup:
                contestant.forget()


def table(title: str, ours: Contestant, peers: list[Contestant], targets: dict[str, str]) -> None:
    print(f"\n{title}")
    width = max(len(c.name) for c in (ours, *peers))
    for contestant in (ours, *peers):
        low, high = min(contestant.seconds), max(contestant.seconds)
        line = f"  {contestant.name:<{width}}  {contestant.median * 1000:9.1f} ms  ({low * 1000:.1f} - {high * 1000:.1f})"
        line += f"  processors {contestant.median_processor * 1000:.0f} ms"
        if contestant is not ours:
            line += f"   ours / this = {ours.median / contestant.median:.2f}"
            line += f", processors {ours.median_processor / contestant.median_processor:.2f}"
            line += f"   target {targets[contestant.name]}" if contestant.name in targets else ""
        print(line, flush=True)


class Place:
    """A scratch directory with homes, caches and checkouts of the project."""

    def __init__(self, base: str, project: str) -> None:
        self.base = base
        self.project = project
        self.count = 0
        self.has_python = os.path.exists(os.path.join(project, "requirements.txt"))

    def fresh(self, name: str) -> str:
        self.count += 1
        path = os.path.join(self.base, f"{name}-{self.count}")
        os.makedirs(path)
        return path

    def set_aside(self, path: str) -> None:
        """Take a directory away without deleting it: ext4 is slow at making inodes where many were deleted just before."""
        if os.path.lexists(path):
            os.rename(path, os.path.join(self.fresh("old"), "it"))

    def checkout(self) -> str:
        path = os.path.join(self.fresh("checkout"), "project")
        shutil.copytree(self.project, path, ignore=IGNORED)
        return path

    def env(self, data: str) -> dict[str, str]:
        keep = (
            "PATH",
            "LANG",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "PIP_CERT",
            "NODE_EXTRA_CA_CERTS",
            "HTTPS_PROXY",
        )
        found = {name: os.environ[name] for name in keep if name in os.environ}
        return found | {
            "HOME": self.base,
            "SHELL": "/bin/bash",
            "XDG_DATA_HOME": data,
            "XDG_CACHE_HOME": os.path.join(data, "cache"),
            "npm_config_cache": os.path.join(data, "npm"),
            "UV_CACHE_DIR": os.path.join(data, "uv"),
        }


def devenv_argv() -> list[str]:
    beside = os.path.join(os.path.dirname(sys.executable), "devenv")
    found = beside if os.path.exists(beside) else shutil.which("devenv")
    if found is None:
        raise SystemExit("devenv is not installed beside this Python nor on PATH")
    return [found]


def npm_contestant(name: str, cwd: str, env: dict[str, str], prepare: Callable[[], None]) -> Contestant:
    argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    return Contestant(name, argv, cwd, env, prepare)


def uv_contestant(
    name: str, cwd: str, env: dict[str, str], prepare: Callable[[], None], *options: str
) -> Contestant:
    uv = shutil.which("uv") or os.path.join(os.path.dirname(sys.executable), "uv")
    argv = [uv, "pip", "sync", "--quiet", "--python", ".venv", *options, "requirements.txt"]
    return Contestant(name, argv, cwd, env, prepare)


def make_venv(place: Place, cwd: str) -> None:
    place.set_aside(os.path.join(cwd, ".venv"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=cwd, check=True)


def bench_warm(place: Place, runs: int) -> None:
    """Entering when nothing changed, against a bare shell."""
    data = place.fresh("data")
    env = place.env(data)
    project = place.checkout()
    devenv = devenv_argv()
    subprocess.run([*devenv, "enter", "-c", "true"], cwd=project, env=env, check=True, capture_output=True)
    ours = Contestant("devenv enter -c true", [*devenv, "enter", "-c", "true"], project, env)
    bare = Contestant("bash -c true", ["bash", "-c", "true"], project, env)
    peers = [bare]
    if shutil.which("nix"):
        peers += nix_develop(place)
    alternate([ours, *peers], runs * 4, 2)
    table("enter, nothing changed", ours, peers, {"nix develop -c true": "< 1"})
    print(f"  over the bare shell: {(ours.median - bare.median) * 1000:.1f} ms   target <= 40 ms")


def nix_develop(place: Place) -> list[Contestant]:
    """`nix develop` on a trivial derivation, evaluated and built before."""
    root = os.path.join(place.fresh("nix"), "n")
    os.makedirs(root + "/etc")
    with open(root + "/etc/registry.json", "w") as file:
        file.write('{"flakes":[],"version":2}')
    env = place.env(root) | {
        "NIX_STORE_DIR": root + "/store",
        "NIX_STATE_DIR": root + "/state",
        "NIX_LOG_DIR": root + "/log",
        "NIX_CONF_DIR": root + "/etc",
        "NIX_REMOTE": "local",
        "NIX_CONFIG": "experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\n"
        f"substituters =\nflake-registry = {root}/etc/registry.json",
    }
    with open(root + "/shell.nix", "w") as file:
        file.write(
            'derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/bash";'
            ' outputs = ["out"]; stdenv = ./.; args = ["-c" "echo > $out"]; PATH = "/usr/bin:/bin"; }'
        )
    os.makedirs(root + "/empty")
    open(root + "/setup", "w").close()
    made = subprocess.run(
        ["nix-instantiate", root + "/shell.nix"],
        env=env,
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    drv = made.stdout.strip()
    argv = ["nix", "develop", drv, "-c", "true"]
    return [Contestant("nix develop -c true", argv, root, env)]


def bench_checkout(place: Place, runs: int) -> None:
    """A new checkout while the store, npm's cache and uv's cache hold everything."""
    data = place.fresh("data")
    env = place.env(data)
    ours_at, npm_at, uv_at = place.checkout(), place.checkout(), place.checkout()
    devenv = devenv_argv()
    clean = [os.path.join(ours_at, name) for name in ("node_modules", ".devenv")]

    def wipe() -> None:
        for path in clean:
            place.set_aside(path)

    ours = Contestant("devenv enter -c true", [*devenv, "enter", "-c", "true"], ours_at, env, wipe)
    peers = [npm_contestant("npm ci", npm_at, env, lambda: place.set_aside(npm_at + "/node_modules"))]
    if place.has_python:
        peers.append(uv_contestant("uv pip sync", uv_at, env, lambda: make_venv(place, uv_at)))
    alternate([ours, *peers], runs, 1)
    table(
        "new checkout, everything cached",
        ours,
        peers,
        {"npm ci": "<= 0.10", "uv pip sync": "(npm included in ours)"},
    )
    if place.has_python:
        both = peers[0].median + peers[1].median
        print(f"  ours / (npm ci + uv pip sync) = {ours.median / both:.2f}")


def bench_cold(place: Place, runs: int) -> None:
    """Nothing cached: everything is downloaded. Run it sparingly."""
    devenv = devenv_argv()
    ours_at, npm_at, uv_at = place.checkout(), place.checkout(), place.checkout()
    contestants: list[Contestant] = []

    def fresh_env(contestant_index: int) -> Callable[[], None]:
        def prepare() -> None:
            contestant = contestants[contestant_index]
            contestant.env = place.env(place.fresh("cold"))
            for name in ("node_modules", ".devenv"):
                place.set_aside(os.path.join(contestant.cwd, name))
            if contestant.cwd == uv_at:
                make_venv(place, uv_at)

        return prepare

    contestants += [
        Contestant("devenv enter -c true", [*devenv, "enter", "-c", "true"], ours_at, {}, fresh_env(0)),
        npm_contestant("npm ci", npm_at, {}, fresh_env(1)),
    ]
    if place.has_python:
        contestants += [
            uv_contestant("uv pip sync", uv_at, {}, fresh_env(2)),
            uv_contestant("uv pip sync --compile-bytecode", uv_at, {}, fresh_env(3), "--compile-bytecode"),
        ]
    alternate(contestants, max(1, runs // 3), 0)
    ours, *peers = contestants
    table("cold", ours, peers, {"npm ci": "< 1"})
    if place.has_python:
        both = peers[0].median + peers[1].median
        print(f"  ours / (npm ci + uv pip sync) = {ours.median / both:.2f}   target <= 1")


def npm_part(project: str, base: str) -> str:
    """The npm half of a project as one of its own, locked. Scripts run on neither side."""
    place = os.path.join(base, "npm-part")
    os.makedirs(place)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(project, name), place)
    with open(os.path.join(place, "devenv.toml"), "w") as file:
        file.write(
            'name = "web"\n[packages]\nnode = "22"\n[lockfiles]\nnpm = { scripts = { "*" = false } }\n'
        )
    subprocess.run([*devenv_argv(), "lock"], cwd=place, check=True, capture_output=True)
    return place


BENCHES = {"warm": bench_warm, "checkout": bench_checkout, "cold": bench_cold}


@contextmanager
def scratch() -> Iterator[str]:
    """Stores hold read-only directories, so removing one takes a chmod first."""
    base = tempfile.mkdtemp(prefix="devenv-bench-")
    try:
        yield base
    finally:
        subprocess.run(["chmod", "-R", "u+w", base], check=False)
        shutil.rmtree(base, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--project", default=os.path.join(ROOT, "examples/web"))
    parser.add_argument(
        "--npm", action="store_true", help="only what the project has of npm, against npm alone"
    )
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, medians of {arguments.runs} runs or more"
    )
    with scratch() as base:
        project = os.path.abspath(arguments.project)
        place = Place(base, npm_part(project, base) if arguments.npm else project)
        for name in arguments.names or BENCHES:
            BENCHES[name](place, arguments.runs)


if __name__ == "__main__":
    main()
