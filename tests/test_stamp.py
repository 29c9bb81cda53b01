"""The stamp: what it records is what it gives back."""

from __future__ import annotations

from pathlib import Path

from devenv.preparation import watched_by
from devenv.project import Project
from devenv.stamp import current_spec, stamp_path, take_signatures, watched_files, write_stamp
from devenv.workplace import Settings
from tests.derivations.site import Recorder


def test_the_files_of_a_stamp_are_those_it_was_made_from(tmp_path: Path) -> None:
    store, project = tmp_path / "store", str(tmp_path / "a project")
    (store / "spec").mkdir(parents=True)
    names = [str(tmp_path / name) for name in ("devenv.toml", "with blank", "missing")]
    for name in names[:2]:
        Path(name).write_text("x")
    environ = {"DEVENV_STORE_DIR": str(store), "XDG_STATE_HOME": str(tmp_path / "state")}
    write_stamp(project, str(store), str(store / "spec"), take_signatures(names), environ)
    assert watched_files(project, environ) == names
    assert current_spec(project, environ) == str(store / "spec")
    assert current_spec(project, environ | {"DEVENV_STORE_DIR": "/elsewhere/store"}) is None
    assert current_spec(project, environ | {"XDG_STATE_HOME": "/elsewhere"}) is None
    Path(names[2]).write_text("now it is there")
    assert current_spec(project, environ) is None
    assert watched_files(str(tmp_path / "other"), environ) == []


def test_a_stamp_names_nothing_outside_the_store(tmp_path: Path) -> None:
    for place in ("evil", "store"):
        (tmp_path / place).mkdir()
    environ = {"DEVENV_STORE_DIR": str(tmp_path / "store"), "XDG_STATE_HOME": str(tmp_path / "state")}
    for spec in (tmp_path / "evil", tmp_path / "store/../evil", tmp_path / "store"):
        write_stamp(str(tmp_path), str(tmp_path / "store"), str(spec), {}, environ)
        assert current_spec(str(tmp_path), environ) is None


def test_a_home_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no directory")
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    write_stamp(str(tmp_path), "/store", "/store/spec", {}, environ)
    assert current_spec(str(tmp_path), environ) is None
    assert not Path(stamp_path(str(tmp_path), environ)).exists()


def test_the_names_of_cargos_sources_are_watched(tmp_path: Path) -> None:
    """They lie beside the lockfile, and need not be there."""
    inner = tmp_path / "rust"
    inner.mkdir()
    (tmp_path / "devenv.toml").write_text('name = "x"\n[lockfiles]\ncargo = "rust/Cargo.lock"\n')
    (inner / "Cargo.toml").write_text('[package]\nname = "x"\nversion = "1.0.0"\n')
    (inner / "Cargo.lock").write_text('version = 3\n[[package]]\nname = "x"\nversion = "1.0.0"\n')
    project = Project(str(tmp_path), Settings(environ={"HOME": str(tmp_path)}, reporter=Recorder()))
    assert {f"{inner}/.cargo/config.toml", f"{inner}/Cargo.lock"} <= set(watched_by(project))
