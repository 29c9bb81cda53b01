"""Checkpoints: kept, found, dropped oldest first, and never believed when damaged."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from devenv.recipes.checkpoints import LIMIT, Checkpoints, Tree, limit_from
from devenv.recipes.snapshots import Damaged, Known

KEYS = tuple(f"{number:064x}" for number in range(8))


class Site:
    """A build directory and an output, and checkpoints of both."""

    def __init__(self, place: Path, limit: int = LIMIT) -> None:
        self.place = place
        self.build, self.out = place / "build", place / "out"
        self.build.mkdir()
        self.directory = place / "checkpoints"
        self.checkpoints = Checkpoints(str(self.directory), limit)

    def save(self, key: str, **files: str) -> list[Known]:
        for name, text in files.items():
            (self.build / name).write_text(text)
        trees = (Tree(root=str(self.build), leave_out=("generated",)), Tree(root=str(self.out)))
        return self.checkpoints.save(key, trees, ({}, {}), recipe="hello", phase="build")

    def restore(self, key: str, name: str = "again") -> Path:
        (self.place / name).mkdir()
        roots = [str(self.place / name / part) for part in ("build", "out")]
        self.checkpoints.restore(key, roots)
        return self.place / name

    def blobs(self) -> list[Path]:
        return sorted(path for path in (self.directory / "files").rglob("*") if path.is_file())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_both_trees_come_back(site: Site) -> None:
    site.out.write_text("result")
    (site.build / "generated").write_text("x")
    site.save(KEYS[0], file="one")
    place = site.restore(KEYS[0])
    assert sorted(path.name for path in (place / "build").iterdir()) == ["file"]
    assert (place / "out").read_text() == "result"


def test_an_output_that_does_not_exist_yet_does_not_exist_again(site: Site) -> None:
    site.save(KEYS[0], file="one")
    assert not (site.restore(KEYS[0]) / "out").exists()


def test_the_latest_that_is_there_is_found(site: Site) -> None:
    assert site.checkpoints.latest(KEYS) is None
    site.save(KEYS[1])
    site.save(KEYS[4])
    assert site.checkpoints.latest(KEYS) == 4
    assert site.checkpoints.latest(KEYS[:4]) == 1
    site.checkpoints.drop(KEYS[4])
    site.checkpoints.drop(KEYS[4])
    assert site.checkpoints.latest(KEYS) == 1


def test_equal_contents_are_kept_once(site: Site) -> None:
    site.save(KEYS[0], a="same", b="same")
    site.save(KEYS[1], c="same")
    assert len(site.blobs()) == 1


# Damage


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _edit_head(text: str) -> str:
    return text.replace('"hello"', '"hullo"', 1)


def _other_version(text: str) -> str:
    return text.replace('"version": 1', '"version": 2', 1)


DAMAGES = {
    "cut in the middle": _cut,
    "last line gone": lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
    "a line gone": lambda text: "\n".join([*text.splitlines()[:2], *text.splitlines()[3:]]) + "\n",
    "empty": lambda _: "",
    "noise": lambda _: "\0\1\2",
    "no JSON": lambda text: "x" + text,
    "head changed": _edit_head,
    "another version": _other_version,
    "a number": lambda _: "1\n2\n",
    "lists": lambda _: "[]\n[]\n",
    "nested too deep": lambda _: "[" * 100_000 + "\n{}\n",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_refused(site: Site, damage: object) -> None:
    site.save(KEYS[0], file="one")
    path = site.directory / "made" / KEYS[0]
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(Damaged):
        site.restore(KEYS[0])
    site.checkpoints.trim()


def test_one_that_stands_under_another_name_is_refused(site: Site) -> None:
    site.save(KEYS[0], file="one")
    os.rename(site.directory / "made" / KEYS[0], site.directory / "made" / KEYS[1])
    with pytest.raises(Damaged, match="another one"):
        site.restore(KEYS[1])


@pytest.mark.parametrize(
    "entry",
    [
        [5, "x", "file", 0, 0, 0, ""],
        [-1, "x", "file", 0, 0, 0, ""],
        [0, 1, "file", 0, 0, 0, ""],
        [0, "x", "device", 0, 0, 0, ""],
        [0, "x", "file", "0", 0, 0, ""],
        [0, "x", "file", 0, 0, 0],
        [True, "x", "file", 0, 0, 0, ""],
        {},
        None,
    ],
)
def test_an_entry_that_is_none_is_refused_even_with_a_right_hash(site: Site, entry: object) -> None:
    head = {"version": 1, "key": KEYS[0], "recipe": "hello", "phase": "build", "size": 0}
    site.checkpoints._write(KEYS[0], [json.dumps(head), json.dumps(entry)])
    with pytest.raises(Damaged):
        site.restore(KEYS[0])


# Room


def big(letter: str) -> str:
    return letter * 1000


def test_those_that_were_not_used_for_longest_go_first(tmp_path: Path) -> None:
    site = Site(tmp_path, limit=3500)
    for number, key in enumerate(KEYS[:3]):
        site.save(key, file=big(str(number)))
        os.utime(site.directory / "made" / key, (number, number))
    assert site.checkpoints.trim() == 0
    site.restore(KEYS[0])
    site.save(KEYS[3], file=big("3"))
    assert site.checkpoints.trim() == 1
    assert [site.checkpoints.has(key) for key in KEYS[:4]] == [True, False, True, True]
    assert len(site.blobs()) == 3


def test_what_several_share_counts_once(tmp_path: Path) -> None:
    site = Site(tmp_path, limit=3500)
    for key in KEYS:
        site.save(key, file=big("0"))
    assert site.checkpoints.trim() == 0
    assert all(map(site.checkpoints.has, KEYS))


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, limit=0)
    site.save(KEYS[0], file="x")
    assert site.checkpoints.trim() == 1
    assert site.blobs() == []
    assert not site.checkpoints.has(KEYS[0])


def test_nothing_is_dropped_while_somebody_uses_checkpoints(tmp_path: Path) -> None:
    site = Site(tmp_path, limit=0)
    site.save(KEYS[0], file="x")
    with open(site.directory / "lock", "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert site.checkpoints.trim() == 0
    assert site.checkpoints.has(KEYS[0])


def test_savers_and_droppers_at_once_leave_nothing_half(tmp_path: Path) -> None:
    site = Site(tmp_path, limit=1500)
    problems: list[str] = []

    def work(number: int) -> None:
        place = tmp_path / f"worker-{number}"
        place.mkdir()
        own = Checkpoints(str(site.directory), 1500)
        for turn in range(15):
            key = f"{number:032x}{turn:032x}"
            (place / "file").write_text(big(f"{number}")[:900] + str(turn))
            own.save(key, [Tree(root=str(place))], [{}], recipe="r", phase="p")
            own.trim()
            for found in os.listdir(site.directory / "made"):
                if found.startswith("."):
                    continue
                target = tmp_path / f"got-{number}-{turn}-{found[-8:]}-{found[:40][-4:]}"
                try:
                    own.restore(found, [str(target)])
                except Damaged as damage:
                    # Dropped between being listed and being opened is fine; half there is not.
                    if (site.directory / "made" / found).exists():
                        problems.append(damage.what)
                except FileExistsError:
                    pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.mark.parametrize(
    ("environ", "limit"),
    [
        ({}, LIMIT),
        ({"DEVENV_CHECKPOINTS": "2G"}, 2 << 30),
        ({"DEVENV_CHECKPOINTS": "0"}, 0),
        ({"DEVENV_CHECKPOINTS": "many"}, LIMIT),
        ({"DEVENV_CHECKPOINTS": "-5"}, 0),
        ({"DEVENV_CHECKPOINTS": ""}, LIMIT),
    ],
)
def test_the_limit_is_the_users(environ: dict[str, str], limit: int) -> None:
    assert limit_from(environ) == limit
