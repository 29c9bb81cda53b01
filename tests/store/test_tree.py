from __future__ import annotations

import hashlib
import inspect
import os
import socket
import stat
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.errors import StoreError
from tests.store.trees import listing, make_odd, vectors, write

VECTORS = vectors()


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "odd"
    make_odd(path)
    yield path


def is_canonical(path: Path) -> bool:
    def right(mode: int, modified: int) -> bool:
        if stat.S_ISLNK(mode):
            return modified == 1
        return modified == 1 and (
            stat.S_IMODE(mode) == 0o555 or (stat.S_IMODE(mode) == 0o444 and stat.S_ISREG(mode))
        )

    return all(right(mode, modified) for _, mode, modified, _, _ in listing(path))


@pytest.mark.parametrize(("name", "description"), VECTORS["trees"].items(), ids=VECTORS["trees"])
def test_the_nar_of_a_tree_is_that_of_nix(tmp_path: Path, name: str, description: dict[str, Any]) -> None:
    write(description, tmp_path / "it")
    expected = VECTORS["storeIndependent"]["nar"][name]
    scanned = tree.scan(str(tmp_path / "it"), ())
    assert scanned.nar_hash.hex == expected["narHash_base16"]
    assert scanned.nar_size == expected["narSize"]
    assert hashlib.sha1(b"".join(tree.dump(str(tmp_path / "it")))).digest() == (
        Hash.parse_typed("sha1:" + expected["nar_sha1_base32"]).digest
    )


def test_a_copy_is_canonical_and_has_the_same_nar(tmp_path: Path, odd: Path) -> None:
    before = listing(odd)
    copied = tree.copy_and_scan(str(odd), str(tmp_path / "copy"), ())
    assert copied == tree.scan(str(odd), ()) == tree.scan(str(tmp_path / "copy"), ())
    assert is_canonical(tmp_path / "copy")
    assert listing(odd) == before


def test_the_modes_of_a_copy_do_not_depend_on_the_umask(tmp_path: Path, odd: Path) -> None:
    old = os.umask(0o077)
    try:
        tree.copy_tree(str(odd), str(tmp_path / "copy"))
        tree.restore(tree.dump(str(odd)), str(tmp_path / "restored"))
    finally:
        os.umask(old)
    assert is_canonical(tmp_path / "copy")
    assert listing(tmp_path / "restored") == listing(tmp_path / "copy")


def test_a_tree_made_canonical_in_place_equals_a_copy(tmp_path: Path, odd: Path) -> None:
    tree.copy_tree(str(odd), str(tmp_path / "copy"))
    tree.canonicalise(str(odd))
    assert listing(odd) == listing(tmp_path / "copy")


def test_unreadable_directories_become_canonical(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/f").touch()
    (tmp_path / "d/e").chmod(0)
    (tmp_path / "d").chmod(0o200)
    tree.canonicalise(str(tmp_path / "d"))
    assert is_canonical(tmp_path / "d")
    assert (tmp_path / "d/e/f").exists()


def test_extended_attributes_are_removed(tmp_path: Path) -> None:
    for path in (tmp_path / "d", tmp_path / "d/f"):
        path.mkdir() if path.name == "d" else path.touch()
        try:
            os.setxattr(path, "user.origin", b"somewhere")
        except OSError:
            pytest.skip("no user attributes on this file system")
    (tmp_path / "d/f").chmod(0o400)
    tree.canonicalise(str(tmp_path / "d"))
    assert os.listxattr(tmp_path / "d") == os.listxattr(tmp_path / "d/f") == []
    assert is_canonical(tmp_path / "d")


def test_a_canonical_tree_is_left_untouched(tmp_path: Path, odd: Path) -> None:
    tree.canonicalise(str(odd))
    changed = os.lstat(odd / "large").st_ctime_ns
    time.sleep(0.02)
    tree.canonicalise(str(odd))
    assert os.lstat(odd / "large").st_ctime_ns == changed


def test_references_are_found_in_contents_names_and_link_targets(tmp_path: Path) -> None:
    paths = [StorePath(f"/s/store/{digit * 32}-x") for digit in "0123a"]
    (tmp_path / "t").mkdir()
    (tmp_path / "t/file").write_bytes(b"\0" * 2_000_000 + b"0" * 32)
    (tmp_path / "t/small").write_text(f"#!{paths[4]}/bin/sh\n")
    (tmp_path / "t" / ("1" * 32)).touch()
    (tmp_path / "t/link").symlink_to(paths[2])
    assert tree.scan(str(tmp_path / "t"), paths).references == (paths[0], paths[1], paths[2], paths[4])


def named_pipe(path: str) -> None:
    os.mkfifo(path)


def unix_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path)


def device(path: str) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make devices")


READERS: dict[str, Callable[[Path, Path], object]] = {
    "scan": lambda source, _: tree.scan(str(source), ()),
    "copy": lambda source, target: tree.copy_tree(str(source), str(target)),
    "canonicalise": lambda source, _: tree.canonicalise(str(source)),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("make", [named_pipe, unix_socket, device], ids=lambda make: make.__name__)
def test_what_is_no_file_directory_or_link_is_refused(
    tmp_path: Path,
    make: Callable[[str], None],
    read: Callable[[Path, Path], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.chdir(tmp_path / "t")  # the path of a socket may have 107 bytes only
    make("special")
    for source in (tmp_path / "t", tmp_path / "t/special"):
        with pytest.raises(StoreError, match="special is a") as caught:
            read(source, tmp_path / "copy")
        assert caught.value.hint
        tree.remove(str(tmp_path / "copy"))


@pytest.mark.parametrize("size", [5, 6_000_000], ids=["small", "large"])
def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    examine = tree._examine

    def shrinking(descriptor: int, path: bytes) -> tuple[bool, int]:
        found = examine(descriptor, path)
        os.truncate(path, found[1] // 2)
        return found

    monkeypatch.setattr(tree, "_examine", shrinking)
    with pytest.raises(StoreError, match="became shorter"):
        tree.scan(str(tmp_path / "file"), ())


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "file").symlink_to("secret")
    monkeypatch.setattr(os, "lstat", os.stat)  # as if the file had been there a moment ago
    with pytest.raises(StoreError, match="symbolic links"):
        tree.scan(str(tmp_path / "file"), ())


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"reading .*/nothing: No such file"):
        tree.scan(str(tmp_path / "nothing"), ())
    with pytest.raises(StoreError, match=r"copying .*/no\\nthing: No such file"):
        tree.copy_tree(str(tmp_path / "no\nthing"), str(tmp_path / "copy"))


@pytest.fixture
def shallow_stack() -> Iterator[None]:
    """Python may go only a little deeper than the test itself: deep trees are slow to make."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow_stack")
def test_a_tree_deeper_than_pythons_stack_works(tmp_path: Path) -> None:
    deepest = str(tmp_path / "t")
    os.mkdir(deepest)
    for _ in range(200):
        deepest += "/d"
        os.mkdir(deepest)
    tree.copy_tree(str(tmp_path / "t"), str(tmp_path / "copy"))
    tree.canonicalise(str(tmp_path / "t"))
    tree.restore(tree.dump(str(tmp_path / "t")), str(tmp_path / "restored"))
    measured = tree.scan(str(tmp_path / "t"), ())
    for name in ("copy", "restored"):
        assert tree.scan(str(tmp_path / name), ()) == measured
        tree.remove(str(tmp_path / name))
    tree.remove(str(tmp_path / "t"))  # pytest itself would meet the end of the stack
    assert os.listdir(tmp_path) == []


def test_large_files_take_little_memory(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    tree.copy_and_scan(str(tmp_path / "large"), str(tmp_path / "copy"), [StorePath(f"/s/{'0' * 32}-x")])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_removing_takes_read_only_trees_and_follows_no_link(tmp_path: Path, odd: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (odd / "out").symlink_to(tmp_path / "kept")
    tree.canonicalise(str(odd))
    tree.remove(str(odd))
    assert not odd.exists()
    assert (tmp_path / "kept/file").exists()
    (tmp_path / "link").symlink_to("kept")
    tree.remove(str(tmp_path / "link"))
    tree.remove(str(tmp_path / "nothing"))
    assert os.listdir(tmp_path) == ["kept"]


def test_a_read_only_directory_moves_to_another_and_stays_canonical(tmp_path: Path, odd: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    tree.canonicalise(str(odd))
    expected = listing(odd)
    tree.move(str(odd), str(tmp_path / "elsewhere/it"))
    assert listing(tmp_path / "elsewhere/it") == expected


@pytest.mark.parametrize("size", [7, 4096, 1 << 30])
def test_a_restored_tree_has_the_same_nar_and_is_canonical(tmp_path: Path, odd: Path, size: int) -> None:
    if size == 7:
        (odd / "large").unlink()
    data = b"".join(tree.dump(str(odd)))
    tree.restore((data[at : at + size] for at in range(0, len(data), size)), str(tmp_path / "restored"))
    assert b"".join(tree.dump(str(tmp_path / "restored"))) == data
    assert is_canonical(tmp_path / "restored")


def test_restoring_never_replaces_anything(tmp_path: Path, odd: Path) -> None:
    (tmp_path / "target").write_text("mine")
    for source in (odd, odd / "large", odd / "dangling"):
        with pytest.raises(StoreError, match="File exists"):
            tree.restore(tree.dump(str(source)), str(tmp_path / "target"))
    assert (tmp_path / "target").read_text() == "mine"


def test_a_nar_that_ends_early_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a").write_text("contents")
    (tmp_path / "t/b").symlink_to("a")
    data = b"".join(tree.dump(str(tmp_path / "t")))
    for length in range(0, len(data), 8):
        with pytest.raises(StoreError, match="restoring"):
            tree.restore([data[:length]], str(tmp_path / "target"))
        tree.remove(str(tmp_path / "target"))


def test_a_tree_too_deep_to_be_named_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d" * 50, dir_fd=descriptor)
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=descriptor)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.fchmod(descriptor, 0o555)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    tree.remove(str(top))
    assert not top.exists()
