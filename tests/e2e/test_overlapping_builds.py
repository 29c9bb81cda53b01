"""Many `devenv store realise` on overlapping derivations, while collectors run, with failures and kills."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.roots import add_indirect_root
from devenv.store.tree import scan
from tests.support.devenv import User, devenv_program
from tests.support.nix import Nix
from tests.support.programs import program
from tests.support.sandboxes import HOST_PATHS, require_sandboxes

SHOWN = [word for path in HOST_PATHS for word in ("--sandbox-path", path)]
LAYERS, WIDE, PROCESSES = 4, 4, 16

# Each refers to all of the layer below, so whoever keeps one keeps what it was built with. Names are n<layer><number>.
GRAPH = """
let
  build = name: inputs: script: derivation {
    inherit name inputs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-c" script ];
  };
  numbers = builtins.genList (n: n) %(wide)d;
  layer = level:
    let below = if level == 0 then [ ] else layer (level - 1);
    in map (n: build "n${toString level}${toString n}" below
      "echo built; sleep 0.1; mkdir $out; echo $inputs > $out/inputs; head -c 100000 /dev/urandom > $out/data") numbers;
  tops = layer %(top)d;
in {
  tops = tops;
  failing = map (n: build "f${toString n}" tops "echo reason; exit 1") numbers;
}.%(which)s
"""


@pytest.fixture
def builder(user: User) -> User:
    require_sandboxes()
    return user


@pytest.fixture
def nix(builder: User) -> Nix:
    return Nix(Layout(str(builder.store_root)), builder.home)


def instantiate(nix: Nix, which: str) -> list[str]:
    text = GRAPH % {"wide": WIDE, "top": LAYERS - 1, "which": which}
    return nix.run("nix-instantiate", "-E", text).stdout.split()


def outputs(nix: Nix, drvs: Sequence[str]) -> list[StorePath]:
    return [StorePath(path) for path in nix.store("--query", "--outputs", *drvs).split()]


def keep(layout: Layout, paths: Sequence[StorePath], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for number, path in enumerate(paths):
        add_indirect_root(layout, str(folder / str(number)), path)


@contextmanager
def collecting(user: User, nix: Nix, cwd: Path) -> Iterator[list[str]]:
    """Collectors one after the other, ours and Nix's; what they say when they fail."""
    stop, problems = threading.Event(), list[str]()

    def work() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            ours = [devenv_program(), "gc"]
            command, environ = (
                (ours, user.env) if turn % 2 else ([program("nix-store"), "--gc"], nix.environment)
            )
            done = subprocess.run(
                command, env=dict(environ), cwd=cwd, capture_output=True, text=True, timeout=300
            )
            if done.returncode:
                problems.append(done.stderr)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield problems
    finally:
        stop.set()
        thread.join(timeout=300)
        assert not thread.is_alive(), "a collector hangs"


def start(user: User, drvs: Sequence[str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    with open(log, "wb") as file:
        return subprocess.Popen(
            [devenv_program(), "store", "realise", "--verbose", *SHOWN, *drvs],
            cwd=cwd,
            env=user.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )


def built(logs: Sequence[Path]) -> Counter[str]:
    """How often each builder ran, by what it printed."""
    return Counter(
        name for log in logs for name in re.findall(r"^(n\d+)> built", log.read_text(), re.MULTILINE)
    )


def all_sound(layout: Layout, nix: Nix) -> None:
    """What is registered is there, and is what was registered; Nix has no complaint either."""
    with Store.open(layout) as store:
        for path in store.objects():
            info = store.info(path)
            assert info is not None
            assert scan(path, ()).nar_hash == info.nar_hash
    nix.verify()


def realise_all(
    user: User, nix: Nix, wanted: Sequence[Sequence[str]], tmp_path: Path, kills: int = 0
) -> tuple[list[int], list[Path]]:
    """Run them all at once beside collectors, kill some; exit codes and logs."""
    logs = [tmp_path / f"{number}.log" for number in range(len(wanted))]
    with collecting(user, nix, tmp_path) as problems:
        running = [start(user, drvs, tmp_path, log) for drvs, log in zip(wanted, logs, strict=True)]
        try:
            chance = random.Random(kills)
            for process in chance.sample(running, kills):
                time.sleep(chance.uniform(0.1, 0.5))
                os.killpg(process.pid, signal.SIGKILL)
            codes = [process.wait(timeout=300) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
    assert problems == []
    return codes, logs


def test_what_sixteen_want_is_built_once_while_others_collect(
    builder: User, nix: Nix, tmp_path: Path
) -> None:
    tops = instantiate(nix, "tops")
    keep(nix.layout, outputs(nix, tops), tmp_path / "roots")
    keep(nix.layout, [StorePath(drv) for drv in tops], tmp_path / "recipes")
    wanted = [[tops[number % WIDE], tops[(number * 7 + 1) % WIDE]] for number in range(PROCESSES)]
    codes, logs = realise_all(builder, nix, wanted, tmp_path)
    assert codes == [0] * PROCESSES, "\n".join(log.read_text() for log in logs)
    expected = {f"n{level}{number}": 1 for level in range(LAYERS) for number in range(WIDE)}
    assert built(logs) == expected
    with Store.open(nix.layout) as store:
        assert store.valid_paths(outputs(nix, tops)) == set(outputs(nix, tops))
    all_sound(nix.layout, nix)


def test_failures_and_kills_harm_only_themselves(builder: User, nix: Nix, tmp_path: Path) -> None:
    tops, failing = instantiate(nix, "tops"), instantiate(nix, "failing")
    keep(nix.layout, outputs(nix, tops), tmp_path / "roots")
    keep(nix.layout, [StorePath(drv) for drv in (*tops, *failing)], tmp_path / "recipes")
    wanted = [[tops[number % WIDE]] for number in range(PROCESSES - 4)] + [[drv] for drv in failing]
    codes, logs = realise_all(builder, nix, wanted, tmp_path, kills=5)
    said = "\n".join(log.read_text() for log in logs)
    assert set(codes) <= {0, 1, -signal.SIGKILL}, said
    assert all(code in (0, -signal.SIGKILL) for code in codes[:-4]), said
    assert all(code in (1, -signal.SIGKILL) for code in codes[-4:]), said
    # A kill loses at most the builds that were running: two or fewer in each of five processes.
    assert sum(built(logs).values()) <= LAYERS * WIDE + 5 * (os.cpu_count() or 1)
    all_sound(nix.layout, nix)
    codes, _ = realise_all(builder, nix, [tops], tmp_path)
    assert codes == [0]
    assert [name for name in os.listdir(builder.store_root / "tmp") if name != "downloads"] == []


@pytest.mark.parametrize("kills", [5, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("whole", [pytest.param(True, id="group"), pytest.param(False, id="process")])
def test_killed_at_any_instant_a_realisation_leaves_only_what_is_right(
    builder: User, nix: Nix, tmp_path: Path, kills: int, whole: bool
) -> None:
    tops = instantiate(nix, "tops")
    keep(nix.layout, [StorePath(drv) for drv in tops], tmp_path / "recipes")
    chance, killed = random.Random(kills), 0
    while killed < kills:
        process = start(builder, tops, tmp_path, tmp_path / "log")
        time.sleep(chance.uniform(0.05, 1.5))
        running = process.poll() is None
        with suppress(ProcessLookupError):
            (os.killpg if whole else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        assert wait_for_no_builder(tmp_path), "a builder outlived its devenv"
        killed += running
        if not running:
            builder.run("gc", cwd=tmp_path)  # all was built: begin anew
        elif killed % 10 == 0 or killed == kills:
            all_sound(nix.layout, nix)
    builder.run("store", "realise", *SHOWN, *tops, cwd=tmp_path)
    all_sound(nix.layout, nix)


def wait_for_no_builder(tmp_path: Path) -> bool:
    """Whether no process of this test's store is left; builders die with whoever started them."""
    mark = str(tmp_path).encode()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(mark in found for found in command_lines()):
            return True
        time.sleep(0.02)
    return False


def command_lines() -> Iterator[bytes]:
    """Environment and arguments of every other process that may be looked at."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            for file in ("cmdline", "environ"):
                try:
                    yield Path(f"/proc/{name}/{file}").read_bytes()
                except OSError:
                    break
