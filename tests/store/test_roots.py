from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath
from devenv.store.errors import StoreError
from devenv.store.layout import Layout
from devenv.store.locks import discard_lock_file, open_lock_file, try_lock
from devenv.store.roots import TemporaryRoots, add_indirect_root, automatic_name
from tests.store.trees import vectors

TARGET = StorePath("/s/store/" + "0" * 32 + "-env")
OTHER = StorePath("/s/store/" + "1" * 32 + "-env")


def test_the_name_of_an_automatic_root_is_that_of_nix() -> None:
    for expected in (store["indirect_root"] for store in vectors()["stores"].values()):
        assert automatic_name(expected["linkPath"]) == expected["autoLinkName"]


def test_an_indirect_root_is_two_links(layout: Layout, tmp_path: Path) -> None:
    link = tmp_path / "project/.devenv/env"
    add_indirect_root(layout, str(link), TARGET)
    add_indirect_root(layout, str(link), OTHER)
    assert os.readlink(link) == OTHER
    (name,) = os.listdir(f"{layout.gcroots}/auto")
    assert os.readlink(f"{layout.gcroots}/auto/{name}") == str(link)
    assert os.listdir(link.parent) == ["env"]


def test_a_root_that_is_right_already_is_not_touched(layout: Layout, tmp_path: Path) -> None:
    add_indirect_root(layout, str(tmp_path / "env"), TARGET)
    before = os.lstat(tmp_path / "env")
    add_indirect_root(layout, str(tmp_path / "env"), TARGET)
    assert os.lstat(tmp_path / "env") == before


def test_a_relative_link_is_recorded_with_its_whole_path(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add_indirect_root(layout, "env\udcff\n", TARGET)
    (name,) = os.listdir(f"{layout.gcroots}/auto")
    assert os.readlink(f"{layout.gcroots}/auto/{name}") == f"{os.getcwd()}/env\udcff\n"


def test_a_file_in_the_place_of_the_link_is_left_alone(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("mine")
    with pytest.raises(StoreError, match="env exists and is not a symbolic link") as caught:
        add_indirect_root(layout, str(tmp_path / "env"), TARGET)
    assert caught.value.hint
    assert (tmp_path / "env").read_text() == "mine"


def test_a_temporary_root_is_a_locked_file_that_begins_with_the_process_number(tmp_path: Path) -> None:
    roots = TemporaryRoots(str(tmp_path))
    roots.add([TARGET])
    roots.add([OTHER, TARGET])
    (name,) = os.listdir(tmp_path)
    assert name.startswith(f"{os.getpid()}-")
    assert (tmp_path / name).read_bytes() == f"{TARGET}\0{OTHER}\0".encode()
    assert os.stat(tmp_path / name).st_mode & 0o777 == 0o600
    other = open_lock_file(str(tmp_path / name))
    assert not try_lock(other, exclusive=False)
    roots.close()
    assert os.listdir(tmp_path) == []
    assert try_lock(other, exclusive=True)
    assert os.read(other, 99).endswith(b"d")
    os.close(other)


def test_a_file_that_a_collector_took_for_stale_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    taken: list[str] = []

    def collector_was_faster(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        if not taken:
            taken.extend(os.listdir(tmp_path))
            discard_lock_file(os.dup(descriptor), str(tmp_path / taken[0]))

    monkeypatch.setattr(fcntl, "flock", collector_was_faster)
    roots = TemporaryRoots(str(tmp_path))
    roots.add([TARGET])
    (name,) = os.listdir(tmp_path)
    assert name not in taken
    assert (tmp_path / name).read_bytes() == f"{TARGET}\0".encode()
    roots.close()
