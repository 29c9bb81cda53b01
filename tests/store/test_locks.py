from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devenv.store.locks import PathLocks, open_lock_file, try_lock


def test_a_lock_file_exists_while_it_is_held_and_is_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "object"
    with PathLocks([str(path)]):
        status = os.stat(f"{path}.lock")
        assert status.st_mode & 0o777 == 0o600
        other = open_lock_file(f"{path}.lock")
        assert not try_lock(other, exclusive=True)
        os.close(other)
    assert os.listdir(tmp_path) == []


def test_threads_take_turns(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def work() -> None:
        for _ in range(25):
            with PathLocks([str(tmp_path / "object")]):
                value = int(counter.read_text())
                counter.write_text(str(value + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "100"


def test_processes_take_turns(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    code = f"""
from pathlib import Path
import pytest

from devenv.store.locks import PathLocks
counter = Path({str(tmp_path / "counter")!r})
for _ in range(50):
    with PathLocks([{str(tmp_path / "b")!r}, {str(tmp_path / "a")!r}]):
        counter.write_text(str(int(counter.read_text()) + 1))
"""
    tree = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=tree) for _ in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert (tmp_path / "counter").read_text() == "150"
    assert os.listdir(tmp_path) == ["counter"]


def test_a_lock_file_removed_by_its_holder_is_no_lock_for_those_who_waited(tmp_path: Path) -> None:
    """Else the second one holds a lock on a file without a name, while a third makes a new one."""
    path = str(tmp_path / "object")
    entered, done = threading.Event(), threading.Event()

    def second() -> None:
        with PathLocks([path]):
            entered.set()
            done.wait(10)

    thread = threading.Thread(target=second)
    with PathLocks([path]):
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(10)
    third = open_lock_file(f"{path}.lock")
    assert not try_lock(third, exclusive=True)
    os.close(third)
    done.set()
    thread.join()


def test_who_gives_up_waiting_leaves_the_lock_to_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with PathLocks([str(tmp_path / "b")]):
        with monkeypatch.context() as patched:
            patched.setattr("devenv.store.locks.lock", interrupted)
            with pytest.raises(KeyboardInterrupt), PathLocks([str(tmp_path / "b")]):
                pass
        assert (tmp_path / "b.lock").read_bytes() == b""
    assert os.listdir(tmp_path) == []


def test_a_lock_file_left_by_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "object.lock").touch()
    with PathLocks([str(tmp_path / "object")]):
        pass
    assert os.listdir(tmp_path) == []
