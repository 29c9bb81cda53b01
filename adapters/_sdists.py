"""Packages that are built: from an archive of source code, or from a repository.

What a build needs is asked when the lock is made (`BuildQuery`); of the answer the wheels that fit the interpreter are
the build environment. Shared by the adapters of Python's lockfiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from devenv.adapter import BuildQuery, Completions, GitQuery, Package, Query, RemoteFile, WheelBuild
from devenv.adapters._fields import Table
from devenv.adapters._interpreter import Interpreter
from devenv.crate_files import crates_of

SUFFIXES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar")

_SCP = re.compile(r"([^/@:]+@)?([^/:@]+):(?!//)(.+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a project's settings say about the build of one package: see `BuildQuery` and `WheelBuild`."""

    constraints: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


NO_WISHES = Wishes()


def is_sdist(file_name: str) -> bool:
    """Whether a file of a package is its source code."""
    return file_name.endswith(SUFFIXES)


def built(
    name: str,
    version: str,
    file: RemoteFile,
    *,
    interpreter: Interpreter,
    completions: Completions,
    subdirectory: str = "",
    direct: bool = False,
    wishes: Wishes = NO_WISHES,
) -> Package | Query:
    """The package that is built of `file`, or the query that must be answered first."""
    query = BuildQuery(
        name=name,
        version=version,
        file=file,
        python=".".join(interpreter.version.split(".")[:2]),
        subdirectory=subdirectory,
        constraints=wishes.constraints,
        extra=wishes.extra,
    )
    answer = completions.get(query.key)
    requires = None if answer is None else _fitting(answer, interpreter)
    if requires is None:
        return query
    build = WheelBuild(
        requires=requires,
        subdirectory=subdirectory,
        settings=wishes.settings,
        crates=crates_of(answer or ()),
    )
    return Package(name=name, version=version, format="sdist", file=file, direct=direct, build=build)


def _fitting(files: Iterable[RemoteFile], interpreter: Interpreter) -> tuple[Package, ...] | None:
    """The best wheel of each package among `files`; None when one has none here, so that it is asked anew."""
    from packaging.utils import canonicalize_name

    named: dict[str, list[RemoteFile]] = {}
    for file in files:
        if file.crate:
            continue
        named.setdefault(canonicalize_name(file.file_name.partition("-")[0]), []).append(file)
    found = []
    for name, candidates in sorted(named.items()):
        ranked = [
            (rank, file) for file in candidates if (rank := interpreter.rank(file.file_name)) is not None
        ]
        if not ranked:
            return None
        best = min(ranked, key=lambda each: each[0])[1]
        version = best.file_name.split("-")[1]
        found.append(Package(name=name, version=version, format="wheel", file=best))
    return tuple(found)


def from_git(
    name: str,
    version: str,
    url: str,
    commit: str,
    *,
    where: Table,
    interpreter: Interpreter,
    completions: Completions,
    subdirectory: str = "",
    wishes: Wishes = NO_WISHES,
) -> Package | Query:
    """The package that is built of a repository at a commit. Raises `AdapterError` for what is no whole commit."""
    if not _COMMIT.fullmatch(commit):
        raise where.fault(
            None,
            f"{name} comes from git at {commit[:60]!r}, which is no commit, so it can be something else tomorrow",
            hint="Name the whole commit, or lock again with a tool that writes it down.",
        )
    query = GitQuery(url=repository(url), commit=commit)
    answer = completions.get(query.key)
    if not answer:
        return query
    return built(
        name,
        version,
        answer[0],
        interpreter=interpreter,
        completions=completions,
        subdirectory=subdirectory,
        direct=True,
        wishes=wishes,
    )


def repository(url: str) -> str:
    """A repository's address as a URL: "git@host:path" is what ssh and git themselves take."""
    url = url.removeprefix("git+")
    if "://" not in url and (match := _SCP.fullmatch(url)):
        return f"ssh://{match[1] or ''}{match[2]}/{match[3]}"
    return f"file://{url}" if url.startswith("/") else url
