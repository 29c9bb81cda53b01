"""The sources of R packages: what is read from them, and what is said where they cannot be had."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.adapter import RemoteFile, RQuery
from devenv.errors import DevenvError
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError
from devenv.fetch.http import Client
from devenv.formats.hashes import Hash
from devenv.providers.errors import ProviderError
from devenv.providers.r_sources import answer_r, description_fields, description_in, needed_packages
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.fetch.server import Server, serving
from tests.support.r_repository import r_package


class Site(NamedTuple):
    """A server, a store, and a client that knows both; files of the project lie in `project`."""

    server: Server
    store: Store
    client: Client
    project: Path

    def ask(self, *queries: RQuery) -> dict[str, RemoteFile]:
        found = answer_r(self.client, self.store, queries, Reporter())
        return {key.partition(":")[2].partition("@")[0]: files[0] for key, files in found.items()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    project = tmp_path / "project"
    project.mkdir()
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    endpoints = Endpoints.load(
        project=str(project), environ=environ, registries={}, cache=str(tmp_path / "cache")
    )
    with (
        serving() as server,
        Client(endpoints, attempts=1) as client,
        Store.open(Layout.find(str(tmp_path / "store"), environ)) as store,
    ):
        yield Site(server, store, client, project)


def query(*places: str, name: str = "x", version: str = "1.0", directory: str = "") -> RQuery:
    return RQuery(name=name, version=version, origin="test", places=places, directory=directory)


def test_an_answer_has_the_hash_and_what_the_description_asks_for(site: Site) -> None:
    data = r_package(
        "x",
        "1.0",
        Depends="R (>= 3.5),\n methods",
        Imports="b (>= 1.0), a",
        SystemRequirements="zlib,\n C++11",
    )
    url = site.server.page("/x_1.0.tar.gz", data)
    file = site.ask(query(url))["x"]
    assert file == RemoteFile(
        file_name="x_1.0.tar.gz",
        url=url,
        hash=Hash.of("sha256", data),
        size=len(data),
        needs=("R", "a", "b", "methods"),
        system="zlib, C++11",
    )


def test_the_file_is_in_the_store_where_a_build_looks_for_it(site: Site) -> None:
    data = r_package("x", "1.0")
    file = site.ask(query(site.server.page("/x_1.0.tar.gz", data)))["x"]
    path = site.store.store_dir.fixed_path(file.file_name, file.hash, False)
    assert site.store.is_valid(path) and Path(path).read_bytes() == data


def test_an_earlier_version_is_found_in_the_archive(site: Site) -> None:
    site.server.page("/cran/src/contrib/Archive/x/x_1.0.tar.gz", r_package("x", "1.0"))
    place = (
        f"cran+CRAN@{site.server.url.replace(':', '%3A').replace('/', '%2F')}%2Fcran:src/contrib/x_1.0.tar.gz"
    )
    assert site.ask(query(place))["x"].url == place
    assert [each.path for each in site.server.seen] == [
        "/cran/src/contrib/x_1.0.tar.gz",
        "/cran/src/contrib/Archive/x/x_1.0.tar.gz",
    ]


def test_a_file_of_the_project_is_taken(site: Site) -> None:
    (site.project / "renv/cellar").mkdir(parents=True)
    (site.project / "renv/cellar/x_1.0.tar.gz").write_bytes(r_package("x", "1.0"))
    file = site.ask(query("project:renv/local/x_1.0.tar.gz", "project:renv/cellar/x_1.0.tar.gz"))["x"]
    assert file.url == "project:renv/cellar/x_1.0.tar.gz"


def test_all_that_cannot_be_had_is_named_with_where_it_was_looked_for(site: Site) -> None:
    url = f"{site.server.url}/none_1.0.tar.gz"
    with pytest.raises(DevenvError) as raised:
        site.ask(query(url), query("project:y_1.0.tar.gz", name="y"))
    said = str(raised.value)
    assert "cannot find the source of x 1.0" in said and url in said
    assert "cannot find the source of y 1.0" in said


def test_a_repository_that_nobody_knows_is_said_once(site: Site) -> None:
    place = "cran+CRAN@:src/contrib/{}_1.0.tar.gz"
    with pytest.raises(EndpointError) as raised:
        site.ask(query(place.format("x")), query(place.format("y"), name="y"))
    assert 'cran = "https://..."' in str(raised.value.hint)


WRONG = {
    "another package": (r_package("y", "1.0"), "holds the package 'y', not x"),
    "another version": (r_package("x", "1.1"), "holds x 1.1, where the lock says 1.0"),
    "no archive": (b"<html>not found</html>", "is no package of R"),
    "cut off": (r_package("x", "1.0")[:60], "is no package of R"),
    "empty": (b"", "is no package of R"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_the_package_is_refused(site: Site, case: str) -> None:
    data, reason = WRONG[case]
    with pytest.raises(DevenvError) as raised:
        site.ask(query(site.server.page("/x_1.0.tar.gz", data)))
    assert reason in str(raised.value)


def test_a_version_may_be_written_with_a_hyphen(site: Site) -> None:
    url = site.server.page("/x.tar.gz", r_package("x", "1.0-2"))
    assert site.ask(query(url, version="1.0.2"))["x"].size


def archive(members: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)


def test_the_description_of_a_subdirectory_counts_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archive({"top/DESCRIPTION": b"Package: a", "top/r/pkg/DESCRIPTION": b"Package: b"}))
    assert description_in(str(path), "r/pkg", "a") == "Package: b"
    assert description_in(str(path), "", "a") == "Package: a"


def test_an_archive_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devenv.providers.r_sources.ceiling", lambda compressed: 100 * compressed)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archive({"top/zeros": bytes(1 << 20), "top/DESCRIPTION": b"Package: a"}))
    with pytest.raises(ProviderError, match="unpacks to more than any package does"):
        description_in(str(path), "", "a")


def test_a_repository_of_git_is_taken_at_its_commit(site: Site, tmp_path: Path) -> None:
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    (work / "pkg").mkdir(parents=True)
    (work / "pkg/DESCRIPTION").write_text("Package: x\nVersion: 1.0\nImports: y\n")
    environ = {
        **os.environ,
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t.test",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t.test",
    }

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(work), *arguments], env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "x")
    subprocess.run(["git", "clone", "--quiet", "--bare", str(work), str(bare)], check=True)
    place = f"git+file://{bare}#{git('rev-parse', 'HEAD')}"
    file = site.ask(query(place, directory="pkg"))["x"]
    assert (file.url, file.needs) == (place, ("y",))
    with pytest.raises(DevenvError, match="there is no DESCRIPTION"):
        site.ask(query(place))


def test_a_description_is_read_as_r_reads_it() -> None:
    text = "Package: x\r\nTitle: A: b\nDepends:\n  R (>= 4.0),\n\tmethods\nAuthors@R: c(person(\n  'a'))\n"
    found = description_fields(text)
    assert found["Package"] == "x" and found["Title"] == "A: b"
    assert needed_packages([found["Depends"]]) == ("R", "methods")


@given(st.text())
def test_any_text_can_be_a_description(text: str) -> None:
    fields = description_fields(text)
    assert all(name.isascii() for name in fields)
    assert all(name.replace(".", "").isalnum() for name in needed_packages(fields.values()))
