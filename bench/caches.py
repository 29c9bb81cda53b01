#!/usr/bin/env python3
"""Binary caches beside Nix's: pushing, pulling and unpacking, with the same objects on the same disk.

usage: bench/caches.py [--objects N] [--files N] [--runs N] [--directory DIR]

Needs nix. Prints the median of the runs in seconds, and how devenv's relates to Nix's.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.nix_environment import prepare, variables
from devenv.store.tree import dump, remove


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=500, help="small objects in a cache")
    parser.add_argument("--files", type=int, default=20_000, help="files in the tree that is unpacked")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", help="where to work (default: a temporary directory)")
    options = parser.parse_args()
    base = os.path.realpath(tempfile.mkdtemp(prefix="devenv-bench-", dir=options.directory))
    try:
        print(f"{'':32} {'nix':>8} {'devenv':>8}  devenv/nix")
        unpacking(base, options.files, options.runs)
        copying(base, options.objects, options.runs)
    finally:
        remove(base)
    return 0


def show(label: str, nix: list[float], own: list[float]) -> None:
    theirs, ours = statistics.median(nix), statistics.median(own)
    print(f"{label:32} {theirs:8.2f} {ours:8.2f}  {ours / theirs:.2f}")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def unpacking(base: str, files: int, runs: int) -> None:
    """One archive of small files: nix-store --restore, which sets no times, and ours, which does."""
    noise = random.Random(1)
    source, archive, target = (os.path.join(base, name) for name in ("source", "archive", "target"))
    for number in range(files):
        place = f"{source}/{number // 200}/{number // 10 % 20}"
        os.makedirs(place, exist_ok=True)
        with open(f"{place}/{number}", "wb") as file:
            file.write(noise.randbytes(noise.choice((50, 300, 1500, 6000))))
    with open(archive, "wb") as file:
        file.writelines(dump(source))
    program = (
        "import sys; from devenv.store.tree import restore;"
        "restore(iter(lambda: sys.stdin.buffer.raw.read(65536), b''), sys.argv[1])"
    )
    results: dict[str, list[float]] = {"nix": [], "own": []}
    commands = {"nix": ["nix-store", "--restore", target], "own": [sys.executable, "-c", program, target]}
    for _ in range(runs):
        for name, command in commands.items():
            with open(archive, "rb") as stdin:
                results[name].append(timed(lambda: subprocess.run(command, stdin=stdin, check=True)))  # noqa: B023
            remove(target)
    show(f"unpack {files} files", results["nix"], results["own"])


def copying(base: str, count: int, runs: int) -> None:
    """Many small objects into a cache in a directory, and out of it."""
    layout = Layout(os.path.join(base, "root"))
    noise = random.Random(2)
    with Store.open(layout) as store:
        below: list[str] = []
        for number in range(count):
            contents = noise.randbytes(noise.choice((200, 2000, 20_000))) + " ".join(below[-2:]).encode()
            below.append(store.add_text(f"object-{number}", contents, below[-2:]))  # type: ignore[arg-type]
        top = store.add_text("top", "\n".join(below).encode(), below)  # type: ignore[arg-type]
    prepare(layout)
    environ = {
        **os.environ,
        **variables(layout),
        "HOME": base,
        "XDG_CACHE_HOME": os.path.join(base, "nix-cache"),
    }
    own = [sys.executable, "-m", "devenv", "cache"]
    store_option = ["--store-dir", layout.store]
    for compression in ("none", "zstd"):
        cache, kept = os.path.join(base, "cache"), os.path.join(base, "kept")
        pushes: dict[str, list[float]] = {"nix": [], "own": []}
        pulls: dict[str, list[float]] = {"nix": [], "own": []}
        for _ in range(runs):
            for name in ("nix", "own"):
                shutil.rmtree(cache, ignore_errors=True)
                push = {
                    "nix": ["nix", "copy", "--to", f"file://{cache}?compression={compression}", top],
                    "own": [
                        *own,
                        "push",
                        f"file://{cache}",
                        top,
                        "--compression",
                        compression,
                        *store_option,
                    ],
                }
                pushes[name].append(timed(lambda: run(push[name], environ)))  # noqa: B023
                os.rename(layout.root, kept)
                with Store.open(layout):
                    prepare(layout)
                pull = {
                    "nix": ["nix", "copy", "--from", f"file://{cache}", top],
                    "own": [*own, "pull", f"file://{cache}", top, *store_option],
                }
                pulls[name].append(timed(lambda: run(pull[name], environ)))  # noqa: B023
                remove(layout.root)
                os.rename(kept, layout.root)
        show(f"push {count} objects, {compression}", pushes["nix"], pushes["own"])
        show(f"pull {count} objects, {compression}", pulls["nix"], pulls["own"])


def run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
