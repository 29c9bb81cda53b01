from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devenv.store import temporary
from devenv.store.temporary import TemporaryDirectories, remove_stale


def test_a_directory_goes_with_its_block(tmp_path: Path) -> None:
    directories = TemporaryDirectories(str(tmp_path / "tmp"))
    with pytest.raises(ZeroDivisionError), directories.directory() as path:
        os.makedirs(f"{path}/a/b")
        os.chmod(f"{path}/a", 0o555)
        raise ZeroDivisionError
    assert not os.path.exists(path)
    directories.close()
    assert os.listdir(tmp_path / "tmp") == []


def test_two_directories_of_a_process_are_two(tmp_path: Path) -> None:
    directories = TemporaryDirectories(str(tmp_path / "tmp"))
    with directories.directory() as one, directories.directory() as two:
        assert one != two
        assert os.path.dirname(one) == os.path.dirname(two)
    directories.close()


def test_directories_in_use_stay_and_those_of_killed_processes_go(tmp_path: Path) -> None:
    directories = TemporaryDirectories(str(tmp_path))
    code = f"""
import os, signal
from devenv.store import temporary
from devenv.store.temporary import TemporaryDirectories
with TemporaryDirectories({str(tmp_path)!r}).directory() as path:
    os.makedirs(path + "/a/b")
    os.chmod(path + "/a", 0o555)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    (tmp_path / "downloads").mkdir()
    (tmp_path / "1-a-file").touch()
    with directories.directory() as path:
        assert len(os.listdir(tmp_path)) == 4
        remove_stale(str(tmp_path))
        own = os.path.basename(os.path.dirname(path))
        assert sorted(os.listdir(tmp_path)) == sorted(["1-a-file", "downloads", own])
    directories.close()


def test_removing_stale_directories_where_there_is_nothing_is_nothing(tmp_path: Path) -> None:
    remove_stale(str(tmp_path / "tmp"))


@pytest.mark.parametrize("moment", ["open", "lock"])
def test_a_directory_that_another_process_took_for_stale_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It may be seen before it is locked."""
    place = os if moment == "open" else temporary
    real: Callable[..., Any] = getattr(place, moment)
    taken: list[str] = []

    def cleaner_was_faster(*arguments: Any, **options: Any) -> Any:
        if not taken:
            taken.extend(os.listdir(tmp_path))
            os.rmdir(tmp_path / taken[0])
        return real(*arguments, **options)

    directories = TemporaryDirectories(str(tmp_path))
    monkeypatch.setattr(place, moment, cleaner_was_faster)
    with directories.directory() as path:
        assert os.path.isdir(path)
        assert os.path.basename(os.path.dirname(path)) not in taken
    assert taken
    directories.close()
