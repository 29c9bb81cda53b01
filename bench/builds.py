"""What a sandbox costs: the same derivations, built by devenv and by Nix, each in its own sandbox.

    python bench/builds.py [--runs N] [--count N]

100 derivations whose builder is a shell that writes one line, one at a time and two at a time; then one derivation
with few and with many inputs. Each run has a fresh store with the .drv files in it. What a derivation costs is the
difference to a run with a single one, so that starting the programs does not count. Nix is taken from PATH or from
.test-tools.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from compare import ROOT, devenv_argv

SHOWN = ("/bin", "/lib", "/lib64?", "/usr")  # a shell and what it needs

EXPRESSION = """
{ count, inputs }:
let
  derive = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
  };
  texts = builtins.genList (i: builtins.toFile "input-${toString i}" "${toString i}") inputs;
in builtins.genList (i: derive "trivial-${toString i}" "echo ${toString i} > $out # ${toString texts}") count
"""


@dataclass
class Side:
    """One of the two programs: seconds by (derivations, jobs, inputs)."""

    name: str
    seconds: dict[tuple[int, int, int], list[float]] = field(default_factory=dict)

    def median(self, *case: int) -> float:
        count, jobs, inputs = case
        return statistics.median(self.seconds[count, jobs, inputs])


def nix_path() -> str:
    found = shutil.which("nix-store") or shutil.which("nix-store", path=os.path.join(ROOT, ".test-tools/bin"))
    if found is None:
        raise SystemExit("nix-store is neither on PATH nor in .test-tools: run tools/test-tools .test-tools")
    return os.path.dirname(found)


class Bench:
    def __init__(self, base: str, runs: int) -> None:
        self.base = base
        self.runs = runs
        self.nix = nix_path()
        self.stores = 0
        self.ours, self.theirs = Side("devenv"), Side("nix")

    def environment(self, root: str) -> dict[str, str]:
        os.makedirs(f"{root}/etc")
        with open(f"{root}/etc/registry.json", "w") as file:
            file.write('{"flakes":[],"version":2}')
        paths = " ".join(SHOWN)
        settings = f"build-users-group =\nsandbox = true\nsandbox-paths = {paths}\nsubstituters =\n"
        return {
            "PATH": f"{self.nix}:/usr/bin:/bin",
            "HOME": root,
            "NIX_STORE_DIR": f"{root}/store",
            "NIX_STATE_DIR": f"{root}/state",
            "NIX_LOG_DIR": f"{root}/log",
            "NIX_CONF_DIR": f"{root}/etc",
            "NIX_REMOTE": "local",
            "NIX_CONFIG": f"{settings}flake-registry = {root}/etc/registry.json",
            "DEVENV_STORE_DIR": f"{root}/store",
        }

    @contextmanager
    def store(self, count: int, inputs: int) -> Iterator[tuple[dict[str, str], list[str]]]:
        """A fresh store: the environment of programs that use it, and the derivations in it."""
        self.stores += 1
        root = f"{self.base}/{self.stores}"
        env = self.environment(root)
        with open(f"{root}/e.nix", "w") as file:
            file.write(EXPRESSION)
        arguments = ["--arg", "count", str(count), "--arg", "inputs", str(inputs)]
        made = run([f"{self.nix}/nix-instantiate", f"{root}/e.nix", *arguments], env)
        yield env, made.split()
        subprocess.run(["chmod", "-R", "u+w", root], check=False)
        shutil.rmtree(root, ignore_errors=True)

    def measure(self, side: Side, count: int, jobs: int, inputs: int) -> None:
        with self.store(count, inputs) as (env, drvs):
            shown = [word for path in SHOWN for word in ("--sandbox-path", path)]
            commands = {
                "devenv": [*devenv_argv(), "store", "realise", "--max-jobs", str(jobs), *shown, *drvs],
                "nix": [f"{self.nix}/nix-store", "--realise", "-j", str(jobs), *drvs],
            }
            began = time.perf_counter()
            run(commands[side.name], env)
            side.seconds.setdefault((count, jobs, inputs), []).append(time.perf_counter() - began)

    def both(self, *case: int) -> None:
        for _ in range(self.runs):
            for side in (self.ours, self.theirs):
                self.measure(side, *case)

    def row(self, title: str, ours: float, theirs: float, target: str) -> None:
        print(
            f"  {title:<44} devenv {ours * 1000:7.1f} ms   nix {theirs * 1000:7.1f} ms   "
            f"ours / nix = {ours / theirs:.2f}   target {target}",
            flush=True,
        )

    def many(self, count: int) -> None:
        print(f"\n{count} trivial derivations")
        for jobs in (1, 2):
            self.both(1, jobs, 0)
            self.both(count, jobs, 0)
            whole = [side.median(count, jobs, 0) for side in (self.ours, self.theirs)]
            each = [
                (side.median(count, jobs, 0) - side.median(1, jobs, 0)) / (count - 1)
                for side in (self.ours, self.theirs)
            ]
            self.row(f"for each, {jobs} at a time", each[0], each[1], "<= 1")
            self.row(f"all, with the program's start, {jobs} at a time", whole[0], whole[1], "<= 1")

    def inputs(self, few: int, many: int) -> None:
        print(f"\none derivation, {few} and {many} inputs")
        for count in (few, many):
            self.both(1, 1, count)
        more = [side.median(1, 1, many) - side.median(1, 1, few) for side in (self.ours, self.theirs)]
        self.row(f"for {many - few} inputs more", more[0], more[1], "<= 1")


def run(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} ... failed:\n{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=100)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, medians of {arguments.runs} runs")
    # Not in /tmp, where Nix's sandbox cannot have a store.
    with tempfile.TemporaryDirectory(
        prefix="devenv-bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as base:
        bench = Bench(base, arguments.runs)
        bench.many(arguments.count)
        bench.inputs(5, 500)


if __name__ == "__main__":
    main()
