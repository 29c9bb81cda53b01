from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store.database import Database, PathInfo
from devenv.store.errors import StoreError

HASH = Hash.of("sha256", b"")


def numbered(number: int) -> StorePath:
    return StorePath(f"/s/store/{number:032}-x")


def info(number: int, *references: int) -> PathInfo:
    return PathInfo(
        path=numbered(number), nar_hash=HASH, nar_size=1, references=tuple(map(numbered, references))
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "state/db/db.sqlite")


def test_what_is_registered_is_there_after_reopening(file: str) -> None:
    first = PathInfo(path=numbered(1), nar_hash=HASH, nar_size=2**40, content_address="text:x", ultimate=True)
    second = PathInfo(
        path=numbered(2),
        nar_hash=HASH,
        nar_size=7,
        references=(numbered(1), numbered(2)),
        deriver=numbered(3),
    )
    database = Database(file)
    database.register([second, first])
    database.close()
    database = Database(file)
    assert (database.info(numbered(1)), database.info(numbered(2))) == (first, second)
    assert database.info(numbered(3)) is None
    assert database.valid_paths([numbered(1), numbered(2), numbered(3)]) == {numbered(1), numbered(2)}
    database.close()


def test_all_or_nothing_is_registered(file: str) -> None:
    database = Database(file)
    with pytest.raises(StoreError, match=f"registering {numbered(2)}: it refers to {numbered(9)}"):
        database.register([info(1), info(2, 1, 9)])
    assert database.valid_paths([numbered(1)]) == set()
    database.register([info(1)])
    database.close()


def test_registering_again_replaces(file: str) -> None:
    database = Database(file)
    database.register([info(1), info(2), info(3, 1)])
    database.register([info(3, 2)])
    assert database.info(numbered(3)) == info(3, 2)
    database.close()


def test_the_closure_follows_long_chains_and_loops(file: str) -> None:
    database = Database(file)
    database.register([info(number, number, *([number - 1] if number else [])) for number in range(2000)])
    assert len(database.closure([numbered(1999)])) == 2000
    assert database.closure([numbered(0)]) == {numbered(0)}
    database.close()


def test_foreign_keys_are_enforced(file: str) -> None:
    database = Database(file)
    database.register([info(1), info(2, 1)])
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        database._rows("deleting", "delete from ValidPaths where path = ?", (numbered(1),))
    database._rows("deleting", "delete from ValidPaths where path = ?", (numbered(2),))
    assert database._rows("counting", "select count(*) from Refs", ()) == [(0,)]
    database.close()


def test_many_processes_may_create_it_at_once(file: str) -> None:
    code = f"""
from tests.store.test_database import info
from devenv.store.database import Database
import sys
database = Database({file!r})
for number in range(20):
    database.register([info(int(sys.argv[1]) * 100 + number)])
database.close()
"""
    tree = Path(__file__).parents[2]
    running = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=tree) for n in range(4)]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    database = Database(file)
    assert len(database.valid_paths(numbered(n * 100 + i) for n in range(4) for i in range(20))) == 80
    database.close()


def test_who_comes_second_to_create_it_does_not_wait_until_the_first_is_done_with_it(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Database._exists
    seen = [False]  # what the second one saw before the first made it
    with closing(Database(file)), ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(Database, "_exists", lambda self: seen.pop() if seen else exists(self))
        second = threads.submit(Database, file)
        second.result(timeout=10).close()


def test_a_creation_that_was_killed_is_taken_up_again(file: str) -> None:
    Database(file).close()
    version = Path(file).parent / "schema"
    version.unlink()
    Database(file).close()
    assert version.read_text() == "10"
    Path(file).unlink()
    database = Database(file)
    database.register([info(1)])
    database.close()


def test_threads_share_one_connection(file: str) -> None:
    database = Database(file)

    def work(thread: int) -> None:
        for number in range(20):
            database.register([info(thread * 100 + number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(database.valid_paths(numbered(n * 100 + i) for n in range(4) for i in range(20))) == 80
    database.close()


def test_another_writer_is_waited_for(file: str) -> None:
    database = Database(file)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    release = threading.Timer(1.3, other.execute, ["commit"])  # longer than SQLite itself waits
    release.start()
    database.register([info(1)])
    release.join()
    other.close()
    assert database.valid_paths([numbered(1)]) == {numbered(1)}
    database.close()


def test_waiting_for_another_writer_ends(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devenv.store.database._PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr("devenv.store.database._ONE_WAIT_SECONDS", 0.1)
    database = Database(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreError, match="locked") as caught:
        database.register([info(1)])
    assert "Another program" in str(caught.value.hint)
    other.close()
    database.close()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("11", "newer Nix"),
        ("9", "old Nix"),
        ("", "move"),
        ("ten", "move"),
        ("1" * 5000, "newer"),
        ("\udcff", "move"),
    ],
    ids=["newer", "older", "empty", "word", "long", "not text"],
)
def test_another_schema_is_refused(file: str, text: str, hint: str) -> None:
    Database(file).close()
    (Path(file).parent / "schema").write_bytes(os.fsencode(text))
    with pytest.raises(StoreError, match="where 10 is expected") as caught:
        Database(file)
    assert hint in str(caught.value.hint)


def overwrite(file: str, start: int, data: bytes) -> None:
    with open(file, "r+b") as opened:
        opened.seek(start)
        opened.write(data)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: overwrite(file, 0, b"not a database" * 10), id="no database"),
        pytest.param(lambda file: overwrite(file, 4096, b"\xff" * 60_000), id="pages overwritten"),
        pytest.param(lambda file: os.truncate(file, 5000), id="cut"),
        pytest.param(lambda file: os.truncate(file, 0), id="empty"),
    ],
)
def test_a_damaged_database_is_an_error_that_says_what_to_do(file: str, damage: object) -> None:
    database = Database(file)
    database.register([info(number) for number in range(200)])
    database.close()
    assert callable(damage)
    damage(file)
    with pytest.raises(StoreError, match=r"db\.sqlite") as caught:
        broken = Database(file)
        try:
            broken.info(numbered(7))
            broken.register([info(201, 7)])
        finally:
            broken.close()
    assert f"Move {Path(file).parent} elsewhere" in str(caught.value.hint)


@pytest.mark.parametrize(
    "change",
    ["hash = 'nonsense'", "hash = x'ff'", "narSize = 'big'", "hash = 'sha256:'"],
)
def test_nonsense_in_a_row_is_an_error(file: str, change: str) -> None:
    database = Database(file)
    database.register([info(1)])
    database._rows("damaging", f"update ValidPaths set {change}", ())
    with pytest.raises(StoreError, match="holds nonsense about"):
        database.info(numbered(1))
    database.close()


def test_text_that_is_no_text_is_an_error(file: str) -> None:
    database = Database(file)
    database.register([info(1)])
    database._rows("damaging", "update ValidPaths set deriver = cast(x'ff' as text)", ())
    with pytest.raises(StoreError, match="UTF-8"):
        database.info(numbered(1))
    database.close()
