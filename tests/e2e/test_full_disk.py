"""The disk with the store is full in the middle of something: one clear error, a clean store, and it goes on later."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_store_builds import SHOWN, write
from tests.support.devenv import User, devenv_program
from tests.support.sandboxes import require_sandboxes

# In a namespace of its own: a small disk under the store, things in it, no space left, the command, space, the command.
_SCRIPT = """
set -u
disk=$1 devenv=$2 setup=$3; shift 3
mount -t tmpfs -o size=32m,mode=755 none "$disk" || exit 77
sh -c "$setup" || exit 76
cat /dev/zero > "$disk/filler" 2>/dev/null
truncate -s -"$LEFT" "$disk/filler"
echo FULL >&2
sh -c "$1"
echo "status $?"
rm "$disk/filler"
echo SPACE >&2
"$devenv" store verify > /dev/null || exit 75
sh -c "$1" || exit 74
"$devenv" store verify > /dev/null || exit 73
ls "$disk/tmp"
"""


def on_a_full_disk(user: User, folder: Path, setup: str, command: str, left: str = "100K") -> tuple[int, str]:
    """The status of `command` when only `left` is left, and what it said. It must do when there is space again."""
    require_sandboxes()
    disk = user.store_root
    disk.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", _SCRIPT, "sh", str(disk), devenv_program(), setup, command],
        cwd=folder,
        env={**user.env, "LEFT": left},
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stderr.partition("FULL\n")[2].partition("SPACE\n")[0]
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr and "bug in devenv" not in done.stderr, done.stderr
    lines = done.stdout.splitlines()
    status = next(line for line in lines if line.startswith("status "))
    assert [name for name in lines[lines.index(status) + 1 :] if name.startswith("trash")] == []
    return int(status.split()[1]), said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noise = random.Random(1)
    place = tmp_path / "work"
    (place / "tree/deep").mkdir(parents=True)
    for number in range(40):
        (place / f"tree/deep/{number}").write_bytes(noise.randbytes(100_000))
        (place / f"same{number % 4}").write_bytes(b"same contents " * 20_000)
    return place


def assert_tells(status: int, said: str) -> None:
    assert status == 1, said
    assert "No space left" in said or "disk is full" in said or "disk full" in said, said


@pytest.mark.parametrize("left", ["0", "20K", "1M"])
def test_adding(user: User, folder: Path, left: str) -> None:
    assert_tells(*on_a_full_disk(user, folder, "devenv store path", "devenv store add tree", left))


@pytest.mark.parametrize("left", ["0", "1M"])
def test_importing(user: User, folder: Path, tmp_path: Path, left: str) -> None:
    other = User(tmp_path / "other")
    path = other.run(
        "store", "add", "tree", cwd=folder, DEVENV_STORE_DIR=str(user.store_root / "store")
    ).stdout.strip()
    with open(folder / "stream", "wb") as file:
        subprocess.run(
            [devenv_program(), "store", "export", path],
            env={**other.env, "DEVENV_STORE_DIR": str(user.store_root / "store")},
            cwd=folder,
            stdout=file,
            check=True,
        )
    subprocess.run(["chmod", "-R", "u+w", str(user.store_root)], check=True)
    subprocess.run(["rm", "-rf", str(user.store_root)], check=True)
    assert_tells(*on_a_full_disk(user, folder, "devenv store path", "devenv store import < stream", left))


def test_building(user: User, folder: Path) -> None:
    os.makedirs(user.store_root, exist_ok=True)
    expression = write(user, "big", "head -c 3000000 /dev/urandom > $out")
    drv = Path(expression).read_text()
    (folder / "drv").write_text(drv)
    setup = f"devenv store path; mkdir -p {user.store_root}/store; devenv store import < stream"
    with open(folder / "stream", "wb") as file:
        subprocess.run(
            [devenv_program(), "store", "export", expression],
            env=user.env,
            cwd=folder,
            stdout=file,
            check=True,
        )
    command = f"devenv store realise {expression} {' '.join(SHOWN)}"
    status, said = on_a_full_disk(user, folder, setup, command)
    assert status == 1, said
    assert "No space left" in said, said


def test_collecting_needs_no_space(user: User, folder: Path) -> None:
    setup = "for n in 0 1 2 3; do devenv store add same$n; done; devenv store add tree"
    status, said = on_a_full_disk(user, folder, setup, "devenv gc", "0")
    assert status == 0, said


def test_optimising_harms_nothing(user: User, folder: Path) -> None:
    setup = "for n in 0 1 2 3; do cp same$n other$n; echo $n >> other$n; devenv store add same$n; done"
    status, said = on_a_full_disk(user, folder, setup, "devenv store optimise", "0")
    assert status in (0, 1), said


def test_exporting_to_a_full_disk(user: User, folder: Path) -> None:
    setup = "devenv store add tree > path"
    command = f'devenv store export "$(cat path)" > {user.store_root}/stream'
    assert_tells(*on_a_full_disk(user, folder, setup, command))
