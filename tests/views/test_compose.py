from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.events import Event, Finished, Notice, Planned, Reporter, Started
from devenv.views.compose import (
    File,
    ForeignTree,
    Op,
    Symlink,
    Tree,
    ViewError,
    compose,
    composed_key,
    decompose,
    set_aside,
)
from devenv.views.operations import OWN_NAMES

Contents = Mapping[str, Any]  # name -> text, a mapping (directory), or ("->", target)


def make_tree(path: Path, contents: Contents) -> Path:
    """A tree as a store has it: read-only files, all times one second after the epoch."""
    path.mkdir(parents=True)
    for name, value in contents.items():
        below = path / name
        if isinstance(value, Mapping):
            make_tree(below, value)
        elif isinstance(value, tuple):
            below.symlink_to(value[1])
        else:
            below.write_text(value)
            below.chmod(0o555 if value.startswith("#!") else 0o444)
        os.utime(below, (1, 1), follow_symlinks=False)
    return path


def snapshot(root: Path) -> dict[str, str]:
    """What lies in a directory: relative path -> kind and contents. Composing's own files are left out."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            if relative.split("/")[0] in OWN_NAMES:
                continue
            if os.path.islink(path):
                found[relative] = f"link {os.readlink(path)}"
            elif os.path.isdir(path):
                found[relative] = "directory"
            else:
                executable = "program" if os.stat(path).st_mode & 0o100 else "file"
                found[relative] = f"{executable} {Path(path).read_text()}"
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_tree(tmp_path / "store/a", {"index.js": "a", "lib": {"x.js": "x", "y.js": "y"}, "cli": "#!/bin/sh"})
    make_tree(tmp_path / "store/b", {"index.js": "b", "to": ("->", "index.js")})
    make_tree(tmp_path / "store/c", {"index.js": "c", "lib": {"x.js": "x", "z.js": "z"}, "none": {}})
    return tmp_path / "store"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "view"


def tree(source: Path, dest: str, *skip: str) -> Tree:
    return Tree(source=str(source), dest=dest, skip=frozenset(skip))


# --- a new view -------------------------------------------------------------------------------------------


def test_files_are_hard_links_and_directories_real(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a"), tree(store / "b", "@s/b")], key="k")
    assert snapshot(root) == {
        "a": "directory",
        "a/index.js": "file a",
        "a/cli": "program #!/bin/sh",
        "a/lib": "directory",
        "a/lib/x.js": "file x",
        "a/lib/y.js": "file y",
        "@s": "directory",
        "@s/b": "directory",
        "@s/b/index.js": "file b",
        "@s/b/to": "link index.js",
    }
    assert (root / "a/lib/x.js").samefile(store / "a/lib/x.js")
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o755
    assert composed_key(str(root)) == "k"


def test_links_and_files_lie_where_they_should(root: Path) -> None:
    ops: list[Op] = [
        Symlink(dest="x/link", target="../../elsewhere"),
        File(dest="x/file", contents=b"text"),
        File(dest="run", contents=b"#!/bin/sh\n", executable=True),
    ]
    compose(str(root), ops, key="k")
    assert snapshot(root) == {
        "x": "directory",
        "x/link": "link ../../elsewhere",
        "x/file": "file text",
        "run": "program #!/bin/sh\n",
    }


def test_skipped_paths_are_left_out(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a", "lib/x.js", "cli")], key="k")
    assert set(snapshot(root)) == {"a", "a/index.js", "a/lib", "a/lib/y.js"}
    compose(str(root), [tree(store / "a", "a", "lib")], key="k")
    assert set(snapshot(root)) == {"a", "a/index.js", "a/cli"}


def test_tree_at_the_root_and_single_file_as_tree(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "b", ""), tree(store / "a/cli", "bin/cli")], key="k")
    assert set(snapshot(root)) == {"index.js", "to", "bin", "bin/cli"}


def test_trees_at_one_place_are_merged(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "s", "index.js"), tree(store / "c", "s")], key="k")
    assert {p: v for p, v in snapshot(root).items() if "lib/" in p} == {
        "s/lib/x.js": "file x",
        "s/lib/y.js": "file y",
        "s/lib/z.js": "file z",
    }


def test_trees_that_differ_about_a_file_are_refused(store: Path, root: Path) -> None:
    with pytest.raises(ViewError) as caught:
        compose(str(root), [tree(store / "a", "s"), tree(store / "b", "s")], key="k")
    assert "s/index.js" in str(caught.value)
    assert str(store / "a") in str(caught.value)
    assert str(store / "b") in str(caught.value)
    assert composed_key(str(root)) is None


def test_link_and_file_count_more_than_a_tree(store: Path, root: Path) -> None:
    ops: list[Op] = [
        tree(store / "a", "a"),
        File(dest="a/index.js", contents=b"own"),
        Symlink(dest="a/lib", target="x"),
    ]
    for order in (ops, ops[::-1]):
        compose(str(root), order, key="k", repair=True)
        assert snapshot(root) == {
            "a": "directory",
            "a/index.js": "file own",
            "a/lib": "link x",
            "a/cli": "program #!/bin/sh",
        }
    assert (store / "a/index.js").read_text() == "a"


@pytest.mark.parametrize(
    "ops",
    [
        [Symlink(dest="../x", target="y")],
        [Symlink(dest="/x", target="y")],
        [Symlink(dest="", target="y")],
        [Symlink(dest="a//b", target="y")],
        [Symlink(dest="a/./b", target="y")],
        [Symlink(dest="a\0", target="y")],
        [File(dest=".devenv-view", contents=b"")],
        [Tree(source="/", dest="..")],
        [Symlink(dest="a", target="y"), Symlink(dest="a", target="z")],
        [Symlink(dest="a", target="y"), Symlink(dest="a/b", target="z")],
        [Tree(source="/", dest="a"), File(dest="a", contents=b"")],
        [Tree(source="/", dest="a/b/c"), File(dest="a/b", contents=b"")],
    ],
)
def test_contradictory_and_escaping_operations_are_refused(ops: list[Op], root: Path) -> None:
    with pytest.raises(ViewError):
        compose(str(root), ops, key="k")
    assert not root.exists()


def test_missing_source_is_named(store: Path, root: Path) -> None:
    with pytest.raises(ViewError, match="gone is missing"):
        compose(str(root), [tree(store / "gone", "a")], key="k")


def test_missing_directory_above_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match="cannot compose"):
        compose(str(tmp_path / "no/such/view"), [], key="k")


# --- the next composition ---------------------------------------------------------------------------------


def test_only_what_differs_is_touched(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a"), tree(store / "b", "b")], key="1")
    (root / "a/index.js").unlink()  # would be put back if anybody looked
    compose(str(root), [tree(store / "a", "a"), tree(store / "c", "c")], key="2")
    assert set(snapshot(root)) == {
        *("a", "a/cli", "a/lib", "a/lib/x.js", "a/lib/y.js"),
        *("c", "c/index.js", "c/lib", "c/lib/x.js", "c/lib/z.js", "c/none"),
    }
    assert composed_key(str(root)) == "2"


def test_repair_looks_at_everything(store: Path, root: Path) -> None:
    ops: list[Op] = [tree(store / "a", "a"), Symlink(dest="l", target="a"), File(dest="f", contents=b"f")]
    compose(str(root), ops, key="k")
    whole = snapshot(root)
    (root / "a/index.js").unlink()
    (root / "a/index.js").write_text("changed")
    shutil.rmtree(root / "a/lib")
    (root / "l").unlink()
    (root / "f").write_text("changed")
    compose(str(root), ops, key="k", repair=True)
    assert snapshot(root) == whole


def test_what_the_user_added_stays(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a"), tree(store / "b", "b")], key="1")
    (root / "a/lib/mine").write_text("m")
    (root / ".cache").mkdir()
    (root / ".cache/x").write_text("x")
    compose(str(root), [tree(store / "b", "b")], key="2")
    assert {p for p in snapshot(root) if not p.startswith("b")} == {
        "a",
        "a/lib",
        "a/lib/mine",
        ".cache",
        ".cache/x",
    }


def test_what_a_file_covered_comes_back(store: Path, root: Path) -> None:
    trees: list[Op] = [tree(store / "a", "a"), tree(store / "b", "b")]
    compose(
        str(root),
        [*trees, File(dest="a/index.js", contents=b"own"), Symlink(dest="a/lib", target="x")],
        key="1",
    )
    compose(str(root), trees, key="2")
    assert (root / "a/index.js").read_text() == "a"
    assert (root / "a/lib/x.js").read_text() == "x"
    compose(str(root), [*trees, Symlink(dest="a/lib", target="x")], key="3")
    assert os.readlink(root / "a/lib") == "x"
    assert not (root / ".devenv-displaced").exists()


def test_file_that_lay_on_a_tree_stays_when_the_tree_goes(store: Path, root: Path) -> None:
    own = File(dest="a/index.js", contents=b"own")
    compose(str(root), [tree(store / "a", "a"), own], key="1")
    compose(str(root), [own], key="2")
    assert snapshot(root) == {"a": "directory", "a/index.js": "file own"}


def test_file_that_another_tree_gives_too_stays(store: Path, root: Path) -> None:
    both = [tree(store / "a", "s", "index.js"), tree(store / "c", "s")]
    compose(str(root), both, key="1")
    compose(str(root), both[1:], key="2")
    assert set(snapshot(root)) == {"s", "s/index.js", "s/lib", "s/lib/x.js", "s/lib/z.js", "s/none"}


def test_old_source_that_is_gone_is_known_by_its_times(store: Path, root: Path) -> None:
    compose(
        str(root),
        [tree(store / "a", "s", "index.js"), tree(store / "c", "s"), tree(store / "b", "b")],
        key="1",
    )
    (root / "s/lib/mine").write_text("m")
    shutil.rmtree(store / "a")
    compose(str(root), [tree(store / "c", "s"), tree(store / "b", "b")], key="2")
    assert {p for p in snapshot(root) if p.startswith("s/")} == {
        *("s/index.js", "s/lib", "s/lib/x.js", "s/lib/z.js", "s/none"),
        "s/lib/mine",
    }


def test_directory_of_the_user_in_the_way_of_a_link_is_kept_aside(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a")], key="1")
    (root / "a/mine").write_text("m")
    told: list[Event] = []
    compose(str(root), [Symlink(dest="a", target="../ws")], key="2", reporter=recording(told))
    assert os.readlink(root / "a") == "../ws"
    assert (root / ".devenv-displaced/a/mine").read_text() == "m"
    assert any(isinstance(event, Notice) and "was in the way" in event.text for event in told)


def test_store_files_are_never_written_to(store: Path, root: Path) -> None:
    compose(str(root), [tree(store / "a", "a")], key="1")
    compose(str(root), [tree(store / "a", "a"), File(dest="a/index.js", contents=b"new")], key="2")
    compose(str(root), [tree(store / "b", "a")], key="3")
    assert (store / "a/index.js").read_text() == "a"
    assert stat.S_IMODE((store / "a/index.js").stat().st_mode) == 0o444


def test_nothing_is_done_and_told_when_all_is_there(store: Path, root: Path) -> None:
    ops: list[Op] = [tree(store / "a", "a")]
    told: list[Event] = []
    compose(str(root), ops, key="k", reporter=recording(told))
    assert [type(event) for event in told] == [Planned, Started, Finished]
    before = (root / ".devenv-view").stat()
    told.clear()
    compose(str(root), ops, key="k", reporter=recording(told))
    assert told == []
    assert (root / ".devenv-view").stat() == before


def test_newest_file_is_younger_than_every_directory(store: Path, root: Path) -> None:
    ops: list[Op] = [File(dest="first", contents=b"x", newest=True), tree(store / "a", "a")]
    for key in ("1", "2"):
        compose(str(root), ops, key=key)
        time_of = (root / "first").stat().st_mtime_ns
        assert all(time_of >= (root / path).stat().st_mtime_ns for path in ("", "a", "a/lib"))


def recording(events: list[Event]) -> Reporter:
    class Recorder(Reporter):
        def event(self, event: Event) -> None:
            events.append(event)

    return Recorder()


# --- links that lead out of the view ----------------------------------------------------------------------


def test_links_in_place_of_directories_are_not_followed(store: Path, root: Path, tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", {"index.js": "mine", "lib": {"x.js": "mine"}})
    compose(str(root), [tree(store / "a", "p/a"), tree(store / "b", "b")], key="1")
    before = snapshot(outside)
    shutil.rmtree(root / "p")
    (root / "p").symlink_to(tmp_path)
    shutil.move(outside, tmp_path / "a")
    compose(str(root), [tree(store / "b", "b")], key="2")
    assert snapshot(tmp_path / "a") == before
    compose(str(root), [tree(store / "b", "b"), tree(store / "c", "p/a")], key="3")
    assert snapshot(tmp_path / "a") == before
    assert not (root / "p").is_symlink()
    assert (root / "p/a/index.js").read_text() == "c"


def test_link_deep_in_a_tree_is_not_followed(store: Path, root: Path, tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", {"x.js": "mine", "y.js": "mine"})
    compose(str(root), [tree(store / "a", "a")], key="1")
    shutil.rmtree(root / "a/lib")
    (root / "a/lib").symlink_to(outside)
    compose(str(root), [tree(store / "c", "a")], key="2")
    assert snapshot(outside) == {"x.js": "file mine", "y.js": "file mine"}
    assert (root / "a/lib/z.js").read_text() == "z"


@pytest.mark.parametrize("kind", ["file", "link to a directory", "broken link"])
def test_root_that_is_no_directory_is_foreign(kind: str, root: Path, tmp_path: Path) -> None:
    if kind == "file":
        root.write_text("x")
    else:
        root.symlink_to(tmp_path if kind == "link to a directory" else tmp_path / "none")
    with pytest.raises(ForeignTree):
        compose(str(root), [], key="k")


# --- what was not made here -------------------------------------------------------------------------------


def test_tree_without_journal_is_foreign_and_can_be_set_aside(
    store: Path, root: Path, tmp_path: Path
) -> None:
    make_tree(root, {"left-pad": {"index.js": "x"}})
    with pytest.raises(ForeignTree) as caught:
        compose(str(root), [tree(store / "a", "a")], key="k")
    assert caught.value.root == str(root)
    assert set_aside(str(root), str(tmp_path / "aside")) == str(tmp_path / "aside/view")
    compose(str(root), [tree(store / "a", "a")], key="k")
    assert set_aside(str(root), str(tmp_path / "aside")) == str(tmp_path / "aside/view-2")
    assert (tmp_path / "aside/view/left-pad/index.js").read_text() == "x"


def test_set_aside_onto_another_file_system_stays_beside(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    rename = os.rename

    def refusing(source: str, target: str) -> None:
        if "far" in target:
            raise OSError(errno.EXDEV, "other file system")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refusing)
    assert set_aside(str(root), str(tmp_path / "far")) == f"{root}.aside"


GOOD = json.dumps({"devenv-view": 1, "complete": True, "key": "k"})


@pytest.mark.parametrize(
    "journal",
    [
        "",
        "\n",
        "{}",
        "[]",
        "nonsense",
        '{"devenv-view": 2, "complete": true, "key": "k"}',
        '{"devenv-view": 1, "key": "k"}',
        f'{GOOD}\n["tree","..","/etc",[]]',
        f'{GOOD}\n["tree","a","/etc",[1]]\n["link","/etc/x","y"]',
        f'{GOOD}\n["file","a/../../b","00",false,false]',
        f'{GOOD}\n["link","a",5]',
        f'{GOOD}\n["what"]',
        f"{GOOD}\n{'[' * 5000}",
        GOOD + '\n["link","a\\u0000","b"]',
    ],
)
def test_journal_of_unknown_form_makes_a_tree_foreign(journal: str, root: Path) -> None:
    root.mkdir()
    (root / "mine").write_text("m")
    (root / ".devenv-view").write_text(journal)
    with pytest.raises(ForeignTree):
        compose(str(root), [], key="k")
    assert (root / "mine").read_text() == "m"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_journal_is_read_or_refused(journal: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "view")
        root.mkdir()
        (root / "mine").write_text("m")
        for text in (journal, GOOD.encode() + b"\n" + journal):
            (root / ".devenv-view").write_bytes(text)
            composed_key(str(root))
            with contextlib.suppress(ForeignTree):
                compose(str(root), [], key="k")
            assert (root / "mine").read_text() == "m"


def test_journal_that_came_with_a_copy_is_not_believed(store: Path, root: Path, tmp_path: Path) -> None:
    ops = [tree(store / "a", "a")]
    compose(str(root), ops, key="k")
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    (copy / "a/index.js").unlink()
    (copy / "a/index.js").write_text("slipped in")
    assert composed_key(str(copy)) is None
    compose(str(copy), ops, key="k")
    assert composed_key(str(copy)) == "k"
    assert snapshot(copy) == snapshot(root)
    assert (copy / "a/cli").samefile(store / "a/cli")


def test_moved_view_stays_composed(store: Path, root: Path, tmp_path: Path) -> None:
    compose(str(root), [tree(store / "a", "a")], key="k")
    root.rename(tmp_path / "moved")
    assert composed_key(str(tmp_path / "moved")) == "k"


def test_journal_that_is_a_link_is_not_believed(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    (tmp_path / "journal").write_text(GOOD + "\n")
    (root / ".devenv-view").symlink_to(tmp_path / "journal")
    with pytest.raises(ForeignTree):
        compose(str(root), [], key="k")


def test_decompose_takes_away_what_was_composed(store: Path, root: Path) -> None:
    ops: list[Op] = [tree(store / "a", "a"), File(dest="x/f", contents=b"")]
    compose(str(root), ops, key="k")
    decompose(str(root))
    assert not root.exists()
    compose(str(root), ops, key="k")
    (root / "a/mine").write_text("m")
    decompose(str(root))
    assert sorted(os.listdir(root)) == ["a"]
    decompose(str(root))
    assert (root / "a/mine").read_text() == "m"


# --- file systems that cannot link ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_files_are_copied_where_they_cannot_be_linked(
    number: int, store: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    compose(str(root), [tree(store / "a", "a")], key="k")
    linked = snapshot(root)
    shutil.rmtree(root)
    monkeypatch.setattr(os, "link", refusing)
    compose(str(root), [tree(store / "a", "a")], key="k")
    assert snapshot(root) == linked
    assert not (root / "a/cli").samefile(store / "a/cli")
    assert stat.S_IMODE((root / "a/cli").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "a/index.js").stat().st_mode) == 0o644
    compose(str(root), [tree(store / "b", "a")], key="k")
    assert set(snapshot(root)) == {"a", "a/index.js", "a/to"}


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_view_on_another_file_system_than_the_store(store: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        big = "x" * 300_000
        make_tree(store / "big", {"data": big, "empty": ""})
        elsewhere = Path(directory, "view")
        compose(str(elsewhere), [tree(store / "a", "a"), tree(store / "big", "big")], key="k")
        assert (elsewhere / "big/data").read_text() == big
        assert (elsewhere / "big/empty").read_text() == ""
        compose(str(elsewhere), [tree(store / "a", "a")], key="k2")
        assert set(snapshot(elsewhere)) == {"a", "a/cli", "a/index.js", "a/lib", "a/lib/x.js", "a/lib/y.js"}


def test_full_disk_is_our_error(store: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(ViewError, match="No space left"):
        compose(str(root), [tree(store / "a", "a")], key="k")


# --- at the same time, and killed -------------------------------------------------------------------------


def test_compositions_of_one_root_wait_for_each_other(store: Path, root: Path) -> None:
    sets: list[Sequence[Op]] = [
        [tree(store / "a", f"p{n}") for n in range(20)],
        [tree(store / "b", f"p{n}") for n in range(20)],
    ]
    threads = [
        threading.Thread(target=compose, args=(str(root), sets[n % 2]), kwargs={"key": f"{n}"})
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {(root / f"p{n}/index.js").read_text() for n in range(20)}
    assert texts == {"ab"[int(composed_key(str(root)) or "") % 2]}


def test_root_may_be_set_aside_while_another_waits(store: Path, root: Path, tmp_path: Path) -> None:
    import fcntl

    compose(str(root), [], key="0")
    with (root / ".devenv-view.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(
            target=compose, args=(str(root), [tree(store / "a", "a")]), kwargs={"key": "1"}
        )
        waiting.start()
        time.sleep(0.1)
        set_aside(str(root), str(tmp_path / "aside"))
    waiting.join()
    assert composed_key(str(root)) == "1"
    assert (root / "a/index.js").read_text() == "a"
    assert not (tmp_path / "aside/view/a").exists()


KILLED = """
import json, sys
from devenv.views.compose import Tree, compose
root, key, trees = json.loads(sys.argv[1])
print("ready", flush=True)
compose(root, [Tree(source=s, dest=d) for s, d in trees], key=key)
"""


def test_killed_composition_is_completed_by_the_next(store: Path, root: Path, tmp_path: Path) -> None:
    first = [(str(store / "a"), f"d{n}/a") for n in range(300)]
    second = [(str(store / "abc"[n % 3]), f"d{n}/a") for n in range(300)]
    interrupted = 0
    for attempt, trees in enumerate([first, second] * 4):
        command = [sys.executable, "-c", KILLED, json.dumps([str(root), f"{attempt}", trees])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.004 * (attempt + 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        interrupted += root.exists() and composed_key(str(root)) is None
    assert interrupted > 0
    ops: list[Op] = [Tree(source=s, dest=d) for s, d in second]
    compose(str(root), ops, key="end")
    scratch = tmp_path / "scratch"
    compose(str(scratch), ops, key="end")
    assert snapshot(root) == snapshot(scratch)


class Stopped(BaseException):
    """Stands for the end of the process at a system call."""


CALLS = ("link", "symlink", "unlink", "mkdir", "rmdir", "rename", "utime")


def stopping(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let the process end at the call number `after` of those that change the disk."""
    left = [after]

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            if left[0] <= 0:
                raise Stopped
            left[0] -= 1
            return call(*args, **more)

        return counted

    for name in CALLS:
        monkeypatch.setattr(os, name, wrapped(getattr(os, name)))


POOL: list[Contents] = [
    {"f": "1", "d": {"g": "1"}},
    {"f": "1", "d": {"h": "2"}, "e": {}},
    {"f": "other", "d": {"g": "1", "i": {"j": "x"}}},
    {"d": "a file where others have a directory"},
    {"k": ("->", "f"), "d": {"g": "1"}},
    {"d": {"i": {"j": "x", "k": "y"}}, "x": {"y": {"z": "#!/bin/sh"}}},
]
DESTS = ("", "p", "p/d", "p/d/i", "q", "x/y")
INNER = ("f", "d", "d/g", "x", "x/y")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    base = tmp_path_factory.mktemp("pool")
    yield [str(make_tree(base / f"t{number}", contents)) for number, contents in enumerate(POOL)]


@st.composite
def operations(draw: st.DrawFn) -> list[Any]:
    """Recipes of operations: sources are numbers of the pool. Some contradict each other."""
    trees = st.tuples(
        st.just("tree"),
        st.integers(0, len(POOL) - 1),
        st.sampled_from(DESTS),
        st.frozensets(st.sampled_from(INNER), max_size=2),
    )
    places = st.sampled_from([f"{d}/{i}".lstrip("/") for d in DESTS for i in (*INNER, "own")])
    singles = st.tuples(st.sampled_from(["link", "file"]), places, st.sampled_from("ab"))
    return draw(st.lists(trees, max_size=4, unique_by=str)) + draw(
        st.lists(singles, max_size=2, unique_by=str)
    )


def made(recipes: Sequence[Any], pool: Sequence[str]) -> list[Op]:
    ops: list[Op] = []
    for recipe in recipes:
        if recipe[0] == "tree":
            ops.append(Tree(source=pool[recipe[1]], dest=recipe[2], skip=recipe[3]))
        elif recipe[0] == "link":
            ops.append(Symlink(dest=recipe[1], target=recipe[2]))
        else:
            ops.append(File(dest=recipe[1], contents=recipe[2].encode()))
    return ops


def tried(root: Path, ops: Sequence[Op], key: str) -> bool:
    try:
        compose(str(root), ops, key=key)
    except ForeignTree:
        raise
    except ViewError:
        return False
    return True


def agree(found: dict[str, str], wanted: dict[str, str], names: Sequence[str]) -> bool:
    """Whether `found` is `wanted` with the user's files, and the directories that they keep alive."""
    foreign = [path for path in found if os.path.basename(path) in names]
    alive = {str(above) for path in foreign for above in Path(path).parents}
    return {p: v for p, v in found.items() if p in wanted or p not in {*foreign, *alive}} == wanted


@settings(max_examples=120, deadline=None)
@given(
    first=operations(),
    second=operations(),
    third=operations(),
    stops=st.tuples(st.integers(0, 40) | st.none(), st.integers(0, 40) | st.none()),
    foreign=st.lists(st.sampled_from(["", "p", "p/d", "q", "x", "x/y"]), max_size=3, unique=True),
)
def test_any_history_ends_as_from_scratch(
    pool: list[str],
    first: list[Any],
    second: list[Any],
    third: list[Any],
    stops: tuple[int | None, int | None],
    foreign: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root, scratch = Path(directory, "view"), Path(directory, "scratch")
        names: list[str] = []
        for number, (recipes, stop) in enumerate(zip((first, second), stops, strict=True)):
            with pytest.MonkeyPatch.context() as patch:
                if stop is not None:
                    stopping(patch, stop)
                try:
                    tried(root, made(recipes, pool), f"{number}")
                except Stopped:
                    assert not root.exists() or composed_key(str(root)) != f"{number}" or stop
            if number == 0 and (root / ".devenv-view").exists():
                names = [place for place in foreign if is_real_directory(root, place)]
                for place in names:
                    (root / place / f"mine-{foreign.index(place)}").write_text("m")
        names = [f"mine-{foreign.index(place)}" for place in names]
        worked = tried(root, made(third, pool), "end")
        assert worked == tried(scratch, made(third, pool), "end")
        everywhere = {name for _, _, files in os.walk(root) for name in files}
        assert set(names) <= everywhere
        if worked:
            assert composed_key(str(root)) == "end"
            assert agree(snapshot(root), snapshot(scratch), names)


def is_real_directory(root: Path, place: str) -> bool:
    return os.path.realpath(root / place) == str(root / place).rstrip("/") and (root / place).is_dir()


def test_threads_agree_about_shared_directories_and_what_is_in_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight trees that have the same directories and equal files, over a user's links and files in their places."""
    monkeypatch.setattr("devenv.views.placing._THREADS", 8)
    monkeypatch.setattr("devenv.views.placing._TRIAL", 0)
    monkeypatch.setattr("devenv.views.placing._DEAR", -1)
    shared = {
        f"d{n}": {f"s{m}": {f"f{k}": f"{n}{m}{k}" for k in range(5)} for m in range(5)} for n in range(5)
    }
    trees = [make_tree(tmp_path / f"store/t{n}", {**shared, f"own{n}": "own"}) for n in range(8)]
    root, elsewhere = tmp_path / "view", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for _ in range(5):
        compose(str(root), (), key="")
        (root / "d0").mkdir(parents=True)
        (root / "d0/s0").symlink_to(elsewhere)  # where a directory belongs
        (root / "d1").write_text("the user's")
        (root / "d2/s2").mkdir(parents=True)
        (root / "d2/s2/f2").write_text("another")  # where a file belongs
        compose(str(root), [Tree(source=str(tree), dest="") for tree in trees], key="k")
        expected = {path: text for tree in trees for path, text in snapshot(tree).items()}
        assert snapshot(root) == expected
        assert not any(elsewhere.iterdir())
        shutil.rmtree(root)


def test_the_first_error_ends_all_threads_and_the_next_composition_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.views.placing._THREADS", 4)
    monkeypatch.setattr("devenv.views.placing._TRIAL", 0)
    monkeypatch.setattr("devenv.views.placing._DEAR", -1)
    trees = [make_tree(tmp_path / f"store/t{n}", {f"d{n}": {"f": str(n)}, "both": "same"}) for n in range(6)]
    other = make_tree(tmp_path / "store/other", {"both": "different", "d7": {"f": "7"}})
    before = threading.active_count()
    with pytest.raises(ViewError, match="both differs"):
        compose(
            str(tmp_path / "view"), [Tree(source=str(tree), dest="") for tree in (*trees, other)], key="k"
        )
    assert threading.active_count() == before
    compose(str(tmp_path / "view"), [Tree(source=str(tree), dest="") for tree in trees], key="k")
    assert snapshot(tmp_path / "view") == {p: t for tree in trees for p, t in snapshot(tree).items()}
