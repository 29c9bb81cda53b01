"""A Rust workspace as projects have them, with cargo, rustc and two C libraries from the system packages alone.

Its crates are of the registry that this cargo asks by itself, and of a repository of the test's own: a workspace with
inherited fields, under three selectors.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.programs import program
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

DATA = Path(__file__).parents[1] / "data/cargo-workspace"
BUILD = "cargo build --offline --locked"
SAID = {
    "shapes": ["circle 1", "square beside circle 1", "Circle 1"],
    "sqlite": 42,
    "sha256": "2d711642",
}


class Workspace:
    """The project, its user, and the repository that it takes crates from."""

    def __init__(self, base: Path) -> None:
        self.user = User(base / "home")
        self.shapes = base / "shapes"
        self.project = base / "project"
        shutil.copytree(DATA / "shapes", self.shapes)
        self._publish()
        shutil.copytree(DATA / "project", self.project)
        manifest = self.project / "geo/Cargo.toml"
        manifest.write_text(manifest.read_text().replace("@SHAPES@", self.shapes.as_uri()))

    def _publish(self) -> None:
        """A tag and a branch with a slash at the first commit, and the default branch one ahead."""
        self._git("init", "-q")
        self._commit()
        self._git("tag", "v1")
        self._git("branch", "feat/old")
        source = self.shapes / "crates/circle/src/lib.rs"
        source.write_text(source.read_text().replace("circle {}", "Circle {}"))
        self._commit()

    def _commit(self) -> None:
        self._git("add", ".")
        self._git("-c", "user.name=t", "-c", "user.email=t@t.test", "commit", "-q", "-m", "shapes")

    def _git(self, *words: str) -> None:
        subprocess.run([program("git"), *words], cwd=self.shapes, env=self.user.env, check=True)

    def enter(self, line: str) -> str:
        return self.user.run("enter", "-c", line, cwd=self.project).stdout


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Locked by the cargo of its own system packages: this machine's takes no part."""
    require_sandboxes()
    found = Workspace(tmp_path_factory.mktemp("workspace"))
    found.user.run("lock", cwd=found.project)
    found.enter("cargo generate-lockfile")
    found.user.run("lock", cwd=found.project)
    found.enter("true")
    # From here on there is nothing to be had but what devenv fetched.
    shutil.rmtree(found.user.home / ".cargo", ignore_errors=True)
    found.shapes.rename(found.shapes.with_name("gone"))
    yield found


def test_the_lock_has_all_selectors_of_the_repository(workspace: Workspace) -> None:
    text = (workspace.project / "Cargo.lock").read_text()
    for selector in ("?tag=v1#", "?branch=feat%2Fold#", "shapes#"):
        assert selector in text
    assert '"crates": {"default": "https://' in (workspace.project / "devenv.lock").read_text()


def test_it_builds_offline_and_runs(workspace: Workspace) -> None:
    before = (workspace.project / "Cargo.lock").read_bytes()
    workspace.enter(BUILD)
    assert json.loads(workspace.enter("target/debug/app")) == SAID
    assert (workspace.project / "Cargo.lock").read_bytes() == before
    assert not (workspace.project / ".cargo").exists()
    linked = workspace.enter("ldd target/debug/app")
    assert "libsqlite3.so.0" in linked and "libssl.so.3" in linked


def test_only_what_is_locked_is_there(workspace: Workspace) -> None:
    """No crate was fetched by cargo itself."""
    assert not list(workspace.user.home.glob(".cargo/registry/cache/*/*"))
    assert not os.path.exists(workspace.user.home / ".cargo/git/db")


def test_a_second_checkout_compiles_only_its_own_packages(workspace: Workspace, tmp_path: Path) -> None:
    workspace.enter(BUILD)
    other = tmp_path / "another place"
    shutil.copytree(workspace.project, other, ignore=shutil.ignore_patterns(".devenv", "target"))
    said = workspace.user.run("enter", "-c", f"{BUILD} 2>&1; target/debug/app", cwd=other).stdout
    compiled = [line.split()[1] for line in said.splitlines() if line.strip().startswith("Compiling")]
    assert sorted(compiled) == ["app", "geo"]
    assert json.loads(said.splitlines()[-1]) == SAID


def test_crates_are_patched_and_back_again(workspace: Workspace) -> None:
    """One of the repository, under all its selectors, and one of the registry; cargo compiles what is different."""
    workspace.enter(BUILD)
    patch = "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,1 +1,2 @@\n"
    before = (DATA / "shapes/crates/square/src/lib.rs").read_text()
    line = before.splitlines()[0]
    (workspace.project / "square.patch").write_text(
        f"{patch}-{line}\n+{line.replace('square', 'SQUARE')}\n+// patched\n"
    )
    (workspace.project / "itoa.patch").write_text("--- /dev/null\n+++ b/NEW\n@@ -0,0 +1 @@\n+new\n")
    overrides = workspace.project / "devenv.d/crate"
    overrides.mkdir(parents=True)
    (overrides / "square.toml").write_text('patches = ["square.patch"]\n')
    (overrides / "itoa.toml").write_text('patches = ["itoa.patch"]\n')
    workspace.user.run("lock", cwd=workspace.project)
    workspace.enter(BUILD)
    patched = SAID | {"shapes": ["circle 1", "SQUARE beside circle 1", "Circle 1"]}
    assert json.loads(workspace.enter("target/debug/app")) == patched
    shutil.rmtree(workspace.project / "devenv.d")
    workspace.user.run("lock", cwd=workspace.project)
    workspace.enter(BUILD)
    assert json.loads(workspace.enter("target/debug/app")) == SAID
