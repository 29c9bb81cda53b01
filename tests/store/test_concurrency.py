"""Several processes, some killed, on one store: what is registered is whole, and what was asked for is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.support.killing import killed_after
from tests.support.nix import Nix

# Adds for ever, or a number of times, what others add at the same moment; prints a line for each round.
WORKER = """
import os, sys
from devenv.formats.hashes import Hash
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store
root, source, first, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for number in range(first, first + rounds):
    with Store.open(Layout(root)) as store:
        text = store.add_text("text", str(number).encode())
        copied = store.add_tree(f"tree-{number}", source)
        with store.temporary_directory() as directory:
            made = f"{directory}/out"
            os.mkdir(made)
            for name in range(40):
                tree.write_file(f"{made}/{name}", text.encode() * 50)
            tree.canonicalise(made)
            found = tree.scan(made, [text])
            path = store.store_dir.output_path("out", Hash.of("sha256", str(number).encode()), "out")
            store.register_output(None, path, made, nar_hash=found.nar_hash, nar_size=found.nar_size,
                references=found.references, content_address=None)
        assert store.valid_paths([text, copied, path]) == {text, copied, path}
        print(text, copied, path, flush=True)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    for number in range(30):
        (directory / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (directory / str(number % 3) / str(number)).write_text("contents " * number * 20)
    return directory


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def start(layout: Layout, source: Path, first: int, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, layout.root, str(source), str(first), str(rounds)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )


def damaged(store: Store) -> list[str]:
    """Registered paths that are not what the database says."""
    rows = store._database._rows("listing", "select path from ValidPaths", ())
    found = []
    for (path,) in rows:
        info = store.info(StorePath(str(path)))
        assert info is not None
        if not os.path.lexists(info.path) or tree.scan(info.path, ()).nar_hash != info.nar_hash:
            found.append(str(path))
    return found


def printed(processes: Sequence[subprocess.Popen[str]]) -> list[set[StorePath]]:
    return [{StorePath(path) for path in process.communicate(timeout=60)[0].split()} for process in processes]


def test_processes_may_register_the_same_paths(
    layout: Layout, source: Path, running: list[subprocess.Popen[str]]
) -> None:
    running.extend(start(layout, source, 0, 8) for _ in range(3))
    results = printed(running)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert results[0] == results[1] == results[2]
    with Store.open(layout) as store:
        assert len(results[0]) == 24 == len(store.valid_paths(results[0]))
        assert damaged(store) == []
        assert sorted(os.listdir(layout.store)) == sorted(os.path.basename(path) for path in results[0])


def test_nix_may_add_the_same_paths_at_the_same_time(
    layout: Layout, nix: Nix, source: Path, running: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    with Store.open(layout):
        pass
    running.append(start(layout, source, 0, 6))
    for number in range(6):
        (tmp_path / f"tree-{number}").symlink_to(source)
        assert nix.run("nix-store", "--add", f"{tmp_path}/tree-{number}").returncode == 0
    (ours,) = printed(running)
    assert running[0].returncode == 0
    with Store.open(layout) as store:
        assert store.valid_paths(ours) == ours
    nix.verify()


def test_what_is_registered_survives_kills_and_the_rest_can_be_made_again(
    layout: Layout, nix: Nix, source: Path, running: list[subprocess.Popen[str]]
) -> None:
    done: set[StorePath] = set()
    for attempt in range(10):
        process = start(layout, source, 0, 1000)
        running.append(process)
        assert process.stdout is not None
        done.update(map(StorePath, process.stdout.readline().split()))
        time.sleep(0.004 * attempt)  # another instant each time
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with Store.open(layout) as store:
            assert store.valid_paths(done) == done
            assert damaged(store) == []
            assert len(os.listdir(layout.tmp)) == 0
    nix.verify()
    running.append(start(layout, source, 0, 10))
    (again,) = printed(running[-1:])
    assert running[-1].returncode == 0
    with Store.open(layout) as store:
        assert store.valid_paths(again) == again
        assert damaged(store) == []


KILL_POINTS = [
    "os.rename",
    "os.chmod",
    "os.utime",
    "os.unlink",
    "os.mkdir",
    "os.write",
    "os.symlink",
    "os.close",
]


@pytest.mark.parametrize("call", KILL_POINTS)
def test_a_kill_at_any_system_call_leaves_nothing_half_valid(layout: Layout, source: Path, call: str) -> None:
    """The process kills itself right after the n-th call of one kind, for n = 1, 3, 9 ..."""
    (source / "link").symlink_to("0")
    worker = killed_after(call, "sys.argv[5]") + WORKER
    killed = 0
    for count in (1, 3, 9, 27, 81):
        code = subprocess.run(
            [sys.executable, "-c", worker, layout.root, str(source), str(count * 10), "1", str(count)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode
        assert code in (0, -signal.SIGKILL)
        with Store.open(layout) as store:
            assert damaged(store) == []
        if code == 0:
            break
        killed += 1
    assert killed
    repaired = start(layout, source, 10, 1)
    (paths,) = printed([repaired])
    assert repaired.returncode == 0
    with Store.open(layout) as store:
        assert store.valid_paths(paths) == paths
        assert damaged(store) == []
