"""Finding damage: every kind, each named once, and none where there is none."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from devenv.events import Event, Finished, Planned, Reporter
from devenv.formats.store_path import StorePath
from devenv.store import hashing, tree
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.verify import verify
from tests.store.trees import make_odd
from tests.support.nix import Nix


@pytest.fixture
def objects(layout: Layout, tmp_path: Path) -> dict[str, StorePath]:
    make_odd(tmp_path / "odd")
    with Store.open(layout) as store:
        text = store.add_text("text", b"a text")
        (tmp_path / "link").symlink_to(text)
        return {
            "text": text,
            "user": store.add_text("user", b"of the text", (text,)),
            "odd": store.add_tree("odd", str(tmp_path / "odd")),
            "link": store.add_tree("link", str(tmp_path / "link"), [text]),
        }


def found(layout: Layout, jobs: int = 1) -> list[tuple[str, str | None]]:
    with Store.open(layout) as store:
        return [(damage.kind, damage.path) for damage in verify(store, jobs=jobs).damages]


def edit(path: str, change: Callable[[], object]) -> None:
    """Change something in a directory or file, and leave modes as they were."""
    os.chmod(path, 0o755)
    change()
    os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)


def update(layout: Layout, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(layout.database, isolation_level=None)) as connection:
        connection.execute(statement, values)


def test_a_sound_store_has_no_damage(layout: Layout, nix: Nix, objects: dict[str, StorePath]) -> None:
    with Store.open(layout) as store:
        done = verify(store)
    assert (done.checked, done.damages) == (4, ())
    assert done.size > 1_500_000
    nix.store("--add", __file__)
    assert found(layout) == []


DAMAGES: dict[str, tuple[str, str, Callable[[Layout, StorePath], object]]] = {
    "gone": ("missing", "odd", lambda layout, path: tree.remove(path)),
    "a byte": (
        "modified",
        "text",
        lambda layout, path: edit(path, lambda: Path(path).write_text("a tezt")),
    ),
    "longer": (
        "modified",
        "text",
        lambda layout, path: edit(path, lambda: Path(path).write_text("a text ")),
    ),
    "now a program": ("modified", "text", lambda layout, path: os.chmod(path, 0o555)),
    "a file more": (
        "modified",
        "odd",
        lambda layout, path: edit(path, lambda: Path(path, "new").touch()),
    ),
    "a file less": (
        "modified",
        "odd",
        lambda layout, path: edit(path, lambda: os.unlink(f"{path}/dangling")),
    ),
    "now a directory": (
        "modified",
        "text",
        lambda layout, path: os.unlink(path) or os.mkdir(path),  # type: ignore[func-returns-value]
    ),
    "a pipe in it": (
        "unreadable",
        "odd",
        lambda layout, path: edit(path, lambda: os.mkfifo(f"{path}/pipe")),
    ),
    "another hash": (
        "modified",
        "odd",
        lambda layout, path: update(
            layout, "update ValidPaths set hash = ? where path = ?", f"sha256:{'0' * 64}", path
        ),
    ),
    "no hash": (
        "record",
        "odd",
        lambda layout, path: update(layout, "update ValidPaths set hash = 'x' where path = ?", path),
    ),
    "another size": (
        "record",
        "odd",
        lambda layout, path: update(layout, "update ValidPaths set narSize = 7 where path = ?", path),
    ),
    "another address": (
        "claim",
        "text",
        lambda layout, path: update(
            layout, "update ValidPaths set ca = ? where path = ?", f"text:sha256:{'0' * 52}", path
        ),
    ),
    "an address of a tree": (
        "claim",
        "odd",
        lambda layout, path: update(
            layout, "update ValidPaths set ca = ? where path = ?", f"fixed:r:sha256:{'0' * 52}", path
        ),
    ),
    "no address": (
        "record",
        "odd",
        lambda layout, path: update(layout, "update ValidPaths set ca = 'new:x' where path = ?", path),
    ),
    "another store": (
        "record",
        "odd",
        lambda layout, path: update(
            layout, "update ValidPaths set path = replace(path, '/store/', '/sture/') where path = ?", path
        ),
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found_and_named(layout: Layout, objects: dict[str, StorePath], name: str) -> None:
    kind, which, damage = DAMAGES[name]
    damage(layout, objects[which])
    damages = found(layout)
    if name == "another store":
        moved = objects[which].replace("/store/", "/sture/")
        assert sorted(damages) == [("missing", moved), ("record", moved)]
    else:
        assert damages == [(kind, objects[which])]


def test_references_to_nowhere_are_found(layout: Layout, objects: dict[str, StorePath]) -> None:
    update(layout, "delete from ValidPaths where path = ?", objects["text"])
    kinds = found(layout)
    assert set(kinds) == {("record", None), ("claim", objects["user"]), ("claim", objects["link"])}


def test_workers_find_the_same(
    layout: Layout, objects: dict[str, StorePath], monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(objects["odd"], lambda: os.mkfifo(f"{objects['odd']}/pipe"))
    edit(objects["text"], lambda: Path(objects["text"]).write_text("x"))
    alone = found(layout)
    monkeypatch.setattr(hashing, "_WORTH_A_WORKER", 1)
    assert found(layout, jobs=3) == alone == [
        ("modified", objects["text"]),
        ("unreadable", objects["odd"]),
    ] or (sorted(alone) == sorted(found(layout, jobs=3)))


def test_a_dead_worker_is_done_without(
    layout: Layout, objects: dict[str, StorePath], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_WORTH_A_WORKER", 1)
    monkeypatch.setattr(hashing, "_PROGRAM", "raise SystemExit(1)")
    assert found(layout, jobs=2) == []


def test_stopping_ends_the_workers(
    layout: Layout, objects: dict[str, StorePath], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_WORTH_A_WORKER", 1)
    results = hashing.measure(dict.fromkeys(objects.values(), 1000), 2)
    assert next(results).error is None
    results.close()  # type: ignore[attr-defined]


def test_progress_is_told(layout: Layout, objects: dict[str, StorePath]) -> None:
    events: list[Event] = []

    class Recording(Reporter):
        def event(self, event: Event) -> None:
            events.append(event)

    with Store.open(layout) as store:
        verify(store, reporter=Recording())
    assert [event.count for event in events if isinstance(event, Planned)] == [4]
    assert {event.key for event in events if isinstance(event, Finished)} == set(objects.values())


def test_single_paths_can_be_checked(layout: Layout, objects: dict[str, StorePath]) -> None:
    edit(objects["odd"], lambda: Path(objects["odd"], "new").touch())
    with Store.open(layout) as store:
        assert verify(store, [objects["text"]]).damages == ()
        assert verify(store, [objects["odd"]]).damaged_paths == {objects["odd"]}
