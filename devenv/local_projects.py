"""Directories of a project that are Python packages: what their builds need, and their sources in the store.

Lockfiles name such directories and say nothing of how they are built; their own pyproject.toml does. So what the build
requires is asked when the project is locked, as for any source, and known again by what pyproject.toml says of the build: an
edit elsewhere makes no lock stale. A directory that names no backend is imported as it lies there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from devenv.adapter import BuildQuery, Editable, Package, RemoteFile, SitePackages, WheelBuild
from devenv.derivations.builders.sdist import MANIFEST, description_of
from devenv.derivations.wheels import DIRECTORY
from devenv.environment.planned import PlannedLockfile
from devenv.formats.hashes import Hash
from devenv.providers.python_host import HostPython, minor_version
from devenv.providers.wheel_choice import best_wheels

Files = Mapping[str, tuple[RemoteFile, ...]]


def with_builds(
    root: str, plans: Sequence[PlannedLockfile], python: HostPython | None, files: Files
) -> list[PlannedLockfile]:
    """`plans` with the builds of their directories, or the queries about these. `files` are the answers there are.

    root: the project. Raises ArchiveError for a pyproject.toml that cannot be used.
    """
    found = []
    for entry in plans:
        view = entry.plan.view
        if python is not None and isinstance(view, SitePackages) and view.editables:
            view, asked = _with_builds(os.path.join(root, entry.directory), view, python, files)
            plan = replace(entry.plan, view=view, queries=(*entry.plan.queries, *asked))
            found.append(replace(entry, plan=plan))
        else:
            found.append(entry)
    return found


def _with_builds(
    base: str, view: SitePackages, python: HostPython, files: Files
) -> tuple[SitePackages, list[BuildQuery]]:
    packages, editables, queries = list(view.packages), [], []
    for editable in view.editables:
        query = build_query(os.path.normpath(os.path.join(base, editable.path)), editable, python.version)
        answer = files.get(query.key) if query is not None else None
        if query is None:
            editables.append(replace(editable, in_place=True))
        elif answer is None:
            queries.append(query)
        else:
            build = WheelBuild(requires=best_wheels(answer, python.target.tags))
            if editable.in_place:
                editables.append(replace(editable, build=build))
            else:
                packages.append(_package(query, build))
    return replace(view, packages=tuple(packages), editables=tuple(editables)), queries


def _package(query: BuildQuery, build: WheelBuild) -> Package:
    return Package(name=query.name, version="", format="sdist", file=query.file, direct=True, build=build)


def build_query(directory: str, editable: Editable, python: str) -> BuildQuery | None:
    """What is to be asked about the build of `directory`; None where it names no backend. Raises ArchiveError."""
    if not names_backend(directory):
        return None
    text = json.dumps(description_of(directory, ""), sort_keys=True)
    file = RemoteFile(
        file_name=os.path.basename(directory) or "directory",
        url=DIRECTORY + directory,
        hash=Hash.of("sha256", text.encode()),
    )
    return BuildQuery(
        name=editable.name,
        version="",
        file=file,
        python=minor_version(python),
        in_place=editable.in_place,
    )


def names_backend(directory: str) -> bool:
    """Whether the directory says how it is built."""
    import tomllib

    if os.path.exists(os.path.join(directory, "setup.py")):
        return True
    try:
        with open(os.path.join(directory, MANIFEST), "rb") as file:
            return "build-system" in tomllib.load(file)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, RecursionError):
        return True  # `description_of` says what is wrong with it
