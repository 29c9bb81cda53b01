#!/usr/bin/env python3
"""Hashing and adding beside Nix's: a tree of many small files, one large file, collecting and optimising.

usage: bench/objects.py [--files N] [--megabytes N] [--paths N] [--runs N] [--directory DIR]

Needs nix. Whole commands are timed, in turns; prints the median seconds and devenv's over Nix's. For hashing and adding,
what each takes for an empty directory is subtracted: what is compared is the rate. Each addition begins with a
store that does not have the object.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from devenv.formats.hashes import Hash
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.nix_environment import prepare, variables
from devenv.store.tree import remove

DEVENV = os.path.join(os.path.dirname(sys.executable), "devenv")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=50_000, help="small files in the tree")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the large file")
    parser.add_argument("--paths", type=int, default=2_000, help="objects to collect and to optimise")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    options = parser.parse_args()
    base = os.path.realpath(tempfile.mkdtemp(prefix="devenv-bench-", dir=options.directory))
    try:
        print(f"{'':40} {'nix':>8} {'devenv':>8}  devenv/nix")
        tree, large = f"{base}/tree", f"{base}/large"
        small_files(tree, options.files)
        large_file(large, options.megabytes)
        for label, source in ((f"{options.files} files", tree), (f"{options.megabytes} MB", large)):
            hashing(f"NAR hash of {label}", source, base, options.runs)
            adding(f"store add of {label}", source, base, options.runs)
        sweeping(base, options.paths, options.runs)
    finally:
        remove(base)
    return 0


def small_files(tree: str, count: int) -> None:
    noise = random.Random(1)
    for number in range(count):
        place = f"{tree}/{number // 1000}/{number // 50 % 20}"
        if number % 50 == 0:
            os.makedirs(place, exist_ok=True)
        with open(f"{place}/{number}", "wb") as file:
            file.write(noise.randbytes(noise.choice((50, 300, 1500, 6000))))


def large_file(path: str, megabytes: int) -> None:
    noise = random.Random(2)
    with open(path, "wb") as file:
        file.writelines(noise.randbytes(1 << 20) for _ in range(megabytes))


def show(label: str, results: dict[str, list[float]]) -> None:
    theirs, ours = (statistics.median(results[name]) for name in ("nix", "devenv"))
    print(f"{label:40} {theirs:8.2f} {ours:8.2f}  {ours / theirs:.2f}", flush=True)


def show_rates(label: str, start_up: dict[str, list[float]], results: dict[str, list[float]]) -> None:
    least = {name: statistics.median(values) for name, values in start_up.items()}
    show(label, {name: [value - least[name] for value in values] for name, values in results.items()})


def timed(
    works: dict[str, Callable[[], None]], runs: int, before: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """The seconds of each of `works`, alternating which comes first; `before` is not timed."""
    results: dict[str, list[float]] = {name: [] for name in works}
    for run in range(runs):
        for name in sorted(works, reverse=bool(run % 2)):
            before()
            os.sync()
            began = time.perf_counter()
            works[name]()
            results[name].append(time.perf_counter() - began)
    return results


def run(command: Sequence[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def environments(layout: Layout) -> tuple[dict[str, str], dict[str, str]]:
    prepare(layout)
    nix = {**os.environ, **variables(layout), "NIX_PATH": ""}
    return nix, {**os.environ, "DEVENV_STORE_DIR": layout.store}


def hashing(label: str, source: str, base: str, runs: int) -> None:
    """NAR hashes by `nix-hash` and by what every addition uses."""
    nix, own = environments(Layout(f"{base}/unused"))
    program = (
        "import sys; from devenv.store.tree import scan\nprint(scan(sys.argv[1], ()).nar_hash.typed_nix32)"
    )
    nothing = f"{base}/nothing"
    os.makedirs(nothing, exist_ok=True)

    def works(path: str) -> dict[str, Callable[[], None]]:
        return {
            "nix": lambda: run(["nix-hash", "--type", "sha256", path], nix),
            "devenv": lambda: run([sys.executable, "-c", program, path], own),
        }

    show_rates(label, timed(works(nothing), runs * 3), timed(works(source), runs))


def adding(label: str, source: str, base: str, runs: int) -> None:
    layout = Layout(f"{base}/store-of-additions")
    nix, own = environments(layout)

    def empty() -> None:
        remove(layout.root)
        with Store.open(layout):
            pass
        environments(layout)
        # ext4 passes over inodes that were freed a moment ago, which slows down whoever comes next.
        time.sleep(6)

    nothing = f"{base}/nothing"
    os.makedirs(nothing, exist_ok=True)

    def works(path: str) -> dict[str, Callable[[], None]]:
        return {
            "nix": lambda: run(["nix-store", "--add", path], nix),
            "devenv": lambda: run([DEVENV, "store", "add", path], own),
        }

    show_rates(label, timed(works(nothing), runs * 3), timed(works(source), runs, empty))
    remove(layout.root)


def sweeping(base: str, paths: int, runs: int) -> None:
    layout = Layout(f"{base}/store-of-garbage")
    nix, own = environments(layout)

    def fill() -> None:
        remove(layout.root)
        environments(layout)
        with Store.open(layout) as store:
            store.add_texts(
                (store.store_dir.text_path("x", _hash(text), ()), text, ())
                for number in range(paths)
                for text in (f"{number} ".encode() * 400,)
            )

    collect = {"nix": lambda: run(["nix-store", "--gc"], nix), "devenv": lambda: run([DEVENV, "gc"], own)}
    show(f"collection of {paths} objects", timed(collect, runs, fill))
    optimise = {
        "nix": lambda: run(["nix-store", "--optimise"], nix),
        "devenv": lambda: run([DEVENV, "store", "optimise"], own),
    }
    show(f"optimising {paths} objects", timed(optimise, runs, fill))


def _hash(text: bytes) -> Hash:
    return Hash.of("sha256", text)


if __name__ == "__main__":
    sys.exit(main())
