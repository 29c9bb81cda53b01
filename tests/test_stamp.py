"""The stamp: what it records is what it gives back."""

from __future__ import annotations

from pathlib import Path

from devenv.stamp import current_spec, take_signatures, watched_files, write_stamp


def test_the_files_of_a_stamp_are_those_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / ".devenv").mkdir()
    (tmp_path / "spec").mkdir()
    names = [str(tmp_path / name) for name in ("devenv.toml", "with blank", "missing")]
    for name in names[:2]:
        Path(name).write_text("x")
    environ = {"DEVENV_STORE_DIR": "/nowhere/store"}
    write_stamp(str(tmp_path), "/nowhere/store", str(tmp_path / "spec"), take_signatures(names))
    assert watched_files(str(tmp_path)) == names
    assert current_spec(str(tmp_path), environ) == str(tmp_path / "spec")
    assert current_spec(str(tmp_path), {"DEVENV_STORE_DIR": "/elsewhere/store"}) is None
    Path(names[2]).write_text("now it is there")
    assert current_spec(str(tmp_path), environ) is None
    assert watched_files(str(tmp_path / "other")) == []
