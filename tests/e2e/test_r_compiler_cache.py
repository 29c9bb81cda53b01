"""What `R CMD INSTALL` compiled in a shell is not compiled again when the package of renv.lock is built, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.server import serving
from tests.support.devenv import User
from tests.support.r_project import CONFIG, RProject
from tests.support.r_repository import Repository, r_package
from tests.support.sandboxes import require_sandboxes

pytestmark = [pytest.mark.network, pytest.mark.slow]

CODE = "#include <R.h>\nvoid answer(double *x) {{ *x = {}; }}\n"


def package(version: str, answer: int) -> bytes:
    code = 'answer <- function() .C("answer", x = 0)$x'
    return r_package("gamma", version, code, {"src/gamma.c": CODE.format(answer)})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RProject]:
    require_sandboxes()
    folder = tmp_path_factory.mktemp("renv")
    with serving() as server:
        repository = Repository(server)
        for version, answer in (("1.0", 42), ("1.1", 43)):
            repository.add("gamma", version, package(version, answer), archived=version == "1.0")
        found = RProject(User(folder / "home"), folder / "project", repository)
        (found.root / "gamma_1.0.tar.gz").write_bytes(package("1.0", 42))
        (found.root / "gamma_1.1.tar.gz").write_bytes(package("1.1", 43))
        (found.root / "devenv.toml").write_text(
            CONFIG.replace("[packages]\n", '[packages]\nsystem = ["ccache"]\n')
        )
        yield found


def prepare(project: RProject, version: str) -> None:
    project.write(gamma=version)
    project.user.run("lock", cwd=project.root)
    project.user.run("enter", "-c", "true", cwd=project.root)


def counts(project: RProject, line: str, cache: str) -> tuple[int, int]:
    """(hits, misses) that a command in a shell added to a cache."""
    at = f"CCACHE_DIR=$DEVENV_STATE/{cache} ccache"
    said = project.user.run(
        "enter", "-c", f"{{ {line}; }} >&2 && {at} --print-stats && {at} -z >&2", cwd=project.root
    )
    found = dict(row.split("\t") for row in said.stdout.splitlines())
    return int(found["direct_cache_hit"]) + int(found["preprocessed_cache_hit"]), int(found["cache_miss"])


def test_neither_compiles_what_the_other_did(project: RProject, tmp_path: Path) -> None:
    install = f"R CMD INSTALL --library={tmp_path} gamma_{{}}.tar.gz"
    prepare(project, "1.0")
    assert counts(project, "true", "ccache-packages/r-gamma") == (0, 1)
    assert counts(project, install.format("1.0"), "ccache") == (1, 0)
    assert counts(project, install.format("1.1"), "ccache") == (0, 1)
    prepare(project, "1.1")
    assert counts(project, "true", "ccache-packages/r-gamma") == (1, 0)
