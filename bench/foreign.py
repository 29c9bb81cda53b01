"""Downloaded programs: what patching and starting them costs, beside the tools that people use for it. All of it in one run.

    python bench/foreign.py [--runs N] [--files N] [--large MB] [--patchelf PROGRAM] [--auto-patchelf COMMAND] [--base BASE]

Patching: a loop of patchelf, auto-patchelf (see bench/patching.py). Entering a root of packages: bubblewrap with the same mounts, the launcher
of `devenv install` (see bench/entering.py). Starting a program that runs as it is: by itself, by `devenv run`, by an installed script, and by
`devenv loader`'s shim beside the real loader called with --library-path. Who has a library: `devenv locate` within one process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import entering
import patching
from compare import Contestant, alternate, devenv_argv

from devenv.installing.shim import shim

LOOKED_UP = ("libGL.so.1", "libSDL2-2.0.so.0", "libX11.so.6", "libasound.so.2", "libssl.so.3", "libnss3.so")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="of patching; of starting four times as many")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--large", type=int, default=100, help="MB")
    parser.add_argument("--patchelf", default="patchelf")
    parser.add_argument("--auto-patchelf", default="", help="such as 'python3 auto-patchelf.py'")
    parser.add_argument("--base", default="debian/bookworm")
    options = parser.parse_args()
    patching.compare(options)
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as folder:
        contestants = entering.prepare(os.path.realpath(folder), options.base)
        alternate(contestants, 4 * options.runs, warmup=3)
        entering.show(contestants)
    with tempfile.TemporaryDirectory(prefix="devenv-bench-") as folder:
        contestants = starters(os.path.realpath(folder))
        alternate(contestants, 4 * options.runs, warmup=3)
        print("starting a program that runs as it is, milliseconds")
        for each in contestants:
            print(f"  {each.name:<40} {each.median * 1000:7.1f}")
    look_up(options.base)
    return 0


def starters(folder: str) -> list[Contestant]:
    """Ways to start /bin/true, with loaders of its own in two of them. The home is a fresh one."""
    home = f"{folder}/home"
    os.mkdir(home)
    environ = {**os.environ, "HOME": home, "DEVENV_STORE_DIR": f"{home}/store"}
    real = os.path.realpath(patching.LOADER)
    libraries = os.path.dirname(real)
    with open(f"{folder}/shim", "wb") as file:
        file.write(shim(real, [libraries]))
    os.chmod(f"{folder}/shim", 0o755)
    plain, shimmed = f"{folder}/true", f"{folder}/shimmed"
    shutil.copy("/bin/true", plain)
    shutil.copy("/bin/true", shimmed)
    subprocess.run([*devenv_argv(), "patchelf", "--set-interpreter", f"{folder}/shim", shimmed], check=True)
    for words in (["run", plain], ["install", "--name", "installed", plain]):
        subprocess.run([*devenv_argv(), *words], env=environ, check=True, capture_output=True)
    commands = {
        "the program": [plain],
        "the loader with --library-path": [real, "--library-path", libraries, plain],
        "by devenv loader's shim": [shimmed],
        "installed": [f"{home}/.local/bin/installed"],
        "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
        "devenv run": [*devenv_argv(), "run", plain],
    }
    return [Contestant(name, argv, folder, environ) for name, argv in commands.items()]


def look_up(base: str) -> None:
    """Libraries in the index of a base's archive, within one process; the index has been made."""
    from devenv.debian.suites import Places
    from devenv.events import Reporter
    from devenv.fetch.endpoints import Endpoints
    from devenv.fetch.http import Client
    from devenv.foreign.suppliers import Suppliers
    from devenv.store.layout import Layout

    cache = Layout.find(None, os.environ).cache
    endpoints = Endpoints.load(project=HERE, environ=os.environ, registries={}, cache=cache)
    places = Places(Client(endpoints), cache, Reporter())
    with places.client, Suppliers(places, base, machine="amd64", max_age=7 * 86400.0) as suppliers:
        began = time.perf_counter()
        suppliers.library("libc.so.6", "amd64")
        opened = time.perf_counter()
        for name in LOOKED_UP:
            suppliers.library(name, "amd64")
        each = (time.perf_counter() - opened) / len(LOOKED_UP)
    print("who has a library, milliseconds")
    print(f"  opening the index: signatures, digests    {(opened - began) * 1000:7.1f}")
    print(f"  each look-up                              {each * 1000:7.2f}   target <= 20")


if __name__ == "__main__":
    sys.exit(main())
