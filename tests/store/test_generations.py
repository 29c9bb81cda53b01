from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.formats.store_path import StorePath
from devenv.store.generations import (
    Profile,
    expired,
    find_profiles,
    profile_directory,
    record_generation,
    remove_generations,
)
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.support.nix import Nix

DAY = 86400
Record = Callable[[str, int], None]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "my project").mkdir()
    (tmp_path / "my project/devenv.toml").touch()
    return tmp_path / "my project"


@pytest.fixture
def record(layout: Layout, project: Path) -> Record:
    """Record an environment that came into use so many days ago."""
    with Store.open(layout):
        pass

    def record(name: str, days_ago: int) -> None:
        record_generation(layout, str(project), StorePath(f"{layout.store}/{'0' * 32}-{name}"))
        (profile,) = find_profiles(layout)
        moment = NOW - days_ago * DAY
        os.utime(profile.generations[-1].link, (moment, moment), follow_symlinks=False)

    return record


NOW = 1_800_000_000.0


def names(layout: Layout) -> list[tuple[int, str]]:
    (profile,) = find_profiles(layout)
    return [(generation.number, generation.target[-1]) for generation in profile.generations]


def test_each_changed_environment_gets_a_number(layout: Layout, project: Path, record: Record) -> None:
    for name in ("a", "b", "b", "c"):
        record(name, 0)
    assert names(layout) == [(1, "a"), (2, "b"), (3, "c")]
    directory = Path(profile_directory(layout, str(project)))
    assert directory.name.endswith("-my-project")
    assert (directory / "project").readlink() == project
    assert (directory / "profile").readlink() == Path("profile-3-link")


def test_an_environment_that_comes_back_is_the_newest_again(layout: Layout, record: Record) -> None:
    for name in ("a", "b", "a", "b", "a"):
        record(name, 0)
    assert names(layout) == [(4, "b"), (5, "a")]


@pytest.mark.parametrize(
    ("older_than", "keep", "gone"),
    [
        (None, None, ""),
        (15, None, "a"),  # b was in use until 10 days ago, a until 20 days ago
        (25, None, ""),
        (1, None, "abc"),
        (0, None, "abc"),
        (None, 1, "abc"),
        (None, 2, "ab"),
        (None, 9, ""),
        (1, 2, "ab"),
        (15, 1, "a"),
        (15, 4, ""),
    ],
)
def test_age_and_number_say_what_goes(
    layout: Layout, record: Record, older_than: int | None, keep: int | None, gone: str
) -> None:
    for name, days in (("a", 40), ("b", 20), ("c", 10), ("d", 5)):
        record(name, days)
    before = None if older_than is None else NOW - older_than * DAY
    found = expired(find_profiles(layout), before=before, keep=keep)
    assert "".join(generation.target[-1] for generation in found) == gone


def test_the_newest_stays_however_old_it_is(layout: Layout, record: Record) -> None:
    record("a", 5000)
    assert expired(find_profiles(layout), before=NOW, keep=1) == []


def test_a_project_has_vanished_when_nothing_of_it_is_left(
    project: Path, layout: Layout, record: Record
) -> None:
    record("a", 1)
    record("b", 0)

    def profile() -> Profile:
        return find_profiles(layout)[0]

    (project / ".devenv").mkdir()
    (project / ".devenv/env").symlink_to("/nowhere")
    (project / "devenv.toml").unlink()  # perhaps another branch is checked out
    assert not profile().has_vanished
    (project / ".devenv/env").unlink()
    assert profile().has_vanished
    gone = expired(find_profiles(layout), before=None, keep=None)
    assert len(gone) == 2
    remove_generations(find_profiles(layout), gone)
    assert os.listdir(f"{layout.state}/profiles/per-project") == []


def test_something_else_in_the_place_is_left_alone(layout: Layout, record: Record, project: Path) -> None:
    record("a", 0)
    place = Path(layout.state, "profiles/per-project")
    (place / "a file").touch()
    (place / "empty").mkdir()
    directory = Path(profile_directory(layout, str(project)))
    (directory / "profile-0-link").symlink_to("/x")
    (directory / "profile-7-link").mkdir()
    (directory / "profile-99999999999999999999999-link").symlink_to("/x")
    assert names(layout) == [(1, "a")]


def test_two_projects_of_one_name_are_apart(layout: Layout, tmp_path: Path) -> None:
    assert profile_directory(layout, "/a/web") != profile_directory(layout, "/b/web")
    assert profile_directory(layout, "/a/web/") == profile_directory(layout, "/a/web")
    odd = profile_directory(layout, "/a/\udcff\n" + "x" * 250)
    assert len(os.path.basename(odd)) < 100


def test_nix_takes_generations_for_roots_and_for_a_profile(layout: Layout, nix: Nix, project: Path) -> None:
    with Store.open(layout) as store:
        old, new, dead = (store.add_text(name, name.encode()) for name in ("old", "new", "dead"))
        record_generation(layout, str(project), old)
        record_generation(layout, str(project), new)
    assert nix.store("--gc", "--print-dead").split() == [dead]
    profile = os.path.join(profile_directory(layout, str(project)), "profile")
    listed = nix.run("nix-env", "-p", profile, "--list-generations").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["1", "2"]
    assert "(current)" in listed[1]
    nix.run("nix-collect-garbage", "--delete-old")
    with Store.open(layout) as store:
        assert store.valid_paths([old, new, dead]) == {new}
