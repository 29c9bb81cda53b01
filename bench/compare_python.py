"""One Python lock installed by devenv, uv and pip: cold, warm, and with nothing to do.

    python bench/compare_python.py [--runs N] [--requirements FILE] [NAME...]

FILE is a requirements.txt with hashes, that of examples/web by default. All install its packages for this Python, in turns, in
one run; the table is that of compare.py. pip's cache is filled as uv's and our store are. pip compiles byte code, uv does not
unless it is told to; devenv does so in the background after entering, and here not at all, as uv.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from compare import ROOT, Contestant, Place, alternate, devenv_argv, make_venv, scratch, table, uv_contestant

# What devenv is to take of the time of each, by the design's budgets.
COLD = {"uv pip sync": "<= 1.30", "pip install": "< 1"}
LEFT_OUT: list[str] = []  # --without
WARM = {"uv pip sync": "<= 0.50", "pip install": "< 1"}


def project(base: str, requirements: str) -> str:
    """A directory with the requirements, locked for devenv."""
    root = os.path.join(base, "locked")
    os.makedirs(root)
    shutil.copyfile(requirements, os.path.join(root, "requirements.txt"))
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    with open(os.path.join(root, "devenv.toml"), "w", encoding="utf-8") as file:
        file.write(f'name = "compared"\n[packages]\npython = "{minor}"\n')
    place = Place(base, root)
    env = place.env(place.fresh("locking"))
    subprocess.run([*devenv_argv(), "lock"], cwd=root, env=env, check=True, capture_output=True)
    return root


def pip_contestant(cwd: str, env: dict[str, str], prepare: Callable[[], None]) -> Contestant:
    argv = [sys.executable, "-m", "pip", "--python", ".venv", "install", "--quiet", "--no-deps"]
    argv += ["--disable-pip-version-check", "--require-hashes", "-r", "requirements.txt"]
    return Contestant("pip install", argv, cwd, env, prepare)


def contestants(place: Place, env: Callable[[], dict[str, str]]) -> list[Contestant]:
    """Ours and the peers, each in a checkout of its own that is emptied before each run; `env` gives it its caches."""
    ours, uv, pip = (place.checkout() for _ in range(3))

    def emptied(made: Callable[[], Contestant], cwd: str, *, venv: bool) -> Callable[[], None]:
        def prepare() -> None:
            made().env = env()
            place.set_aside(os.path.join(cwd, ".devenv"))
            if venv:
                make_venv(place, cwd)

        return prepare

    found: list[Contestant] = []
    enter = [*devenv_argv(), "enter", "-c", "true"]
    found.append(
        Contestant("devenv enter -c true", enter, ours, {}, emptied(lambda: found[0], ours, venv=False))
    )
    found.append(uv_contestant("uv pip sync", uv, {}, emptied(lambda: found[1], uv, venv=True)))
    found.append(pip_contestant(pip, {}, emptied(lambda: found[2], pip, venv=True)))
    return [each for each in found if each.name not in LEFT_OUT]


def with_settings(env: dict[str, str], data: str) -> dict[str, str]:
    return env | {"DEVENV_COMPILE": "never", "PIP_CACHE_DIR": os.path.join(data, "pip")}


def bench_cold(place: Place, runs: int) -> None:
    """Empty caches: everything is downloaded."""

    def env() -> dict[str, str]:
        data = place.fresh("cold")
        return with_settings(place.env(data), data)

    ours, *peers = contestants(place, env)
    alternate([ours, *peers], max(1, runs // 2), 0)
    table("cold", ours, peers, COLD)


def bench_warm(place: Place, runs: int) -> None:
    """A new checkout while store and caches hold everything."""
    data = place.fresh("warm")
    env = with_settings(place.env(data), data)
    ours, *peers = contestants(place, lambda: env)
    alternate([ours, *peers], runs, 1)
    table("new checkout, everything cached", ours, peers, WARM)


def bench_nothing(place: Place, runs: int) -> None:
    """The environment is there and as it should be."""
    data = place.fresh("nothing")
    env = with_settings(place.env(data), data)
    ours, *peers = contestants(place, lambda: env)
    for each in (ours, *peers):
        each.run()
        each.prepare = lambda: None
        each.forget()
    alternate([ours, *peers], runs, 0)
    table("nothing to do", ours, peers, {})
    print(f"  ours: {ours.median:.3f} s   target <= 0.05 s")


BENCHES = {"cold": bench_cold, "warm": bench_warm, "nothing": bench_nothing}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--requirements", default=os.path.join(ROOT, "examples/web/requirements.txt"))
    parser.add_argument("--without", action="append", default=[], help='a peer, as "pip install"')
    arguments = parser.parse_args()
    LEFT_OUT.extend(arguments.without)
    with scratch() as base:
        place = Place(base, project(base, arguments.requirements))
        print(
            f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, medians of {arguments.runs} runs"
        )
        for name in arguments.names or BENCHES:
            BENCHES[name](place, arguments.runs)


if __name__ == "__main__":
    main()
