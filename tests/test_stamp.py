"""The stamp: what it records is what it gives back."""

from __future__ import annotations

from pathlib import Path

from devenv.stamp import current_spec, take_signatures, watched_files, write_stamp


def test_the_files_of_a_stamp_are_those_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / ".devenv").mkdir()
    store = tmp_path / "store"
    (store / "spec").mkdir(parents=True)
    names = [str(tmp_path / name) for name in ("devenv.toml", "with blank", "missing")]
    for name in names[:2]:
        Path(name).write_text("x")
    environ = {"DEVENV_STORE_DIR": str(store)}
    write_stamp(str(tmp_path), str(store), str(store / "spec"), take_signatures(names))
    assert watched_files(str(tmp_path)) == names
    assert current_spec(str(tmp_path), environ) == str(store / "spec")
    assert current_spec(str(tmp_path), {"DEVENV_STORE_DIR": "/elsewhere/store"}) is None
    Path(names[2]).write_text("now it is there")
    assert current_spec(str(tmp_path), environ) is None
    assert watched_files(str(tmp_path / "other")) == []


def test_a_stamp_that_a_repository_brought_names_nothing_outside_the_store(tmp_path: Path) -> None:
    for place in (".devenv", "evil", "store"):
        (tmp_path / place).mkdir()
    environ = {"DEVENV_STORE_DIR": str(tmp_path / "store")}
    for spec in (tmp_path / "evil", tmp_path / "store/../evil", tmp_path / "store"):
        write_stamp(str(tmp_path), str(tmp_path / "store"), str(spec), {})
        assert current_spec(str(tmp_path), environ) is None
