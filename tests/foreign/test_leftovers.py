"""What `devenv run` leaves behind, and what of it `devenv gc` removes: by age, by size, never what is in use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.foreign.leftovers import Unpacked, sweep, too_many, unpacked
from devenv.store.last_use import mark_used
from devenv.store.layout import Layout
from devenv.store.locks import PathLocks
from tests.foreign.conftest import Compile
from tests.support.devenv import User
from tests.support.programs import program

DAY = 86400.0
FOUND = st.lists(
    st.builds(
        Unpacked, path=st.text("ab", min_size=1, max_size=5), used=st.floats(0, 100), size=st.integers(0, 100)
    ),
    max_size=8,
    unique_by=lambda each: each.path,
)


@given(found=FOUND, before=st.floats(0, 100), most=st.none() | st.integers(0, 300))
def test_what_is_older_goes_first_and_no_more_than_must(
    found: list[Unpacked], before: float, most: int | None
) -> None:
    gone = too_many(found, before, most)
    left = [each for each in found if each not in gone]
    assert all(each.used >= before for each in left)
    assert all(old.used <= new.used for old in gone for new in left)
    if most is not None:
        assert sum(each.size for each in left) <= most
    young = [each for each in gone if each.used >= before]
    if young:  # each of them was too much
        assert most is not None and sum(each.size for each in left) + young[-1].size > most


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "data"))


def made(layout: Layout, name: str, *, days: float, size: int = 10) -> Path:
    """An unpacked program that was last used some days ago."""
    place = Path(layout.cache, "foreign", name)
    place.mkdir(parents=True)
    (place / "file").write_bytes(os.urandom(size))
    os.utime(place, (time.time() - days * DAY,) * 2)
    return place


def names(layout: Layout) -> set[str]:
    return {os.path.basename(each.path) for each in unpacked(layout)}


def test_what_nobody_used_for_long_goes(layout: Layout) -> None:
    made(layout, "old", days=31)
    made(layout, "old-patched", days=400)
    made(layout, "new", days=29)
    planned = sweep(layout, unused_for=30 * DAY, dry_run=True)
    assert names(layout) == {"old", "old-patched", "new"}
    done = sweep(layout, unused_for=30 * DAY)
    assert {os.path.basename(path) for path in done.unpacked} == {"old", "old-patched"}
    assert done.unpacked == planned.unpacked and min(done.unpacked.values()) > 0
    assert os.listdir(f"{layout.cache}/foreign") == ["new"] and not done.problems


def test_too_large_a_cache_loses_what_was_used_longest_ago(layout: Layout) -> None:
    for days in (3, 1, 2):
        made(layout, f"used-{days}", days=days, size=1 << 20)
    sweep(layout, unused_for=30 * DAY, max_size=9 << 18)  # two of them, and some
    assert names(layout) == {"used-1", "used-2"}


def test_what_is_used_again_stays(layout: Layout) -> None:
    place = made(layout, "old", days=31)
    assert mark_used(str(place))
    sweep(layout, unused_for=30 * DAY, max_size=0)
    assert names(layout) == {"old"}  # just now, whatever the size
    assert not mark_used(str(place / "missing"))


@pytest.mark.parametrize("how", ["program", "directory", "open file", "variable"])
def test_what_a_process_uses_stays(layout: Layout, how: str, tmp_path: Path) -> None:
    place = made(layout, "busy", days=31)
    shutil.copy(program("sleep"), place / "sleep")
    os.utime(place, (time.time() - 31 * DAY,) * 2)
    words = [str(place / "sleep") if how == "program" else program("sleep"), "60"]
    environ = {"APPDIR": f"{place}/usr"} if how == "variable" else {}
    with open(place / "file") as file:
        process = subprocess.Popen(
            words,
            cwd=place if how == "directory" else tmp_path,
            env=environ,
            stdin=file if how == "open file" else subprocess.DEVNULL,
        )
    with process:
        sweep(layout, unused_for=30 * DAY)
        assert names(layout) == {"busy"}
        process.kill()
    sweep(layout, unused_for=30 * DAY)
    assert names(layout) == set()


def test_what_is_being_made_stays_and_what_killed_processes_left_goes(layout: Layout) -> None:
    made(layout, "half.new", days=0)
    made(layout, "removed.gone", days=0)
    made(layout, "busy.new", days=0)
    made(layout, "held", days=31)
    folder = f"{layout.cache}/foreign"
    with PathLocks([f"{folder}/busy", f"{folder}/held"]):
        sweep(layout, unused_for=30 * DAY)
        assert {name for name in os.listdir(folder) if not name.endswith(".lock")} == {"busy.new", "held"}
    sweep(layout, unused_for=30 * DAY)
    assert os.listdir(folder) == []


def test_a_use_between_look_and_removal_is_noticed(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    place = made(layout, "old", days=31)
    real = os.rename

    def used_meanwhile(source: str, target: str) -> None:
        if source == str(place):
            mark_used(source, exactly=True)
        real(source, target)

    monkeypatch.setattr(os, "rename", used_meanwhile)
    assert sweep(layout, unused_for=30 * DAY).unpacked == {}
    assert (place / "file").exists()


def test_roots_of_single_programs_go_when_asked_for(layout: Layout) -> None:
    folder = Path(layout.root, "state/fhs")
    folder.mkdir(parents=True)
    for name, days in (("old", 31), ("new", 1)):
        (folder / name).symlink_to("/nowhere")
        os.utime(folder / name, (time.time() - days * DAY,) * 2, follow_symlinks=False)
    assert sweep(layout, unused_for=DAY).roots == []
    assert sweep(layout, unused_for=DAY, roots_unused_for=30 * DAY).roots == [str(folder / "old")]
    assert os.listdir(folder) == ["new"]


def test_decisions_are_forgotten_with_age(layout: Layout) -> None:
    for kind in ("plans", "seen", "starts"):
        folder = Path(layout.root, "state/foreign", kind)
        folder.mkdir(parents=True)
        for name, days in (("old", 31), ("new", 1)):
            (folder / name).write_text("x")
            os.utime(folder / name, (time.time() - days * DAY,) * 2)
    sweep(layout, unused_for=30 * DAY)
    assert {path.name for path in Path(layout.root, "state/foreign").glob("*/*")} == {"new"}


def test_sweeping_beside_starts_loses_none(layout: Layout, tmp_path: Path) -> None:
    """An archive is unpacked again and again while everything unused is removed all the time."""
    from devenv.foreign.unpacking import unpacked as unpack

    (tmp_path / "file").write_text("contents")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "file", "file")
    stop = threading.Event()

    def keep_sweeping() -> None:
        while not stop.is_set():
            for each in unpacked(layout):
                os.utime(each.path, (1, 1))
            sweep(layout, unused_for=30 * DAY)

    thread = threading.Thread(target=keep_sweeping)
    thread.start()
    try:
        for _ in range(60):
            place = unpack(str(tmp_path / "x.tar"), "tar", layout.cache)
            os.path.isdir(place)
    finally:
        stop.set()
        thread.join()
    place = unpack(str(tmp_path / "x.tar"), "tar", layout.cache)
    assert Path(place, "file").read_text() == "contents"
    assert not [name for name in os.listdir(f"{layout.cache}/foreign") if name.endswith((".new", ".gone"))]


def test_gc_removes_an_archive_that_was_run_and_running_it_again_unpacks_it(
    compile_c: Compile, tmp_path: Path
) -> None:
    user = User(tmp_path / "home")
    tool = compile_c("tool-1.0/tool", '#include <stdio.h>\nint main(void) { puts("ran"); }')
    with tarfile.open(tmp_path / "tool-1.0.tar", "w") as archive:
        archive.add(tool.parent, "tool-1.0")
    words = ("run", str(tmp_path / "tool-1.0.tar"))
    for _ in range(3):  # decided, remembered, and after the collection: decided again
        for _ in range(2):
            assert user.run(*words, cwd=tmp_path).stdout == "ran\n"
        (place,) = (user.store_root / "cache/foreign").iterdir()
        assert json.loads(user.run("gc", "--json", cwd=tmp_path).stdout)["programs"] == []
        os.utime(place, (time.time() - 31 * DAY,) * 2)
        done = json.loads(user.run("gc", "--json", cwd=tmp_path).stdout)
        assert [each["path"] for each in done["programs"]] == [str(place)]
        assert list((user.store_root / "cache/foreign").iterdir()) == []
