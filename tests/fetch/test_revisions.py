"""Files of a repository at a revision, of one whose configuration and attributes were written by somebody else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from devenv.fetch.errors import FetchError
from devenv.fetch.revisions import write_revision
from tests.support.programs import program

_GIT = (
    program("git"),
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.test",
    "-c",
    "init.defaultBranch=main",
)


def git(place: Path, *words: str) -> str:
    return subprocess.check_output([*_GIT, "-C", str(place), *words], text=True, stderr=subprocess.STDOUT)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    (place / "web").mkdir(parents=True)
    git(place, "init", "-q")
    (place / "devenv.toml").write_text("# first\n")
    (place / "web/package.json").write_bytes(b"{}\r\n\0")
    (place / "web/two\nlines").write_text("")
    (place / "link").symlink_to("/etc/passwd")
    git(place, "add", ".")
    git(place, "commit", "-qm", "1")
    (place / "devenv.toml").write_text("# second\n")
    git(place, "commit", "-qam", "2")
    return place


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_plain_files_are_as_they_were_committed(repository: Path, tmp_path: Path) -> None:
    write_revision(str(repository), "HEAD~1", str(tmp_path / "all"), environ=os.environ)
    assert files(tmp_path / "all") == {
        "devenv.toml": b"# first\n",
        "web/package.json": b"{}\r\n\0",
        "web/two\nlines": b"",
    }
    write_revision(str(repository / "web"), "HEAD", str(tmp_path / "web"), environ=os.environ)
    assert files(tmp_path / "web") == {"package.json": b"{}\r\n\0", "two\nlines": b""}


@pytest.mark.parametrize("revision", ["nothing", "--help", "--output=x", "HEAD:devenv.toml"])
def test_what_is_no_revision_is_gits_own_error(repository: Path, tmp_path: Path, revision: str) -> None:
    with pytest.raises(FetchError):
        write_revision(str(repository), revision, str(tmp_path / "out"), environ=os.environ)
    assert not (tmp_path / "out").exists()


def traps(repository: Path, run: str) -> None:
    """All that git can be made to run by a repository's own files."""
    with (repository / ".git/config").open("a") as file:
        file.write(
            f"[core]\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\tpager = {run}\n\tgitProxy = {run}\n"
            f"\talternateRefsCommand = {run}\n\teditor = {run}\n\taskPass = {run}\n"
            f'[pager]\n\tls-tree = {run}\n\tcat-file = {run}\n[credential]\n\thelper = "!{run}"\n'
            f'[filter "trap"]\n\tsmudge = {run}\n\tclean = {run}\n\tprocess = {run}\n\trequired = true\n'
            f'[diff "trap"]\n\ttextconv = {run}\n\tcommand = {run}\n[tar "tar"]\n\tcommand = {run}\n'
            f'[alias]\n\tls-tree = "!{run}"\n\tcat-file = "!{run}"\n[uploadpack]\n\tpackObjectsHook = {run}\n'
            f'[remote "origin"]\n\turl = "ext::{run}"\n\tuploadpack = {run}\n\tpromisor = true\n'
            "\tpartialclonefilter = blob:none\n[extensions]\n\tpartialClone = origin\n"
        )
    (repository / ".git/info/attributes").write_text("* filter=trap diff=trap export-subst\n")


def test_nothing_that_the_repository_says_is_run(repository: Path, tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch '{sprung}'\nexit 1\n")
    trap.chmod(0o755)
    traps(repository, str(trap))
    write_revision(str(repository), "HEAD", str(tmp_path / "out"), environ=os.environ)
    assert (tmp_path / "out/devenv.toml").read_bytes() == b"# second\n"
    assert not sprung.exists()
    subprocess.run(["git", "-C", str(repository), "archive", "HEAD"], capture_output=True, check=False)
    assert sprung.exists(), "the traps are sharp"
    sprung.unlink()
    # An object that is missing would be fetched by the command of the remote.
    blob = git(repository, "rev-parse", "HEAD:devenv.toml").strip()
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(FetchError):
        write_revision(str(repository), "HEAD", str(tmp_path / "again"), environ=os.environ)
    assert not sprung.exists()
