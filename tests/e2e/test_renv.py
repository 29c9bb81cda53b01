"""Projects with an renv.lock, from nothing to R with its packages: in the R of a distribution, in a sandbox."""

from __future__ import annotations

import difflib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.server import serving
from tests.support.devenv import User
from tests.support.r_project import CONFIG, ZLIB_CODE, RProject, linked_package
from tests.support.r_repository import Repository, r_package
from tests.support.sandboxes import require_sandboxes

pytestmark = pytest.mark.network

LOCAL = {"Package": "local", "Version": "0.5", "Source": "Local"}
FORGED = "Package: forge\nVersion: 0.2\nTitle: Forged\nAuthor: T\nMaintainer: T <t@t.test>\nDescription: X.\nLicense: MIT\n"


class Project(RProject):
    """Such a project that is locked as a whole."""

    def lock(self, **packages: str | dict[str, str]) -> subprocess.CompletedProcess[str]:
        self.write(**packages)
        return self.user.run("lock", cwd=self.root)

    def locked(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.root / "devenv.lock").read_text())
        return found

    def paths(self) -> dict[str, Path]:
        """Where the packages of the library are."""
        return {path.name: path.resolve() for path in self.root.glob(".devenv/r/library/R-4.5/*/*")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    require_sandboxes()
    folder = tmp_path_factory.mktemp("renv")
    with serving() as server:
        repository = Repository(server)
        repository.add("alpha", "1.0", r_package("alpha", "1.0", "double <- function(x) 2 * x"))
        repository.add("alpha", "1.1", r_package("alpha", "1.1", "double <- function(x) x + x"))
        code = "four <- function(x) alpha::double(alpha::double(x))"
        beta = linked_package("beta", "2.0-1", code, "alpha (>= 1.0), methods")
        repository.add("beta", "2.0-1", beta, archived=True)
        repository.add("extra", "0.1", r_package("extra", "0.1", "word <- function() 'extra'"))
        found = Project(User(folder / "home"), folder / "project", repository)
        cellar = found.root / "renv/cellar"
        cellar.mkdir(parents=True)
        (cellar / "local_0.5.tar.gz").write_bytes(
            r_package("local", "0.5", "here <- function() 'local'", Repository="")
        )
        found.lock(alpha="1.0", beta="2.0-1", local=LOCAL)
        found.r("1")
        yield found


def test_packages_are_built_and_loaded(project: Project) -> None:
    done = project.r("cat(beta::four(3), beta::zlib(), local::here(), .libPaths()[1])")
    four, zlib, here, library = done.stdout.split()
    assert (four, here) == ("12", "local")
    assert zlib.startswith("1.")
    assert library.startswith(str(project.root))


def test_what_packages_ask_of_the_system_is_locked_with_the_base(project: Project) -> None:
    base = project.locked()["base"]
    assert isinstance(base, dict)
    assert base["added"] == ["zlib1g-dev"]
    assert {"r-base-core", "zlib1g-dev", "g++"} <= {each["name"] for each in base["packages"]}


def test_the_lock_has_the_hash_of_each_source_and_what_it_needs(project: Project) -> None:
    files = project.locked()["files"]
    assert isinstance(files, dict)
    (beta,) = files["r:beta@2.0-1 CRAN"]
    assert beta["hash"].startswith("sha256:")
    assert beta["needs"] == ["alpha", "methods"]
    (local,) = files["r:local@0.5 local"]
    assert local["url"] == "project:renv/cellar/local_0.5.tar.gz"


def test_installing_on_top_stays_in_the_project(project: Project) -> None:
    before = project.paths()
    code = f"install.packages('extra', repos='{project.repository.url}', quiet=TRUE); cat(extra::word())"
    assert project.r(code).stdout.endswith("extra")
    after = project.paths()
    store = project.user.store_root / "store"
    assert not after.pop("extra").is_relative_to(store)
    assert after == before and all(path.is_relative_to(store) for path in after.values())
    assert project.r("cat(extra::word(), beta::four(1))").stdout == "extra 4"
    project.user.run("store", "verify", cwd=project.root)


def test_a_package_can_be_replaced_for_this_project_alone(project: Project) -> None:
    before = project.paths()["alpha"]
    code = f"install.packages('alpha', repos='{project.repository.url}', quiet=TRUE)"
    project.r(code)
    assert project.r("cat(as.character(packageVersion('alpha')))").stdout == "1.1"
    assert "Version: 1.0\n" in (before / "DESCRIPTION").read_text()
    status = project.user.run("status", cwd=project.root).stdout
    assert "drift      .devenv/r/library: alpha is 1.1, and 1.0 in the lockfile" in status
    assert "drift      .devenv/r/library: extra 0.1 was installed on top, and is in no lockfile" in status
    assert "beta" not in status


def test_a_new_version_of_one_package_builds_it_and_what_needs_it(project: Project) -> None:
    asked = project.repository.asked("beta")
    done = project.lock(alpha="1.1", beta="2.0-1", local=LOCAL)
    assert "1 answers of the registries recorded" in done.stdout + done.stderr
    done = project.r("cat(beta::four(2))")
    assert "building 2 packages" in done.stderr
    assert project.repository.asked("beta") == asked
    # What was installed over it before is that of the environment again.
    paths = project.paths()
    store = project.user.store_root / "store"
    assert paths["alpha"].is_relative_to(store) and paths["beta"].is_relative_to(store)


def test_further_system_packages_build_nothing_anew(project: Project) -> None:
    (project.root / "devenv.toml").write_text(CONFIG + 'system = ["jq"]\n')
    project.user.run("lock", cwd=project.root)
    base = project.locked()["base"]
    assert (
        isinstance(base, dict) and "jq:amd64" in base["outside"] and "zlib1g-dev:amd64" not in base["outside"]
    )
    before = project.paths()
    done = project.user.run(
        "enter", "--", "sh", "-c", "jq -n 1+1; Rscript -e 'cat(beta::four(2))'", cwd=project.root
    )
    assert done.stdout == "2\n8"
    assert project.paths() == before


def test_packages_that_cannot_be_had_are_all_named(project: Project) -> None:
    with pytest.raises(pytest.fail.Exception) as raised:
        project.lock(alpha="9.9", gone="1.0")
    said = str(raised.value)
    assert "cannot find the source of alpha 9.9" in said and "cannot find the source of gone 1.0" in said
    assert f"{project.repository.url}/src/contrib/Archive/gone/gone_1.0.tar.gz" in said


def test_a_package_of_a_repository_is_known_to_come_from_there(project: Project, tmp_path: Path) -> None:
    url, commit = project.repository.add_git("forge", {"r/DESCRIPTION": FORGED, "r/NAMESPACE": ""}, tmp_path)
    record = {
        "Package": "forge",
        "Version": "0.2",
        "Source": "git",
        "RemoteType": "git",
        "RemoteUrl": url,
        "RemoteSha": commit,
        "RemoteSubdir": "r",
    }
    project.lock(alpha="1.1", forge=record)
    fields = ["Package", "RemoteType", "RemoteUrl", "RemoteSha", "RemoteSubdir", "Title"]
    code = f"cat(unlist(packageDescription('forge')[c({', '.join(map(repr, fields))})]), sep='\\n')"
    assert project.r(code).stdout.split("\n")[:6] == ["forge", "git", url, commit, "r", "Forged"]


def test_a_header_that_nobody_asked_for_is_named_and_can_be_added(project: Project) -> None:
    code = "#include <jq.h>\nvoid nothing(void) {}\n"
    project.repository.add("quiet", "1.0", r_package("quiet", "1.0", files={"src/code.c": code}))
    project.lock(alpha="1.1", quiet="1.0")
    said = project.r("1", check=False).stderr
    assert "cannot build quiet 1.0" in said and "header jq.h is in libjq-dev" in said
    assert 'renv = { system = ["libjq-dev"] } under [lockfiles]' in said
    config = project.root / "devenv.toml"
    config.write_text(CONFIG + '\n[lockfiles]\nrenv = { system = ["libjq-dev"] }\n')
    project.user.run("lock", cwd=project.root)
    assert project.r("library(quiet); cat('built')").stdout == "built"


def test_a_package_that_cannot_be_built_is_named_with_what_it_said(project: Project) -> None:
    broken = r_package("broken", "1.0", "x <- (", Repository="CRAN")
    project.repository.add("broken", "1.0", broken)
    project.lock(alpha="1.1", broken="1.0")
    done = project.r("1", check=False)
    assert done.returncode == 1
    assert "cannot build broken 1.0" in done.stderr and "unexpected end of input" in done.stderr


def test_overrides_build_packages_otherwise_until_they_are_gone(project: Project) -> None:
    project.lock(alpha="1.0", beta="2.0-1", local=LOCAL)
    project.r("1")
    before = project.paths()
    changes = {
        "src/code.c": (ZLIB_CODE, ZLIB_CODE.replace("mkString(zlibVersion())", "ScalarInteger(SPICE)")),
        "R/code.R": ("", 'word <- Sys.getenv("WORD")\n'),
    }
    code = "four <- function(x) alpha::double(alpha::double(x))\nzlib <- function() .Call('version')"
    changes["R/code.R"] = (code, f'word <- Sys.getenv("WORD")\n{code}')
    patch = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for name, (old, new) in changes.items()
        for line in difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}")
    )
    folder = project.root / "devenv.d/r"
    folder.mkdir(parents=True)
    (project.root / "beta.patch").write_text(patch)
    (folder / "beta.toml").write_text(
        'patches = ["beta.patch"]\nenvironment = { WORD = "it\'s built" }\n'
        '[build]\nc-flags = ["-DSPICE=7"]\nargs = ["--no-byte-compile"]\n'
    )
    (folder / "alpha.toml").write_text('version = "1.1"\n')
    project.user.run("lock", cwd=project.root)
    done = project.r(
        "cat(beta::word, beta::zlib(), beta::four(3), format(packageVersion('alpha')), sep = ',')"
    )
    assert done.stdout == "it's built,7,12,1.1"
    assert project.paths()["local"] == before["local"]
    for name in ("alpha", "beta"):
        (folder / f"{name}.toml").unlink()
    project.user.run("lock", cwd=project.root)
    project.r("1")
    assert project.paths() == before
