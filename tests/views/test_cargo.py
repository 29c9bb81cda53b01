"""The view of Cargo's sources, and the small program in front of cargo, in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from devenv.adapter import CargoSource, CargoSources, Package, RemoteFile
from devenv.formats.hashes import Hash
from devenv.views.cargo import cargo_ops, crate_key
from devenv.views.compose import compose

INDEX = "registry+https://index.test/default"
GIT = "git+https://git.test/a?branch=x%2Fy"
LOCK = "version = 4\n# the lock\n"


def crate(name: str) -> Package:
    file = RemoteFile(file_name=name, url="https://f.test/x", hash=Hash.of("sha256", name.encode()))
    return Package(name=name, version="1.0.0", format="crate", file=file)


SOURCES = CargoSources(
    sources={
        GIT: CargoSource(url="https://git.test/a", kind="git", selector=("branch", 'x/"y')),
        INDEX: CargoSource(url=INDEX, kind="registry"),
        "sparse+https://corp.test/": CargoSource(url="sparse+https://corp.test/", kind="registry"),
    },
    crates={GIT: {"a-1.0.0": crate("a")}, INDEX: {"a-1.0.0": crate("a")}, "sparse+https://corp.test/": {}},
    lock=LOCK,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the composed view, and a cargo that tells its arguments."""
    found = tmp_path / "it's a project"
    view = found / ".devenv/cargo"
    view.parent.mkdir(parents=True)
    trees = {
        crate_key(key, name): f"{tmp_path}/store/{name}" for key in SOURCES.sources for name in ("a-1.0.0",)
    }
    ops = cargo_ops([("", SOURCES)], trees, root=str(view), default_index="https://index.test/default")
    compose(str(view), ops, key="k")
    (found / "Cargo.lock").write_text(LOCK)
    (found / "member/src").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/cargo").write_text('#!/bin/sh\nfor word do printf "%s\\n" "$word"; done\n')
    (tmp_path / "bin/cargo").chmod(0o755)
    return found


def run(
    project: Path, *arguments: str, cwd: Path | None = None, shell: str = "sh", **environ: str
) -> list[str]:
    """What cargo was given; lines of devenv's come last."""
    view = project / ".devenv/cargo/bin"
    path = f"{view}:{project.parent / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        [shell, str(view / "cargo"), *arguments],
        cwd=cwd or project,
        env={"PATH": path, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    return done.stdout.decode().splitlines()


def config(project: Path) -> str:
    return str(project.resolve() / ".devenv/cargo/locks/0/config.toml")


def test_every_source_is_replaced_by_a_directory_of_its_crates(project: Path) -> None:
    with open(config(project), "rb") as file:
        found = tomllib.load(file)["source"]
    view = str(project / ".devenv/cargo/vendor")
    assert found["crates-io"] == {"replace-with": "devenv-directory-1"}
    assert found["devenv-0"] == {
        "git": "https://git.test/a",
        "branch": 'x/"y',
        "replace-with": "devenv-directory-0",
    }
    assert found["devenv-2"]["registry"] == "sparse+https://corp.test/"
    assert [found[f"devenv-directory-{number}"]["directory"] for number in range(3)] == [
        f"{view}/{number}" for number in range(3)
    ]
    assert os.readlink(f"{view}/0/a-1.0.0").endswith("/store/a-1.0.0")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_cargo_is_told_of_the_sources(project: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        shell = "sh"
    expected = ["--config", config(project), "build", "--offline", "a b"]
    assert run(project, "build", "--offline", "a b", shell=shell) == expected


def test_a_toolchain_stays_the_first_word(project: Path) -> None:
    assert run(project, "+nightly", "test") == ["+nightly", "--config", config(project), "test"]


def test_a_member_of_the_workspace_uses_its_lock(project: Path) -> None:
    assert run(project, "build", cwd=project / "member/src")[:1] == ["--config"]


@pytest.mark.parametrize(
    "form", ["--manifest-path=it's a project/Cargo.toml", "--manifest-path|it's a project/Cargo.toml"]
)
def test_a_manifest_named_from_outside_is_found(project: Path, form: str) -> None:
    words = form.split("|")
    assert run(project, "build", *words, cwd=project.parent) == ["--config", config(project), "build", *words]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["add", "serde"], id="add"),
        pytest.param(["--config", "net.offline=true", "update"], id="after an option with a value"),
        pytest.param(["-Z", "unstable-options", "search", "x"], id="after a short option"),
        pytest.param(["--version"], id="no command"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_must_see_registries_sees_them(project: Path, words: list[str]) -> None:
    assert run(project, *words) == words


def test_it_can_be_switched_off(project: Path) -> None:
    assert run(project, "build", DEVENV_CARGO="plain") == ["build"]


def test_a_changed_lock_is_cargos_own_matter(project: Path) -> None:
    (project / "Cargo.lock").write_text(LOCK + "# changed\n")
    (told, *rest) = run(project, "build")
    assert "Cargo.lock has changed" in told
    assert rest == ["build"]


def test_other_projects_are_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert run(project, "build", cwd=tmp_path / "other") == ["build"]
    (tmp_path / "other/Cargo.lock").write_text("other")
    assert run(project, "build", cwd=tmp_path / "other") == ["build"]


def test_without_cargo_it_says_what_to_install(project: Path, tmp_path: Path) -> None:
    (tmp_path / "bin/cargo").unlink()
    view = project / ".devenv/cargo/bin"
    done = subprocess.run(
        ["sh", str(view / "cargo"), "build"],
        env={"PATH": f"{view}:{tmp_path}/bin"},
        executable="/bin/sh",
        capture_output=True,
    )
    assert done.returncode == 127
    assert b"no cargo on PATH" in done.stderr
