"""The files that prompt hooks read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.hook_index import (
    Entry,
    HookIndexError,
    dump,
    entry_directory,
    load,
    one_line,
    read_entry,
    write_entry,
)
from devenv.hooking import settled_mtimes

lines = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))
paths = lines.map(lambda text: "/" + text)


@given(
    st.builds(
        Entry,
        project=paths,
        state=st.sampled_from(("ready", "building", "waiting", "denied", "failed")),
        spec=lines,
        say=st.just(""),
        watched=st.lists(st.tuples(st.sampled_from(("watch", "look", "absent")), paths)).map(tuple),
    )
)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert load(dump(entry, "1", entry.watched).split("\n")[:-1]) == entry


@given(st.text())
def test_what_is_told_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


@given(st.lists(st.text(max_size=20), max_size=9))
def test_anything_else_is_refused_or_an_entry(found: list[str]) -> None:
    try:
        load(found)
    except (ValueError, IndexError):
        return
    raise AssertionError(found)


def test_a_version_replaces_the_one_before_and_few_remain(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("")
    for say in ("one", "two", "three"):
        entry = Entry(
            project="/p", state="ready", say=say, watched=(("watch", str(file)), ("watch", "/none"))
        )
        place = write_entry(str(tmp_path / "tree"), entry, {str(file): 123456789})
    found = read_entry(str(tmp_path / "tree"), "/p")
    assert found is not None
    assert (found.say, found.watched) == ("three", (("watch", str(file)), ("absent", "/none")))
    assert os.stat(os.path.join(place, "0")).st_mtime_ns == 123456789
    folder = Path(entry_directory(str(tmp_path / "tree"), "/p"))
    assert len([name for name in os.listdir(folder) if name.isdigit()]) == 2
    assert os.path.realpath(folder / "current") == place


def test_an_absent_directory_stands_for_what_would_be_in_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    names = ("a.lock", "d", "d/x", "d/x/y", "f", "dx")
    watched = tuple(("watch", f"/p/{name}") for name in names)
    entry = Entry(project="/p", state="ready", watched=watched)  # type: ignore[arg-type]
    version = write_entry(str(tmp_path), entry, {"/p/f": 1})
    found = read_entry(str(tmp_path), "/p")
    assert found is not None
    assert found.watched == (
        ("absent", "/p/a.lock"),
        ("absent", "/p/d"),
        ("watch", "/p/f"),
        ("absent", "/p/dx"),
    )
    assert os.stat(f"{version}/2").st_mtime_ns == 1, "the empty file has the number of its line"


def test_what_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "tree").write_text("in the way")
    with pytest.raises(HookIndexError, match="/p"):
        write_entry(str(tmp_path / "tree"), Entry(project="/p", state="ready"), {})
    with pytest.raises(HookIndexError):
        write_entry(str(tmp_path), Entry(project="/" + "x" * 300, state="ready"), {})


def test_a_file_that_was_just_written_is_waited_for(tmp_path: Path) -> None:
    """The clock that files are stamped with ticks slowly: a second edit within a tick has the same time."""
    file = tmp_path / "f"
    for _ in range(5):
        file.write_text("one")
        found = settled_mtimes([str(file)])
        file.write_text("two")
        assert file.stat().st_mtime_ns != found[str(file)]
