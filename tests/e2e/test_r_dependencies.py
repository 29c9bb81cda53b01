"""`devenv add r:NAME`, `update` and `remove`: renv.lock, changed by renv itself in the R of the project."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fetch.server import serving
from tests.support.debian_r import DEBIAN_R
from tests.support.devenv import User
from tests.support.r_project import RProject, linked_package
from tests.support.r_repository import Repository, r_package, r_tarball
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

CONFIG = '# ours\nname = "survey"\nbase = "debian/trixie"\n\n[packages]\nr = "4.5"  # the one of the base\n'


class Project(RProject):
    """A project with R, renv and one package, whose repository has more."""

    def __init__(self, user: User, root: Path, repository: Repository) -> None:
        super().__init__(user, root, repository, CONFIG)
        self.write(renv=DEBIAN_R["renv"].version, alpha="1.0")

    def locked(self) -> dict[str, str]:
        packages: dict[str, dict[str, Any]] = json.loads((self.root / "renv.lock").read_text())["Packages"]
        return {name: record["Version"] for name, record in packages.items() if name != "renv"}

    def said(self, code: str) -> str:
        """What R prints."""
        done = self.r(code)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    require_sandboxes()
    folder = tmp_path_factory.mktemp("r")
    with serving() as server:
        repository = Repository(server)
        renv = DEBIAN_R["renv"]
        repository.add("renv", renv.version, r_tarball(renv, folder))
        repository.add(
            "alpha", "1.0", r_package("alpha", "1.0", "double <- function(x) 2 * x"), archived=True
        )
        repository.add("alpha", "1.1", r_package("alpha", "1.1", "double <- function(x) x + x"))
        code = "four <- function(x) alpha::double(gamma::same(alpha::double(x)))"
        beta = linked_package("beta", "2.0", code, "alpha (>= 1.1), gamma, methods")
        repository.add("beta", "2.0", beta)
        repository.add("gamma", "0.1", r_package("gamma", "0.1", "same <- function(x) x"))
        needy = r_package("needy", "1.0", "", Imports="nowhere")
        repository.add("needy", "1.0", needy)
        found = Project(User(folder / "home"), folder / "project", repository)
        found.user.run("lock", cwd=found.root)
        yield found


def test_packages_are_added_with_what_they_need_updated_and_removed(project: Project) -> None:
    """Needed ones that are too old are brought up to date; libraries of the system come along."""
    before = project.root.joinpath("devenv.toml").read_text()
    project.user.run("add", "r:beta", cwd=project.root)
    assert project.locked() == {"alpha": "1.1", "beta": "2.0", "gamma": "0.1"}
    assert '"zlib1g-dev"' in (project.root / "devenv.lock").read_text()
    assert project.said("cat(beta::four(3), beta::zlib())").startswith("12 1.")
    (project.root / "use.R").write_text("library(beta)\n")
    assert "No issues found -- the project is in a consistent state." in project.said("renv::status()")
    project.repository.add("gamma", "0.2", r_package("gamma", "0.2", "same <- function(x) x + 0"))
    project.user.run("update", "r:gamma", cwd=project.root)
    assert project.locked()["gamma"] == "0.2"
    project.repository.add("alpha", "1.2", r_package("alpha", "1.2", "double <- function(x) x + x"))
    project.user.run("update", cwd=project.root)
    assert project.locked() == {"alpha": "1.2", "beta": "2.0", "gamma": "0.2"}
    done = project.user.run("remove", "r:gamma", cwd=project.root, check=False)
    assert done.returncode == 1 and "gamma is needed by beta" in done.stderr
    (project.root / "use.R").write_text("library(alpha)\n")
    project.user.run("remove", "r:beta", cwd=project.root)
    assert project.locked() == {"alpha": "1.2"}
    assert (project.root / "devenv.toml").read_text() == before


def test_an_earlier_version_is_asked_for(project: Project) -> None:
    project.user.run("add", "r:alpha@1.0", cwd=project.root)
    assert project.locked()["alpha"] == "1.0"


@pytest.mark.parametrize(
    ("name", "said"),
    [("nothing", "nothing"), ("needy", "nowhere, which needy needs")],
    ids=["itself", "needed"],
)
def test_what_no_repository_has_changes_nothing(project: Project, name: str, said: str) -> None:
    before = (project.root / "renv.lock").read_text()
    done = project.user.run("add", f"r:{name}", cwd=project.root, check=False)
    assert done.returncode == 1
    assert f"not in {project.repository.url}: {said}" in done.stderr
    assert f"`renv: add {name}`" in done.stderr and "devenv.lock is as it was" in done.stderr
    assert (project.root / "renv.lock").read_text() == before


class Forge:
    """An owner's repository at a forge: what renv asks its API for, and the repository itself."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder = project, folder
        self.host = project.repository.url.removesuffix("/cran")
        project.user.env["RENV_CONFIG_GITHUB_HOST"] = self.host
        # Forges are asked by https, and without the ".git"; the one of the test is a directory of files.
        asked = f"{self.host.replace('http:', 'https:')}/owner/forged"
        (Path(project.user.env["HOME"]) / ".gitconfig").write_text(
            f'[url "{self.host}/owner/forged.git"]\n\tinsteadOf = "{asked}"\n'
        )

    def publish(self, version: str, scratch: str) -> str:
        description = f"Package: forged\nVersion: {version}\nImports: gamma, alpha\n{FIELDS}"
        files = {"DESCRIPTION": description, "NAMESPACE": "export(word)\n", "R/a.R": f"word <- '{version}'\n"}
        place = self.folder / scratch
        place.mkdir()
        _, commit = self.project.repository.add_git("owner/forged", files, place)
        page = self.project.repository.page
        page("/repos/owner/forged", b'{"default_branch": "main"}')
        for ref in ("main", commit):
            page(f"/repos/owner/forged/commits/{ref}", json.dumps({"sha": commit}).encode())
        encoded = base64.b64encode(description.encode()).decode()
        page(
            f"/repos/owner/forged/contents/DESCRIPTION?ref={commit}",
            json.dumps({"content": encoded}).encode(),
        )
        return commit


FIELDS = "Title: Forged\nAuthor: T\nMaintainer: T <t@t.test>\nDescription: X.\nLicense: MIT\n"


def test_packages_of_forges_are_added_with_what_they_need_and_updated(
    project: Project, tmp_path: Path
) -> None:
    """What a package needs that no repository has, only its own DESCRIPTION says."""
    project.write(renv=DEBIAN_R["renv"].version, alpha="1.0")
    project.user.run("lock", cwd=project.root)
    forge = Forge(project, tmp_path)
    first = forge.publish("0.1", "first")
    project.user.run("add", "r:owner/forged", cwd=project.root)
    assert project.locked() == {"alpha": "1.0", "forged": "0.1", "gamma": project.locked()["gamma"]}
    assert project.said("cat(forged::word)").startswith("0.1")
    (project.root / "use.R").write_text("library(forged)\n")
    assert "No issues found" in project.said("renv::status()")
    second = forge.publish("0.2", "second")
    assert first != second
    project.user.run("update", "r:forged", cwd=project.root)
    assert project.locked()["forged"] == "0.2"
