"""Linking equal files: as Nix does it, and never at the cost of a file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devenv.events import Event, Notice, Reporter
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.optimise import Optimised, optimise
from devenv.store.verify import verify
from tests.store.trees import listing, make_odd
from tests.support.killing import killed_after
from tests.support.nix import Nix

TOP = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with equal and unequal files, programs, links and an empty directory."""
    directory = tmp_path / "source"
    (directory / "deep/er").mkdir(parents=True)
    (directory / "empty").mkdir()
    for name, text, mode in (
        ("a", "same" * 3000, 0o644),
        ("deep/b", "same" * 3000, 0o444),
        ("deep/er/program", "same" * 3000, 0o755),
        ("c", "other" * 3000, 0o644),
        ("nothing", "", 0o644),
        ("deep/nothing", "", 0o644),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(mode)
    (directory / "link").symlink_to("a")
    (directory / "deep/link").symlink_to("a")
    return directory


def inode(path: StorePath, name: str) -> int:
    return os.lstat(f"{path}/{name}").st_ino


def contents(path: str | Path) -> list[Any]:
    """What a store object holds, without how many names its files have."""
    return [(name, mode, moment, data) for name, mode, moment, _, data in listing(path)]


def test_equal_files_become_one_and_unequal_ones_stay(layout: Layout, nix: Nix, source: Path) -> None:
    with Store.open(layout) as store:
        one, two = store.add_tree("one", str(source)), store.add_tree("two", str(source))
        before = contents(one), contents(two)
        done = optimise(store)
        assert done.linked == 4 + 6 + 1  # in two everything but one way of each; in one the doubles
        assert done.freed >= 12_000
        assert inode(one, "a") == inode(one, "deep/b") == inode(two, "a")
        assert inode(one, "link") == inode(two, "deep/link")
        assert inode(one, "nothing") == inode(two, "deep/nothing")
        assert inode(one, "a") != inode(one, "deep/er/program") == inode(two, "deep/er/program")
        assert inode(one, "c") == inode(two, "c") != inode(one, "a")
        assert (contents(one), contents(two)) == before
        assert len(os.listdir(f"{layout.store}/.links")) == 5
        assert optimise(store) == Optimised()
    nix.verify()


def test_nix_finds_nothing_left_to_link(layout: Layout, nix: Nix, source: Path, tmp_path: Path) -> None:
    make_odd(tmp_path / "odd")
    with Store.open(layout) as store:
        for number in range(2):
            store.add_tree(f"source{number}", str(source))
            store.add_tree(f"odd{number}", str(tmp_path / "odd"))
            store.add_text(f"text{number}", b"a text")
        optimise(store)
    links = sorted(os.listdir(f"{layout.store}/.links"))
    assert " 0 files" in nix.run("nix-store", "--optimise").stderr
    assert sorted(os.listdir(f"{layout.store}/.links")) == links
    nix.verify()


def test_we_find_nothing_left_after_nix(layout: Layout, nix: Nix, source: Path) -> None:
    with Store.open(layout) as store:
        store.add_tree("one", str(source))
        store.add_tree("two", str(source))
    nix.store("--optimise")
    with Store.open(layout) as store:
        assert optimise(store) == Optimised()


def test_files_that_are_objects_by_themselves_are_linked(layout: Layout) -> None:
    with Store.open(layout) as store:
        one, two = store.add_text("one", b"text"), store.add_text("two", b"text")
        assert optimise(store).linked == 1
        assert os.lstat(one).st_ino == os.lstat(two).st_ino


def test_names_outside_the_store_keep_their_file(layout: Layout, source: Path, tmp_path: Path) -> None:
    """As those of a project's view."""
    with Store.open(layout) as store:
        one, two = store.add_tree("one", str(source)), store.add_tree("two", str(source))
        os.link(f"{two}/a", tmp_path / "view")
        optimise(store)
        assert (tmp_path / "view").read_text() == "same" * 3000
        assert inode(one, "a") == inode(two, "a")
        assert verify(store).damages == ()


class Notices(Reporter):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.texts.append(event.text)


@pytest.mark.parametrize("damage", ["same size", "other size", "writable", "times"])
def test_a_damaged_link_replaces_nothing(layout: Layout, source: Path, damage: str) -> None:
    """Nix compares sizes only, and would spread the damage."""
    with Store.open(layout) as store:
        one = store.add_tree("one", str(source))
        optimise(store)
        with os.scandir(f"{layout.store}/.links") as entries:
            (name,) = [entry.path for entry in entries if entry.inode() == inode(one, "a")]
        os.chmod(name, 0o644)
        if "size" in damage:
            Path(name).write_text("evil" * 3000 if damage == "same size" else "evil")
        if damage != "writable":
            os.chmod(name, 0o444)
        os.utime(name, None if damage == "times" else (1, 1))
        two = store.add_tree("two", str(source))
        reporter = Notices()
        optimise(store, reporter=reporter)
        assert any("damaged" in text for text in reporter.texts)
        assert Path(two, "a").read_text() == "same" * 3000
        assert inode(two, "a") == inode(two, "deep/b") != inode(one, "a")
        assert verify(store).damaged_paths <= {one}


def test_what_somebody_changed_is_left_alone(layout: Layout, source: Path) -> None:
    with Store.open(layout) as store:
        one = store.add_tree("one", str(source))
        os.chmod(f"{one}/c", 0o644)
        reporter = Notices()
        optimise(store, reporter=reporter)
        assert os.lstat(f"{one}/c").st_nlink == 1
        assert [text for text in reporter.texts if f"{one}/c" in text]


@pytest.mark.parametrize("code", [errno.EMLINK, errno.ENOSPC])
def test_a_file_system_that_takes_no_more_links_is_no_error(
    layout: Layout, source: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real, left = os.link, [3]

    def refusing(*arguments: Any, **options: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            if code == errno.ENOSPC and ".links/" not in os.fsdecode(arguments[1]):
                return real(*arguments, **options)
            raise OSError(code, os.strerror(code), arguments[1])
        return real(*arguments, **options)

    with Store.open(layout) as store:
        paths = [store.add_tree(name, str(source)) for name in ("one", "two")]
        monkeypatch.setattr(os, "link", refusing)
        optimise(store)
        monkeypatch.undo()
        assert verify(store).damages == ()
        assert [contents(path) for path in paths] == [contents(paths[0])] * 2
        optimise(store)
        assert optimise(store) == Optimised()


@pytest.mark.parametrize("call", ["os.link", "os.rename", "os.chmod", "os.utime"])
def test_a_kill_at_any_system_call_harms_no_file(layout: Layout, nix: Nix, source: Path, call: str) -> None:
    with Store.open(layout) as store:
        paths = [store.add_tree(name, str(source)) for name in ("one", "two")]
        before = [contents(path) for path in paths]
    opening = """
import sys
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.optimise import optimise
store = Store.open(Layout(sys.argv[1]))
"""
    program = opening + killed_after(call, "sys.argv[2]") + "optimise(store)\nstore.close()\n"
    for count in (1, 2, 5):
        code = subprocess.run(
            [sys.executable, "-c", program, layout.root, str(count)], cwd=TOP, check=False
        ).returncode
        assert code in (0, -signal.SIGKILL)
        with Store.open(layout) as store:
            assert verify(store).damages == ()
    with Store.open(layout) as store:
        optimise(store)
        assert [contents(path) for path in paths] == before
        assert os.listdir(f"{layout.tmp}") in ([], [os.path.basename(os.path.dirname(store.new_name()))])
    nix.verify()
