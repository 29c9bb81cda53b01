"""Trees taken down and put back: everything is as it was, to the nanosecond."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.recipes import snapshots
from devenv.recipes.snapshots import Blobs, Damaged, Entry, put_back, take

BIG = 3 << 20  # more than is copied at a time


def described(root: Path) -> dict[str, tuple[Any, ...]]:
    """All that is to be kept of a tree."""
    found: dict[str, tuple[Any, ...]] = {}
    with _readable(root):
        for path in [root, *sorted(root.rglob("*"))] if root.is_dir() else [root]:
            status = path.lstat()
            contents: Any = None
            if stat.S_ISREG(status.st_mode):
                with _readable(path):
                    contents = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                contents = os.readlink(path)
            links = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
            mode = 0 if stat.S_ISLNK(status.st_mode) else status.st_mode
            found[str(path.relative_to(root))] = (mode, status.st_mtime_ns, links, contents)
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if not path.is_symlink():
        path.chmod(mode | 0o700)
    try:
        yield
    finally:
        if not path.is_symlink():
            path.chmod(mode)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "blobs"))


def make_tree(root: Path) -> None:
    (root / "a/deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "a/file").write_text("contents\n")
    (root / "a/program").write_text("#!/bin/sh\n")
    (root / "a/program").chmod(0o755)
    (root / "a/deep/big").write_bytes(bytes(range(256)) * (BIG // 256))
    (root / "nothing").write_text("")
    os.link(root / "a/file", root / "z-same")
    (root / "link").symlink_to("a/file")
    (root / "dangling").symlink_to("/nowhere")
    os.mkfifo(root / "pipe", 0o640)
    (root / os.fsdecode(b"odd\xff\nname")).write_text("odd")
    (root / "secret").write_text("s")
    (root / "secret").chmod(0)
    (root / "a/deep").chmod(0o555)
    for number, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(number, 10**18 + number), follow_symlinks=False)
    os.utime(root, ns=(5, 6))


def test_a_tree_comes_back_as_it_was(tmp_path: Path, blobs: Blobs) -> None:
    make_tree(tmp_path / "tree")
    before = described(tmp_path / "tree")
    entries, _ = take(str(tmp_path / "tree"), blobs, {})
    assert described(tmp_path / "tree") == before, "taking changes nothing"
    put_back(entries, str(tmp_path / "again"), blobs)
    assert described(tmp_path / "again") == before
    assert os.path.samefile(tmp_path / "again/a/file", tmp_path / "again/z-same")


def test_files_that_came_back_are_not_those_that_are_kept(tmp_path: Path, blobs: Blobs) -> None:
    make_tree(tmp_path / "tree")
    entries, _ = take(str(tmp_path / "tree"), blobs, {})
    put_back(entries, str(tmp_path / "one"), blobs)
    with open(tmp_path / "one/a/file", "a") as file:
        file.write("more")
    put_back(entries, str(tmp_path / "two"), blobs)
    assert (tmp_path / "two/a/file").read_text() == "contents\n"


@pytest.mark.parametrize("kind", ["file", "link", "nothing"])
def test_the_root_may_be_anything(tmp_path: Path, blobs: Blobs, kind: str) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("x")
        root.chmod(0o750)
    elif kind == "link":
        root.symlink_to("elsewhere")
    entries, _ = take(str(root), blobs, {})
    put_back(entries, str(tmp_path / "again"), blobs)
    assert os.path.lexists(tmp_path / "again") == (kind != "nothing")
    if kind != "nothing":
        assert described(tmp_path / "again") == described(root)


def test_what_is_left_out_is_not_there(tmp_path: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path / "tree")
    (tmp_path / "tree/.attrs.sh").write_text("x")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path / "tree")  # the names of sockets are short
        listening.bind("socket")
        entries, _ = take(str(tmp_path / "tree"), blobs, {}, (".attrs.sh", "a"))
    paths = {entry.path for entry in entries}
    assert not paths & {".attrs.sh", "a", "a/file", "socket"}
    assert "z-same" in paths


def test_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: Blobs
) -> None:
    make_tree(tmp_path / "tree")
    (tmp_path / "tree/secret").chmod(0o400)
    time.sleep(0.06)
    first, known = take(str(tmp_path / "tree"), blobs, {})
    read = []
    add = Blobs.add

    def noted(self: Blobs, source: str) -> tuple[str, int]:
        read.append(source)
        return add(self, source)

    monkeypatch.setattr(Blobs, "add", noted)
    (tmp_path / "tree/nothing").write_text("something")
    second, _ = take(str(tmp_path / "tree"), blobs, known)
    assert read == [str(tmp_path / "tree/nothing")]
    assert [entry for entry in second if entry.path != "nothing"] == [
        entry for entry in first if entry.path != "nothing"
    ]


def test_a_change_that_hides_in_the_clocks_tick_is_found(tmp_path: Path, blobs: Blobs) -> None:
    file = tmp_path / "tree/file"
    file.parent.mkdir()
    for text in ("one", "two", "six", "ten"):  # of one length, faster than the kernel's clock
        file.write_text(text)
        os.utime(file, ns=(1, 1))
        known = locals().get("known", {})
        entries, known = take(str(file.parent), blobs, known)
        put_back(entries, str(tmp_path / text), blobs)
        assert (tmp_path / text / "file").read_text() == text


def test_contents_that_are_gone_are_kept_anew(tmp_path: Path, blobs: Blobs) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("x")
    time.sleep(0.06)
    entries, known = take(str(tmp_path / "tree"), blobs, {})
    os.unlink(blobs.path(entries[-1].data))
    entries, _ = take(str(tmp_path / "tree"), blobs, known)
    put_back(entries, str(tmp_path / "again"), blobs)


NAMES = st.sampled_from(["a", "b", "c", "é", " ", ".hidden"])
TREES = st.recursive(
    st.one_of(
        st.tuples(st.just("file"), st.binary(max_size=20), st.sampled_from([0o644, 0o755, 0o400, 0o000])),
        st.tuples(st.just("link"), st.sampled_from(["a", "../x", "/y"])),
    ),
    lambda inner: st.tuples(
        st.just("directory"),
        st.dictionaries(NAMES, inner, max_size=3),
        st.sampled_from([0o755, 0o555, 0o700, 0o000]),
    ),
    max_leaves=8,
)


def write(path: Path, tree: Any) -> None:
    if tree[0] == "file":
        path.write_bytes(tree[1])
        path.chmod(tree[2])
    elif tree[0] == "link":
        path.symlink_to(tree[1])
    else:
        path.mkdir()
        for name, inner in tree[1].items():
            write(path / name, inner)
        path.chmod(tree[2])


def delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for inner in path.iterdir():
        delete(inner)
    path.rmdir()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=TREES, second=TREES)
def test_any_tree_comes_back_whatever_was_known_before(
    tmp_path: Path, blobs: Blobs, first: Any, second: Any
) -> None:
    root, again = tmp_path / "tree", tmp_path / "again"
    try:
        write(root, first)
        known = take(str(root), blobs, {})[1]
        delete(root)
        write(root, second)
        entries, _ = take(str(root), blobs, known)
        put_back(entries, str(again), blobs)
        assert _modes(again) == _modes(root)
        assert described_all(again) == described_all(root)
    finally:
        for place in (root, again):
            if os.path.lexists(place):
                delete(place)


def _modes(path: Path) -> int:
    return path.lstat().st_mode


def described_all(root: Path) -> dict[str, Any]:
    """Like `described`, through directories that cannot be entered."""
    found: dict[str, Any] = {}
    status = root.lstat()
    if root.is_symlink():
        return {"": os.readlink(root)}
    with _readable(root):
        if root.is_dir():
            found[""] = (status.st_mode, status.st_mtime_ns)
            for inner in sorted(root.iterdir()):
                found |= {f"{inner.name}/{path}": value for path, value in described_all(inner).items()}
        else:
            found[""] = (status.st_mode, status.st_mtime_ns, root.read_bytes())
    return found


# Damage


HOSTILE = {
    "above": [Entry("", "directory", 0o755, 0), Entry("..", "directory", 0o755, 0)],
    "through a link": [
        Entry("", "directory", 0o755, 0),
        Entry("a", "link", 0o777, 0, 0, "/tmp"),
        Entry("a/b", "pipe", 0o600, 0),
    ],
    "without its directory": [Entry("", "directory", 0o755, 0), Entry("a/b", "pipe", 0o600, 0)],
    "absolute": [Entry("", "directory", 0o755, 0), Entry("/tmp/x", "pipe", 0o600, 0)],
    "twice": [Entry("", "directory", 0o755, 0), Entry("a", "pipe", 0, 0), Entry("a", "pipe", 0, 0)],
    "link to what is not there": [Entry("", "directory", 0o755, 0), Entry("a", "hard link", 0, 0, 0, "../x")],
    "no contents": [Entry("", "file", 0o644, 0, 3, "00" * 32)],
    "NUL": [Entry("", "directory", 0o755, 0), Entry("a\0", "pipe", 0, 0)],
    "dot": [Entry("", "directory", 0o755, 0), Entry(".", "directory", 0, 0)],
    "empty name": [
        Entry("", "directory", 0o755, 0),
        Entry("a", "directory", 0o755, 0),
        Entry("a/", "pipe", 0, 0),
    ],
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_snapshot_that_nobody_took_is_refused(tmp_path: Path, blobs: Blobs, entries: list[Entry]) -> None:
    with pytest.raises(Damaged):
        put_back(entries, str(tmp_path / "again"), blobs)


@pytest.mark.parametrize("size", [10, BIG])
@pytest.mark.parametrize("damage", ["flipped", "shorter", "longer", "empty", "gone"])
def test_damaged_contents_are_noticed_and_dropped(
    tmp_path: Path, blobs: Blobs, damage: str, size: int
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    entries, _ = take(str(tmp_path / "file"), blobs, {})
    blob = Path(blobs.path(entries[0].data))
    blob.chmod(0o600)
    data = bytearray(blob.read_bytes())
    if damage == "flipped":
        data[size // 2] ^= 1
    others = {"shorter": data[:-1], "longer": data + b"x", "empty": bytearray()}
    blob.write_bytes(others.get(damage, data))
    if damage == "gone":
        blob.unlink()
    with pytest.raises(Damaged, match="contents of a file"):
        put_back(entries, str(tmp_path / "again"), blobs)
    assert not blob.exists(), "so the next snapshot keeps it anew"


def test_a_file_that_changes_while_it_is_copied_is_not_kept_under_a_wrong_name(
    tmp_path: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * BIG)
    copy = snapshots._copy

    def changed(source: int, target: int) -> tuple[str, int]:
        with open(file, "r+b") as again:
            again.write(b"y")
        return copy(source, target)

    monkeypatch.setattr(snapshots, "_copy", changed)
    with pytest.raises(OSError, match="changed"):
        take(str(file), blobs, {})
    assert [names for _, _, names in os.walk(blobs.directory) if names] == []
