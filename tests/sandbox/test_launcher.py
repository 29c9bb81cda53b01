"""Sandboxes started through the helper."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from devenv.sandbox.errors import SandboxError
from devenv.sandbox.launcher import Launcher, Running
from devenv.sandbox.spec import Bind, SandboxSpec

Make = Callable[..., SandboxSpec]


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    made = Launcher()
    yield made
    made.close()


def start(launcher: Launcher, spec: SandboxSpec, script: str) -> Running:
    with open(os.devnull, "r+b") as nothing:
        null = nothing.fileno()
        return launcher.start(
            spec, ["sh", "-c", script], {}, "/", program="/bin/sh", stdin=null, stdout=null, stderr=null
        )


def test_statuses_come_back_to_who_asked(launcher: Launcher, spec: Make) -> None:
    made = spec()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: start(launcher, made, f"exit {number}").wait(), range(40)))
    assert found == list(range(40))


def test_one_can_be_killed_and_the_others_go_on(launcher: Launcher, spec: Make) -> None:
    first, second = start(launcher, spec(), "sleep 1000 & wait"), start(launcher, spec(), "sleep 0.3; exit 5")
    first.kill()
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert second.wait() == 5


def test_it_can_be_waited_for_beside_other_things(launcher: Launcher, spec: Make) -> None:
    running = start(launcher, spec(), "sleep 0.2")
    assert select.select([running], [], [], 0.05)[0] == []
    assert select.select([running], [], [], 10)[0] == [running]
    assert running.wait() == 0
    late = start(launcher, spec(), "true")
    select.select([late], [], [], 10)
    late.kill()  # of what has ended already: nothing happens
    assert late.wait() == 0


def test_nothing_runs_once_it_is_closed(spec: Make) -> None:
    launcher = Launcher()
    number = f"4{os.getpid()}{time.monotonic_ns() % 10**6:06}"
    running = [start(launcher, spec(), f"trap '' TERM; sleep {number} & wait") for _ in range(3)]
    deadline = time.monotonic() + 10
    while processes(number) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes(number) == 6
    launcher.close()
    assert processes(number) == 0
    for each in running:
        with pytest.raises(SandboxError, match="was killed"):
            each.wait()
    with pytest.raises(SandboxError, match="being stopped"):
        start(launcher, spec(), "true")
    launcher.close()


def processes(mark: str) -> int:
    found = 0
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    found += mark.encode() in file.read()
            except OSError:
                continue
    return found


def test_closing_wakes_who_waits(spec: Make) -> None:
    launcher = Launcher()
    running = start(launcher, spec(), "sleep 1000")
    said: list[BaseException] = []

    def wait() -> None:
        try:
            running.wait()
        except SandboxError as error:
            said.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    launcher.close()
    thread.join(10)
    assert len(said) == 1


def test_a_sandbox_that_cannot_be_made_is_explained(launcher: Launcher, spec: Make) -> None:
    with pytest.raises(SandboxError, match="Not a directory"):
        start(launcher, spec(Bind("/usr", "/usr/bin/env/x")), "true").wait()
    with (
        pytest.raises(SandboxError, match=r"starting /no/program.*No such file"),
        open(os.devnull, "rb") as nothing,
    ):
        null = nothing.fileno()
        launcher.start(spec(), ["/no/program"], {}, "/", stdin=null, stdout=null, stderr=null).wait()
    assert start(launcher, spec(), "exit 3").wait() == 3


def test_a_helper_that_was_killed_is_replaced(launcher: Launcher, spec: Make) -> None:
    running = start(launcher, spec(), "sleep 1000")
    assert launcher._helper is not None
    first = launcher._helper.pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(SandboxError, match="the process that watches over it was killed"):
        running.wait()
    assert start(launcher, spec(), "exit 6").wait() == 6
    assert launcher._helper.pid != first


def test_the_helper_is_small(launcher: Launcher, spec: Make) -> None:
    """What it has loaded is what each sandbox costs."""
    assert start(launcher, spec(), "true").wait() == 0
    assert launcher._helper is not None
    with open(f"/proc/{launcher._helper.pid}/maps") as file:
        libraries = {line.split("/")[-1].strip() for line in file if ".so" in line}
    heavy = ("_ssl", "_sqlite3", "_json", "_decimal", "_lzma", "_asyncio", "pyexpat")
    assert not [name for name in libraries if name.startswith(heavy)]
