"""Crates side by side with cargo's own ways: fetched and laid out for offline use, and compiled in a second checkout.

    python bench/cargo.py [--runs N] [NAME...]

The cargo on PATH does its part of both sides: its registry, its locks. `cargo fetch` is what a build on this machine needs,
`cargo fetch` with `cargo vendor` what a build elsewhere does, and what entering gives. A cold run downloads everything:
run it sparingly.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess

from compare import Contestant, Place, alternate, devenv_argv, scratch, table

MANIFEST = """\
[package]
name = "bench"
version = "0.1.0"
edition = "2021"

[dependencies]
clap = { version = "4", features = ["derive"] }
hyper = { version = "1", features = ["full"] }
image = "0.25"
regex = "1"
rusqlite = { version = "0.32", features = ["bundled"] }
serde_json = "1"
tokio = { version = "1", features = ["full"] }
ureq = "2"
"""
# Compiled once by cargo alone and once by each other run, so there are fewer.
BUILT = """\
[package]
name = "bench"
version = "0.1.0"
edition = "2021"

[dependencies]
clap = { version = "4", features = ["derive"] }
regex = "1"
serde_json = "1"
"""
VENDOR = "cargo fetch --quiet --locked && cargo vendor --quiet --locked >/dev/null"


def made_project(base: str, name: str, manifest: str) -> Place:
    """A project with a lock as cargo writes it today, and locked once: what is compared is what each checkout does."""
    base = os.path.join(base, name)
    project = os.path.join(base, "project")
    os.makedirs(f"{project}/src")
    files = {"Cargo.toml": manifest, "src/main.rs": "fn main() {}\n", "devenv.toml": 'name = "bench"\n'}
    for file_name, text in files.items():
        with open(f"{project}/{file_name}", "w", encoding="utf-8") as file:
            file.write(text)
    subprocess.run(["cargo", "generate-lockfile", "--quiet"], cwd=project, check=True)
    with open(f"{project}/Cargo.lock", encoding="utf-8") as file:
        print(f"{file.read().count('[[package]]') - 1} crates", flush=True)
    place = Place(base, project)
    side = Side(place, "lock", [])
    subprocess.run([*devenv_argv(), "lock"], cwd=project, env=side.contestant.env, check=True)
    return place


class Side:
    """One contestant's checkout, and homes for it."""

    def __init__(self, place: Place, name: str, argv: list[str]) -> None:
        self.place = place
        self.checkout = place.checkout()
        self.contestant = Contestant(name, argv, self.checkout, self._env("warm"))

    def _env(self, name: str) -> dict[str, str]:
        data = self.place.fresh(name)
        env = self.place.env(data) | {"CARGO_HOME": os.path.join(data, "cargo")}
        kept = {key: os.environ[key] for key in ("CARGO_HTTP_CAINFO", "RUSTUP_HOME") if key in os.environ}
        return env | {"RUSTUP_HOME": os.path.expanduser("~/.rustup")} | kept

    def wipe(self, *names: str) -> None:
        for name in names or (".devenv", "vendor", "target"):
            shutil.rmtree(os.path.join(self.checkout, name), ignore_errors=True)

    def begin_cold(self) -> None:
        self.wipe()
        self.contestant.env = self._env("cold")


def sides(place: Place) -> list[Side]:
    enter = [*devenv_argv(), "enter", "-c", "true"]
    return [
        Side(place, "devenv enter -c true", enter),
        Side(place, "cargo fetch", ["cargo", "fetch", "--quiet", "--locked"]),
        Side(place, "cargo fetch, cargo vendor", ["sh", "-c", VENDOR]),
    ]


def bench_fetch(place: Place, runs: int) -> None:
    """Everything is there, and a new checkout wants it."""
    found = sides(place)
    for side in found:
        side.contestant.prepare = side.wipe
    _run("crates of a new checkout, everything cached", found, runs, 1)


def bench_cold(place: Place, runs: int) -> None:
    found = sides(place)
    for side in found:
        side.contestant.prepare = side.begin_cold
    _run("crates, cold", found, max(1, runs // 2), 0)


def bench_build(place: Place, runs: int) -> None:
    """A second checkout is built, where the first one was."""
    line = "cargo build --quiet --offline --locked"
    ours = Side(place, "devenv enter -c 'cargo build'", [*devenv_argv(), "enter", "-c", line])
    theirs = Side(place, "cargo build", ["sh", "-c", line])
    subprocess.run(["cargo", "fetch", "--quiet"], cwd=theirs.checkout, env=theirs.contestant.env, check=True)
    for side in (ours, theirs):
        side.contestant.prepare = side.wipe
    subprocess.run(
        ours.contestant.argv, cwd=ours.checkout, env=ours.contestant.env, check=True
    )  # the first one
    _run("cargo build in a second checkout", [ours, theirs], max(1, runs // 2), 0)


def _run(title: str, found: list[Side], runs: int, warmup: int) -> None:
    ours, *peers = [side.contestant for side in found]
    alternate([ours, *peers], runs, warmup)
    table(title, ours, peers, {"cargo fetch, cargo vendor": "< 1", "cargo build": "< 1"})


BENCHES = {"fetch": bench_fetch, "cold": bench_cold, "build": bench_build}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--runs", type=int, default=4)
    arguments = parser.parse_args()
    with scratch() as base:
        names = arguments.names or list(BENCHES)
        for kind, manifest in (("built", BUILT), ("crates", MANIFEST)):
            chosen = [name for name in names if (name == "build") == (kind == "built")]
            if chosen:
                place = made_project(base, kind, manifest)
                for name in chosen:
                    BENCHES[name](place, arguments.runs)


if __name__ == "__main__":
    main()
