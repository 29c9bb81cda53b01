"""Objects of packages' builds are offered to shells, and the directories that ccache does not limit stay small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devenv.env import compiled_objects

KEY = "fd/3celvg6rhg3jaqu1mrh4huf1o9bp5b4"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".devenv/state"


def put(state: Path, owner: str, key: str = KEY, size: int = 10, age: float = 0) -> Path:
    path = state / "ccache-packages" / owner / "results" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    return path


def offered(state: Path) -> list[str]:
    top = state / "ccache-built"
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir())


def test_nothing_is_there_and_nothing_is_made(tmp_path: Path) -> None:
    assert compiled_objects.offer(str(tmp_path)) == 0
    assert list(tmp_path.iterdir()) == []


def test_objects_are_offered_once_and_take_no_space(tmp_path: Path, state: Path) -> None:
    path = put(state, "pip-a")
    put(state, "r-b", "00/aa")
    assert compiled_objects.offer(str(tmp_path)) == 2
    assert offered(state) == ["00/aa", KEY]
    assert (state / "ccache-built" / KEY).samefile(path)
    assert compiled_objects.offer(str(tmp_path)) == 0


def test_what_a_package_has_no_more_is_not_offered(tmp_path: Path, state: Path) -> None:
    put(state, "pip-a")
    kept = put(state, "pip-a", "00/aa")
    compiled_objects.offer(str(tmp_path))
    kept.unlink()
    compiled_objects.offer(str(tmp_path))
    assert offered(state) == [KEY]


def test_an_object_that_is_there_is_not_replaced_by_that_of_another_package(
    tmp_path: Path, state: Path
) -> None:
    first = put(state, "pip-a")
    compiled_objects.offer(str(tmp_path))
    put(state, "npm-evil", size=99)
    compiled_objects.offer(str(tmp_path))
    assert (state / "ccache-built" / KEY).samefile(first)


def test_a_build_leads_nobody_elsewhere(tmp_path: Path, state: Path) -> None:
    secret = tmp_path / "home"
    (secret / "ab").mkdir(parents=True)
    (secret / "ab/cdef").write_text("secret")
    results = put(state, "evil", "ab/fine").parent.parent
    (results / "cd").symlink_to(secret / "ab")
    (results / "ab/linked").symlink_to(secret / "ab/cdef")
    (results / "ab/ccache.conf").write_text("prefix_command = false")
    (results / "..x").mkdir()
    os.mkfifo(results / "ab/pipe")
    (state / "ccache-packages/whole").symlink_to(secret)
    (state / "ccache-packages/links").mkdir()
    (state / "ccache-packages/links/results").symlink_to(secret)
    compiled_objects.offer(str(tmp_path))
    assert offered(state) == ["ab/fine"]
    assert compiled_objects.trim(str(results), 0) == 0
    assert (secret / "ab/cdef").read_text() == "secret"


def test_what_was_not_used_for_longest_makes_room(state: Path) -> None:
    old, older, new = (
        put(state, "p", name, 4096, age) for name, age in (("aa/b", 60), ("aa/c", 90), ("zz/a", 0))
    )
    left = compiled_objects.trim(str(old.parent.parent), old.stat().st_blocks * 512 * 2)
    assert left == old.stat().st_blocks * 512 * 2
    assert old.exists() and new.exists() and not older.exists()


def test_what_a_killed_compiler_left_goes_after_a_while(state: Path) -> None:
    left = put(state, "p", "aa/object.tmp.XYZ", age=7200)
    being_written = put(state, "p", "aa/object.tmp.ABC")
    compiled_objects.trim(str(left.parent.parent), 1 << 30)
    assert not left.exists() and being_written.exists()


def test_a_shells_objects_are_looked_at_once_a_day(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_objects, "SHELL_LIMIT", 0)
    shell = state / "ccache-shell/aa"
    compiled_objects.trim_shell_daily(str(tmp_path))
    shell.mkdir()
    (shell / "bb").write_text("x")
    compiled_objects.trim_shell_daily(str(tmp_path))
    assert (shell / "bb").exists()
    os.utime(state / "ccache-shell/trimmed", (0, 0))
    compiled_objects.trim_shell_daily(str(tmp_path))
    assert not (shell / "bb").exists()
