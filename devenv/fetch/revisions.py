"""The files that a git repository has at one of its revisions, read without running anything that the repository says.

A repository that came as an archive has a configuration that others wrote: filters, monitors and commands for transports are
programs in it. `git archive` runs filters, a checkout too. Listing a tree and printing objects does not, and what is not there
is not fetched.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping

from devenv.fetch.errors import EndpointError, FetchError

_LARGEST = 512 * 1024 * 1024  # bytes of all files
# No transport at all: objects of a partial clone would be asked for by commands of its configuration.
_ALONE = {"GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
_PLAIN = ("100644", "100755")


def write_revision(root: str, revision: str, folder: str, *, environ: Mapping[str, str]) -> None:
    """Write the plain files below `root` at `revision` into `folder`; in a directory of a repository, those of it alone.

    Links and submodules are left out: what a lockfile says is never behind one. Raises FetchError with git's own words for what
    is no revision, EndpointError without a git.
    """
    listed = _git(root, ["ls-tree", "-r", "-z", "-l", "--end-of-options", revision], b"", environ)
    files = [each for each in _entries(listed) if each[0] in _PLAIN]
    if sum(size for _, _, size, _ in files) > _LARGEST:
        raise FetchError(f"the files of {revision} are too many to look at")
    wanted = "".join(f"{name}\n" for _, name, _, _ in files).encode()
    data = _git(root, ["cat-file", "--batch=%(objectname)"], wanted, environ)
    at = 0
    for _, name, size, path in files:
        at += len(name) + 1
        _write(folder, path, data[at : at + size])
        at += size + 1
    if at != len(data):
        raise FetchError(f"reading the files of {revision}: some are not in the repository")


def _entries(listed: bytes) -> Iterator[tuple[str, str, int, str]]:
    """Mode, object, size and path of each blob. git-ls-tree(1), OUTPUT FORMAT. Raises FetchError for one that is missing."""
    for line in listed.split(b"\0")[:-1]:
        told, _, path = line.partition(b"\t")
        mode, kind, name, size = told.decode().split()
        if kind != "blob":
            continue
        if not size.isdecimal():
            raise FetchError(f"{os.fsdecode(path)} is not in the repository")
        yield mode, name, int(size), os.fsdecode(path)


def _write(folder: str, path: str, content: bytes) -> None:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return
    place = os.path.join(folder, *parts)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content)


def _git(root: str, arguments: list[str], given: bytes, environ: Mapping[str, str]) -> bytes:
    command = [
        "git",
        "--no-pager",
        "-C",
        root,
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]
    try:
        done = subprocess.run(
            [*command, *arguments], input=given, env={**environ, **_ALONE}, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise EndpointError("there is no git on this machine to ask") from None
    if done.returncode:
        raise FetchError(done.stderr.decode(errors="replace").strip().split("\n")[0])
    return done.stdout
