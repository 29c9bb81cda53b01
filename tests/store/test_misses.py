from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir
from devenv.store.misses import Misses

STORE = StoreDir("/x/store")
A, B = (STORE.text_path(name, Hash.of("sha256", b""), ()) for name in ("a", "b"))
ONE, TWO = "https://one.test", "https://two.test"


def test_misses_are_kept_by_cache_and_path(tmp_path: Path) -> None:
    misses = Misses(str(tmp_path / "deep" / "misses"))
    misses.add(ONE, [A])
    assert misses.among(ONE, [A, B]) == {A}
    assert misses.among(TWO, [A, B]) == set()
    misses.add(TWO, [A, B])
    misses.forget(ONE)
    again = Misses(str(tmp_path / "deep" / "misses"))
    assert again.among(ONE, [A]) == set() and again.among(TWO, [A, B]) == {A, B}


def test_they_are_forgotten_in_time_also_under_a_clock_that_was_ahead(tmp_path: Path) -> None:
    now = 10_000.0
    misses = Misses(str(tmp_path / "misses"), lifetime=100, clock=lambda: now)
    misses.add(ONE, [A])
    now += 99
    assert misses.among(ONE, [A]) == {A}
    now += 2
    assert misses.among(ONE, [A]) == set()
    now = 5_000.0
    assert misses.among(ONE, [A]) == set()
    misses.add(ONE, [B])
    now += 200
    misses.add(TWO, [A])
    with sqlite3.connect(tmp_path / "misses") as connection:
        assert connection.execute("select count(*) from Misses where cache = ?", (ONE,)).fetchone() == (1,)


@pytest.mark.parametrize("damage", ["junk", "empty", "directory", "another table", "no directory"])
def test_whatever_is_wrong_with_the_file_nothing_is_known(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "misses"
    if damage == "junk":
        path.write_bytes(b"no database" * 1000)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "directory":
        path.mkdir()
    elif damage == "another table":
        with sqlite3.connect(path) as connection:
            connection.execute("create table Misses (x)")
    else:
        (tmp_path / "file").write_bytes(b"")
        path = tmp_path / "file" / "misses"
    misses = Misses(str(path))
    misses.forget(ONE)
    assert misses.among(ONE, [A]) == set()
    misses.add(ONE, [A])
    assert misses.among(ONE, [A]) in (set(), {A})
    assert os.listdir(tmp_path)
