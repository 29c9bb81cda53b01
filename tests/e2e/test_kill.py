"""kill -9 at random moments of the first realise: the next run completes it, real nix finds nothing wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from devenv.store.layout import Layout
from tests.e2e.projects import configure, npm_project, python_project
from tests.support.devenv import User
from tests.support.nix import nix_environment
from tests.support.programs import program
from tests.support.registry import Registry, point_clients_at


def test_ten_kills_lose_nothing(tmp_path: Path, user: User, registry: Registry) -> None:
    root = tmp_path / "project"
    npm_project(root, registry, count=60)
    python_project(root, registry, count=20)
    configure(root)
    point_clients_at(registry, user.home)
    user.run("lock", cwd=root)
    seed = int(os.environ.get("DEVENV_TEST_SEED", time.time()))
    print(f"DEVENV_TEST_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(10):
        running = user.popen("enter", "-c", "true", cwd=root)
        time.sleep(rng.uniform(0.1, 1.2))
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    user.run("enter", "-c", "hello0 && test -f node_modules/pkg59/index.js", cwd=root)
    layout = Layout.find(None, user.env)
    done = subprocess.run(
        [program("nix-store"), "--verify", "--check-contents"],
        env=nix_environment(layout, tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    wrong = [line for line in done.stderr.splitlines() if not line.startswith(("reading the", "checking "))]
    assert wrong == []
    left = [name for name in os.listdir(layout.store) if name.endswith(".tmp") or name.startswith("tmp")]
    assert left == []
