"""Collections beside others, and killed ones: nothing live is lost, and what is registered is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.locks import open_lock_file, try_lock
from devenv.store.roots import add_indirect_root
from devenv.store.sweep import collect
from devenv.store.verify import verify
from tests.store.test_hostile import in_namespace
from tests.support.killing import killed_after
from tests.support.nix import Nix
from tests.support.programs import program

TOP = Path(__file__).parents[2]

COLLECTOR = """
import sys
from devenv.store.layout import Layout
from devenv.store.sweep import collect
while True:
    done = collect(Layout(sys.argv[1]))
    assert not done.problems, done.problems
    print(len(done.paths), flush=True)
    if len(sys.argv) > 2:
        break
"""


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(running: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    running.append(process)
    return process


def assert_sound(layout: Layout) -> None:
    with Store.open(layout) as store:
        assert verify(store).damages == ()


def race(
    layout: Layout,
    nix: Nix,
    running: list[subprocess.Popen[str]],
    tmp_path: Path,
    *,
    adders: int,
    seconds: float,
) -> tuple[int, int, int]:
    """Adders of three kinds beside a collector in a loop: objects added and asked for, and how many were deleted."""
    kept = rooted(layout, tmp_path, 20)
    collector = start(running, "-c", COLLECTOR, layout.root)
    others = [
        start(running, "-m", "tests.store.nix_like", layout.root, str(seed), str(seconds))
        for seed in range(adders)
    ]
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        number += 1
        (tmp_path / "file").write_text(f"{number}")
        nix.store("--add", str(tmp_path / "file"))
        with Store.open(layout) as store:
            ours = [store.add_text("ours", f"{number} {index}".encode()) for index in range(20)]
            assert store.valid_paths(ours) == set(ours)
    results = [process.communicate(timeout=60)[0].split() for process in others]
    assert [process.returncode for process in others] == [0] * adders, results
    collector.send_signal(signal.SIGKILL)
    deleted = [int(line) for line in collector.communicate()[0].splitlines()]
    assert_sound(layout)
    nix.verify()
    collect(layout)
    with Store.open(layout) as store:
        assert set(store.objects()) == kept == store.valid_paths(kept)
    return sum(int(added) for added, _ in results), sum(int(asked) for _, asked in results), sum(deleted)


def rooted(layout: Layout, tmp_path: Path, count: int) -> set[StorePath]:
    """A chain of objects with a root at its end."""
    with Store.open(layout) as store:
        chain: list[StorePath] = []
        for number in range(count):
            chain.append(store.add_text("kept", str(number).encode(), chain[-1:]))
        add_indirect_root(layout, str(tmp_path / "rooted"), chain[-1])
    return set(chain)


def test_nothing_is_lost_while_others_add(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    added, asked, deleted = race(layout, nix, running, tmp_path, adders=2, seconds=3)
    assert added > 100
    assert deleted > 100
    assert asked > 0


@pytest.mark.slow
def test_nothing_is_lost_in_a_long_race(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    added, asked, deleted = race(layout, nix, running, tmp_path, adders=8, seconds=60)
    assert added > 10_000
    assert asked > 500
    assert deleted > 5_000


def garbage(layout: Layout, source: Path, seed: int) -> None:
    """Objects of all kinds that refer to each other, and nobody to them."""
    with Store.open(layout) as store:
        below: tuple[StorePath, ...] = ()
        for number in range(30):
            below = (store.add_text(f"dead{number}", f"{seed} {number}".encode(), below),)
        for number in range(6):
            store.add_tree(f"tree{seed}-{number}", str(source))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    for number in range(20):
        (directory / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (directory / str(number % 3) / str(number)).write_text("contents " * number * 20)
    return directory


def kill_collectors(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path, source: Path, times: int
) -> None:
    kept = rooted(layout, tmp_path, 10)
    chance = random.Random(1)
    for attempt in range(times):
        garbage(layout, source, attempt)
        process = start(running, "-c", COLLECTOR, layout.root, "once")
        time.sleep(chance.uniform(0.08, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert_sound(layout)
        with Store.open(layout) as store:
            assert store.valid_paths(kept) == kept
    nix.verify()
    collect(layout)
    assert {os.path.basename(path) for path in kept} == set(os.listdir(layout.store)) - {".links"}
    assert os.listdir(layout.tmp) == []


def test_killed_collections_leave_nothing_half_done(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path, source: Path
) -> None:
    kill_collectors(layout, nix, running, tmp_path, source, 6)


@pytest.mark.slow
def test_many_killed_collections_leave_nothing_half_done(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path, source: Path
) -> None:
    kill_collectors(layout, nix, running, tmp_path, source, 300)


@pytest.mark.parametrize("call", ["os.rename", "os.unlink", "os.chmod", "os.rmdir", "os.mkdir", "os.link"])
def test_a_kill_at_any_system_call_leaves_nothing_half_done(
    layout: Layout, source: Path, tmp_path: Path, call: str
) -> None:
    """The collector kills itself right after the n-th call of one kind, for n = 1, 4, 16 ..."""
    killing = killed_after(call, "sys.argv[3]") + COLLECTOR
    kept = rooted(layout, tmp_path, 3)
    killed = 0
    for count in (1, 4, 16, 64):
        garbage(layout, source, count)
        code = subprocess.run(
            [sys.executable, "-c", killing, layout.root, "once", str(count)],
            cwd=TOP,
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode
        assert code in (0, -signal.SIGKILL)
        assert_sound(layout)
        if code == 0:
            break
        killed += 1
    assert killed
    assert collect(layout).problems == []
    with Store.open(layout) as store:
        assert set(store.objects()) == kept == store.valid_paths(kept)
    assert {os.path.basename(path) for path in kept} == set(os.listdir(layout.store)) - {".links"}
    assert os.listdir(layout.tmp) == []


def test_a_nix_collection_and_ours_take_turns(
    layout: Layout, nix: Nix, running: list[subprocess.Popen[str]], tmp_path: Path, source: Path
) -> None:
    kept = rooted(layout, tmp_path, 5)
    ours = start(running, "-c", COLLECTOR, layout.root)
    for number in range(5):
        garbage(layout, source, number)
        done = subprocess.run(
            [program("nix-store"), "--gc"],
            env=dict(nix.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ours.poll() is None
    ours.kill()
    assert_sound(layout)
    with Store.open(layout) as store:
        assert store.valid_paths(kept) == kept


FULL = """
import os, sys
from devenv.store.layout import Layout
from devenv.store.local import Store, StoreError
from devenv.store.roots import add_indirect_root
from devenv.store.sweep import collect
from devenv.store.verify import verify
layout = Layout(sys.argv[1])
with Store.open(layout) as store:
    kept = store.add_text("kept", b"kept")
    add_indirect_root(layout, sys.argv[1] + "/link", kept)
    try:
        for number in range(100_000):
            store.add_text("text", str(number).encode() * 5000)
    except StoreError as error:
        print("full:", error)
try:
    with open(sys.argv[1] + "/filler", "wb") as file:
        while file.write(b"x" * 4096):
            file.flush()
except OSError as error:
    print("filler:", error.strerror)
found = os.statvfs(sys.argv[1])
print("free:", found.f_bavail)
done = collect(layout)
print("deleted:", len(done.paths), "problems:", done.problems, "freed:", done.freed > 1_000_000)
with Store.open(layout) as store:
    assert set(store.objects()) == {kept}
    assert verify(store).damages == ()
    store.add_text("new", b"new" * 100_000)
"""


SESSIONS = """
import sys, time
from devenv.store.layout import Layout
from devenv.store.local import Store
while True:
    with Store.open(Layout(sys.argv[1])):
        time.sleep(0.2)
"""


def test_a_collection_gets_its_turn_among_many(
    layout: Layout, running: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The store is in use by somebody at any time."""
    kept = rooted(layout, tmp_path, 3)
    for _ in range(4):
        start(running, "-c", SESSIONS, layout.root)
    time.sleep(0.5)
    began = time.monotonic()
    for _ in range(3):
        collect(layout)
    assert time.monotonic() - began < 10
    with Store.open(layout) as store:
        assert store.valid_paths(kept) == kept


def test_who_must_be_done_first_is_not_kept_waiting_for_ever(
    layout: Layout, running: list[subprocess.Popen[str]]
) -> None:
    """A store is opened by somebody for whom another open one waits."""
    with Store.open(layout):
        collector = start(running, "-c", COLLECTOR, layout.root, "once")
        wait_for_turn(layout)
        began = time.monotonic()
        with Store.open(layout):
            assert time.monotonic() - began < 8
    assert collector.wait(20) == 0


def wait_for_turn(layout: Layout) -> None:
    """Until a collection is waiting."""
    for _ in range(1000):
        if os.path.exists(layout.gc_turn):
            descriptor = open_lock_file(layout.gc_turn)
            try:
                if not try_lock(descriptor, exclusive=True):
                    return
            finally:
                os.close(descriptor)
        time.sleep(0.01)
    raise AssertionError("no collection waits")


def test_a_full_disk_can_be_collected(tmp_path: Path) -> None:
    done = in_namespace(tmp_path, "size=12m", sys.executable, "-c", FULL, str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "No space left" in lines["full"] or "full" in lines["full"]
    assert lines["free"] == "0"
    assert lines["deleted"].endswith("problems: [] freed: True"), done.stdout
