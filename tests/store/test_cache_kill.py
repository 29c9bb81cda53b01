"""Ended by SIGKILL at random instants, or by a full disk, pushing leaves a whole cache, pulling a whole store."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.formats import narinfo
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.tree import scan
from tests.store.caches import bring, set_aside

FEW, MANY = 5, 300
COUNT = 80  # objects


def chain(store: Store) -> list[StorePath]:
    """Texts of which each refers to the two before."""
    paths: list[StorePath] = []
    for number in range(COUNT):
        noise = random.Random(number).randbytes(20_000)
        below = paths[-2:]
        paths.append(store.add_text(f"text-{number}", noise + " ".join(below).encode(), below))
    return paths


def killed(command: list[str], tmp_path: Path, begun: Callable[[], bool], wait: float) -> bool:
    """Start devenv, kill it `wait` seconds after it has begun its work; whether it was still running."""
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "devenv", "cache", *command],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        deadline = time.monotonic() + 30
        while process.poll() is None and not begun() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def check_cache(cache: Path, layout: Layout) -> int:
    """Every narinfo has its archive, whole, and the narinfos of all that it refers to. How many there are."""
    found = list(cache.glob("*.narinfo"))
    for file in found:
        info = narinfo.parse(file.read_text(), layout.store_dir)
        data = (cache / info.url).read_bytes()
        assert info.file_hash is not None and hashlib.sha256(data).digest() == info.file_hash.digest
        for reference in info.references:
            assert (cache / narinfo.info_name(reference)).exists(), f"{info.path} came before {reference}"
    return len(found)


def check_store(layout: Layout, paths: list[StorePath]) -> int:
    """Everything registered is there and right. How much there is."""
    with Store.open(layout) as store:
        valid = store.valid_paths(paths)
        for path in valid:
            info = store.info(path)
            assert info is not None and set(info.references) <= valid
            assert scan(path, ()).nar_hash == info.nar_hash
        return len(valid)


@pytest.mark.parametrize("times", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_killed_push_leaves_a_whole_cache(layout: Layout, tmp_path: Path, times: int) -> None:
    cache = tmp_path / "cache"
    with Store.open(layout) as store:
        paths = chain(store)
    command = ["push", f"file://{cache}", paths[-1], "--store-dir", layout.store, "--compression", "gzip"]
    hits = 0
    for number in range(times):
        hits += killed(command, tmp_path, (cache / "nar").exists, random.Random(number).uniform(0, 0.25))
        done = check_cache(cache, layout)
        if done == COUNT:
            for file in random.Random(number).sample(sorted(cache.glob("*.narinfo")), COUNT):
                file.unlink()
            for file in (cache / "nar").iterdir():
                file.unlink()
            (cache / "nar").rmdir()
    assert hits >= times // 4, "most kills came too late to mean anything"
    subprocess.run(
        [sys.executable, "-m", "devenv", "cache", *command], check=True, capture_output=True, cwd=tmp_path
    )
    assert check_cache(cache, layout) == COUNT
    check_store(layout, paths)
    set_aside(layout)
    with Store.open(layout) as store:
        assert bring(store, [f"file://{cache}"], [paths[-1]], tmp_path).valid


@pytest.mark.parametrize("times", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_a_killed_pull_leaves_a_whole_store(layout: Layout, tmp_path: Path, times: int) -> None:
    url = f"file://{tmp_path / 'cache'}"
    with Store.open(layout) as store:
        paths = chain(store)
    command = ["push", url, paths[-1], "--store-dir", layout.store, "--compression", "gzip"]
    subprocess.run(
        [sys.executable, "-m", "devenv", "cache", *command], check=True, capture_output=True, cwd=tmp_path
    )
    set_aside(layout)
    pull = ["pull", url, paths[-1], "--store-dir", layout.store]
    hits = 0
    for number in range(times):
        hits += killed(
            pull,
            tmp_path,
            lambda: bool(list(Path(layout.tmp).glob("*/*"))),
            random.Random(number).uniform(0, 0.2),
        )
        if check_store(layout, paths) == COUNT:
            set_aside(layout)
    assert hits >= times // 4, "most kills came too late to mean anything"
    subprocess.run(
        [sys.executable, "-m", "devenv", "cache", *pull], check=True, capture_output=True, cwd=tmp_path
    )
    assert check_store(layout, paths) == COUNT
    with Store.open(layout):
        pass
    assert sorted(os.listdir(layout.tmp)) in ([], ["downloads"]), "what killed ones left is gone"


# Mounts a disk at $1 that is nearly full, runs the command there, which must fail, makes room, runs it again.
_SMALL_DISK = """
place=$1; shift
mount -t tmpfs -o size=20m,mode=755 none "$place" || exit 77
head -c 20200k /dev/zero > "$place/filler" || exit 4
"$@" && exit 2
rm "$place/filler"
cp -a "$place" "$COPY"
"$@" || exit 3
cp -a "$place" "$COPY-after"
"""


def on_a_small_disk(place: Path, tmp_path: Path, command: list[str]) -> str:
    """What the command said when the disk was full. Copies of it, then and at last, are at tmp_path/disk[-after]."""
    words = [sys.executable, "-m", "devenv", "cache", *command, "--quiet"]
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", _SMALL_DISK, "sh", str(place), *words],
        env={**os.environ, "HOME": str(tmp_path), "COPY": str(tmp_path / "disk")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mount namespaces for ordinary users here: {done.stderr.strip()}")
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return done.stderr


def test_a_full_disk_under_a_cache_is_one_error_and_goes_on_later(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        paths = chain(store)
    cache = tmp_path / "cache"
    cache.mkdir()
    said = on_a_small_disk(
        cache,
        tmp_path,
        ["push", f"file://{cache}", paths[-1], "--store-dir", layout.store, "--compression", "none"],
    )
    assert said.count("No space left") == 1 and str(cache) in said, said
    assert check_cache(tmp_path / "disk", layout) < COUNT
    assert check_cache(tmp_path / "disk-after", layout) == COUNT


def test_a_full_disk_under_a_store_is_one_error_and_goes_on_later(layout: Layout, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'cache'}"
    with Store.open(layout) as store:
        paths = chain(store)
    command = [sys.executable, "-m", "devenv", "cache", "push", url, paths[-1], "--store-dir", layout.store]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    set_aside(layout)
    root = Path(layout.root)
    root.mkdir()
    said = on_a_small_disk(root, tmp_path, ["pull", url, paths[-1], "--store-dir", layout.store])
    assert said.count("No space left") + said.count("disk is full") == 1, said
    root.rmdir()
    os.rename(tmp_path / "disk", root)
    assert check_store(layout, paths) < COUNT
    set_aside(layout)
    os.rename(tmp_path / "disk-after", root)
    assert check_store(layout, paths) == COUNT
