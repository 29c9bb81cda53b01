"""Trees of repositories, by the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devenv.adapter import GitQuery
from devenv.derivations.git_trees import answer_git, fetch_tree
from devenv.fetch.errors import EndpointError, FetchError, MismatchError
from devenv.fetch.git import checkout, checkout_file
from devenv.formats.hashes import Hash
from tests.fetch.conftest import MakeClient
from tests.support.programs import program


def git(folder: Path, *arguments: str) -> str:
    fixed = ["-c", "user.name=x", "-c", "user.email=x@y.test", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        [program("git"), "-C", str(folder), *fixed, *arguments], check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def repository(folder: Path, files: dict[str, str]) -> str:
    """A new repository with one commit, whose name is given."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    return commit(folder)


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    # Submodules at file URLs are refused by git's default.
    (tmp_path / "home/.gitconfig").write_text('[protocol "file"]\n\tallow = always\n')
    return {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}


def test_a_commit_is_a_tree_without_the_repository(tmp_path: Path, environ: dict[str, str]) -> None:
    first = repository(tmp_path / "r", {"a": "1", "sub/b": "x\r\n"})
    (tmp_path / "r/a").write_text("2")
    commit(tmp_path / "r")
    checkout(f"file://{tmp_path}/r", first, str(tmp_path / "out"), environ=environ)
    assert sorted(os.listdir(tmp_path / "out")) == ["a", "sub"]
    assert (tmp_path / "out/a").read_text() == "1"
    assert (tmp_path / "out/sub/b").read_bytes() == b"x\r\n"


def test_submodules_come_along(tmp_path: Path, environ: dict[str, str]) -> None:
    repository(tmp_path / "inner", {"x": "inner"})
    repository(tmp_path / "outer", {"y": "outer"})
    git(tmp_path / "outer", "submodule", "--quiet", "add", "../inner", "deep/inner")
    last = commit(tmp_path / "outer")
    checkout(f"file://{tmp_path}/outer", last, str(tmp_path / "out"), environ=environ)
    assert (tmp_path / "out/deep/inner/x").read_text() == "inner"
    assert not (tmp_path / "out/deep/inner/.git").exists()


def test_a_repository_around_is_not_meant(tmp_path: Path, environ: dict[str, str]) -> None:
    last = repository(tmp_path / "r", {"a": "1"})
    repository(tmp_path / "around", {"b": "2"})
    surrounded = {**environ, "GIT_DIR": str(tmp_path / "around/.git"), "GIT_INDEX_FILE": "/nowhere/x"}
    checkout(f"file://{tmp_path}/r", last, str(tmp_path / "out"), environ=surrounded)
    assert os.listdir(tmp_path / "out") == ["a"]


def test_one_file_of_the_default_branch(tmp_path: Path, environ: dict[str, str]) -> None:
    repository(tmp_path / "r", {"config.json": "{}"})
    (tmp_path / "work").mkdir()
    assert (
        checkout_file(f"file://{tmp_path}/r", "config.json", str(tmp_path / "work"), environ=environ) == b"{}"
    )


@pytest.mark.parametrize(
    ("url", "commit_name", "error", "said"),
    [
        pytest.param(
            "ext::sh -c 'touch x'", "a" * 40, EndpointError, "no URL", id="transport that runs programs"
        ),
        pytest.param("ext://x", "a" * 40, EndpointError, "no URL", id="unknown scheme"),
        pytest.param("--upload-pack=x://y", "a" * 40, EndpointError, "no URL", id="option"),
        pytest.param("file:///nowhere", "main", EndpointError, "no commit's whole name", id="branch"),
        pytest.param("file:///nowhere", "a" * 40, FetchError, "git failed", id="missing"),
    ],
)
def test_what_cannot_be_had_is_said(
    tmp_path: Path, environ: dict[str, str], url: str, commit_name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        checkout(url, commit_name, str(tmp_path / "out"), environ=environ)


def test_without_git_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no git on this machine"):
        checkout("https://x.test/y", "a" * 40, str(tmp_path / "out"), environ={"PATH": str(tmp_path)})


def test_an_answer_is_the_hash_of_the_tree(
    tmp_path: Path, make_client: MakeClient, environ: dict[str, str]
) -> None:
    last = repository(tmp_path / "r.git", {"a": "1"})
    client = make_client(environ=environ)
    query = GitQuery(url=f"file://{tmp_path}/r.git", commit=last)
    ((file,),) = answer_git(client, [query]).values()
    assert (file.file_name, file.url) == ("r", f"git+{query.url}#{last}")
    fetch_tree(query.url, last, str(tmp_path / "out"), expected=file.hash, client=client)
    assert (tmp_path / "out/a").read_text() == "1"
    with pytest.raises(MismatchError, match="not the tree that devenv"):
        fetch_tree(query.url, last, str(tmp_path / "b"), expected=Hash.of("sha256", b""), client=client)


def test_offline_no_repository_is_asked(tmp_path: Path, make_client: MakeClient) -> None:
    with pytest.raises(FetchError, match="--offline"):
        answer_git(make_client(offline=True), [GitQuery(url="https://x.test/y", commit="a" * 40)])


def test_all_repositories_that_fail_are_reported(
    tmp_path: Path, make_client: MakeClient, environ: dict[str, str]
) -> None:
    queries = [GitQuery(url=f"file://{tmp_path}/{name}", commit="a" * 40) for name in ("one", "two")]
    with pytest.raises(Exception, match="one") as caught:
        answer_git(make_client(environ=environ), queries)
    assert "two" in str(caught.value)
