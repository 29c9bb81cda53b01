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
from typing import Any

from devenv.adapter import BuildQuery, Editable, Package, RemoteFile, SitePackages, WheelBuild
from devenv.crate_files import crates_of
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
            base = os.path.join(root, entry.directory)
            view, left_out = _with_modules(base, view)
            view, asked = _with_builds(base, view, python, files)
            plan = replace(entry.plan, view=view, queries=(*entry.plan.queries, *asked))
            plan = replace(plan, notices=(*plan.notices, *left_out))
            found.append(replace(entry, plan=plan))
        else:
            found.append(entry)
    return found


def _with_modules(base: str, view: SitePackages) -> tuple[SitePackages, list[str]]:
    """The view without optional directories that have nothing to import, and lines for people about these."""
    kept, notices = [], []
    for editable in view.editables:
        if editable.optional and not _has_modules(os.path.join(base, editable.path), editable.name):
            notices.append(
                f"{editable.name}: not installed itself, because it has no package {_module(editable.name)}; "
                "package-mode = false in [tool.poetry] says that it is none"
            )
        else:
            kept.append(editable)
    return replace(view, editables=tuple(kept)), notices


def _has_modules(directory: str, name: str) -> bool:
    """Whether poetry-core finds what to install; other backends may look anywhere."""
    manifest = _manifest(directory)
    system = manifest.get("build-system", {})
    backend = system.get("build-backend", "") if isinstance(system, dict) else ""
    tool = manifest.get("tool", {})
    poetry = tool.get("poetry", {}) if isinstance(tool, dict) else {}
    if not str(backend).startswith("poetry") or (
        isinstance(poetry, dict) and poetry.keys() & {"packages", "include"}
    ):
        return True
    module = _module(name)
    places = (f"{folder}{module}{end}" for folder in ("", "src/") for end in ("", ".py"))
    return any(os.path.exists(os.path.join(directory, place)) for place in places)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _manifest(directory: str) -> Mapping[str, Any]:
    import tomllib

    try:
        with open(os.path.join(directory, MANIFEST), "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError, RecursionError):
        return {}


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
            build = WheelBuild(
                requires=best_wheels(answer, python.target.tags),
                settings=editable.settings,
                crates=crates_of(answer),
            )
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
    description = description_of(directory, "")
    text = json.dumps(description, sort_keys=True) + _cargo_locks(directory, description)
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
        constraints=editable.constraints,
        extra=editable.extra,
    )


def _cargo_locks(directory: str, description: Mapping[str, Any]) -> str:
    """A text that is another when a Cargo.lock is, of a directory that is written in Rust."""
    from devenv.providers.rust_sources import is_rust, locks

    return "".join(locks(directory)) if is_rust(description["requires"]) else ""


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
