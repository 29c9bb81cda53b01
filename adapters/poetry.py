"""poetry.lock, lock-version 1.0 to 2.1.

::

    [[package]]  name, version, optional, python-versions,
                 files = [{file, hash}]                        # before 2.0 in [metadata.files], by name
                 category = "main"|"dev"                       # 1.x
                 groups = [...], markers = TEXT | {GROUP = TEXT}  # 2.1
                 [package.dependencies] NAME = EDGE | [EDGE, ...]; EDGE = "^1.2" | {version, markers, extras, optional, ...}
                 [package.extras] EXTRA = ["NAME (>=1)", ...]
                 [package.source] type = "legacy"|"git"|"url"|"file"|"directory", url, reference, resolved_reference
    [extras]     EXTRA = [NAME, ...]                           # of the project
    [metadata]   lock-version, python-versions, content-hash

Files have names and hashes, no URLs: the index says where they are. From 2.1 on a package says itself when it is
wanted. Before, the edges are walked from what pyproject.toml asks for. Groups that pyproject.toml does not call
optional are installed unless others are named.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from devenv.adapter import (
    Completions,
    Ecosystem,
    Editable,
    Options,
    Package,
    Plan,
    PypiQuery,
    Query,
    SitePackages,
    Target,
)
from devenv.adapters import _sdists, _wheels
from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.adapters._interpreter import Interpreter, interpreter_of
from devenv.adapters._poetry_walk import MAIN, Manifest, reached

ecosystem: Ecosystem = "python"
patterns: tuple[str, ...] = ("poetry.lock",)
sibling_names: tuple[str, ...] = ("pyproject.toml",)

_NEWEST = (2, 1)


class _Selected(NamedTuple):
    extras: frozenset[str]
    groups: frozenset[str]


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """The packages that `poetry sync` would install, the project itself among them."""
    interpreter = interpreter_of(target, path)
    top = parse_toml(text, path)
    version, notices = _version(top)
    name = posixpath.join(posixpath.dirname(path), "pyproject.toml")
    manifest = (
        Manifest(parse_toml(siblings["pyproject.toml"], name)) if "pyproject.toml" in siblings else None
    )
    packages = top.tables("package")
    selected = _selected(top, packages, manifest, options)
    if version >= (2, 1):
        wanted = _wanted(packages, interpreter, selected)
    else:
        wanted, more = reached(top, packages, manifest, interpreter, selected.extras, selected.groups)
        notices += tuple(more)
    found = _planned(top, wanted, interpreter, completions, notices)
    root = manifest.root if manifest is not None else None
    return found if root is None else _with_root(found, root)


def _with_root(plan: Plan, name: str) -> Plan:
    """The project is installed in place, too. Many that are no package do not say so, and are installed with --no-root."""
    view = plan.view
    assert isinstance(view, SitePackages)
    root = Editable(name=name, path=".", optional=True)
    return replace(plan, view=replace(view, editables=(*view.editables, root)))


def _version(top: Table) -> tuple[tuple[int, int], tuple[str, ...]]:
    metadata = top.required_table("metadata")
    text = metadata.text("lock-version") or "1.0"
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()) or int(major) not in (1, 2):
        raise metadata.fault("lock-version", f"version {text[:40]!r} is not known here, only 1.0 to 2.1")
    found = (int(major), int(minor))
    if found > _NEWEST:
        return found, (f"{top.file}: it has version {text}; what is newer than 2.1 in it is not understood",)
    return found, ()


def _selected(
    top: Table, packages: Sequence[Table], manifest: Manifest | None, options: Options
) -> _Selected:
    from packaging.utils import canonicalize_name

    extras = top.table("extras")
    known = [canonicalize_name(name) for name in (extras.values if extras is not None else ())]
    groups: set[str] = {canonicalize_name(name) for package in packages for name in package.texts("groups")}
    groups |= {"main" if (package.text("category") or MAIN) == MAIN else "dev" for package in packages}
    groups |= set(manifest.groups) if manifest is not None else set()
    faults = Faults()
    for error in (
        _wheels.unknown_names(top.file, "extra", options.extras, known),
        _wheels.unknown_names(top.file, "dependency group", options.groups or (), groups),
    ):
        if error is not None:
            faults.add(error)
    faults.report()
    asked = groups - (set(manifest.optional_groups) if manifest is not None else set())
    if options.groups is not None:
        asked = set(map(canonicalize_name, options.groups))
    return _Selected(frozenset(canonicalize_name(name) for name in options.extras), frozenset(asked | {MAIN}))


def _wanted(packages: Sequence[Table], interpreter: Interpreter, selected: _Selected) -> list[Table]:
    """The packages of version 2.1 that belong to a selected group in which their marker holds."""
    from packaging.utils import canonicalize_name

    faults = Faults()
    found = []
    for package in packages:
        with faults.caught():
            groups = selected.groups & {
                canonicalize_name(name) for name in package.texts("groups") or (MAIN,)
            }
            if any(_holds(package, group, interpreter, selected.extras) for group in groups):
                found.append(package)
    faults.report()
    return found


def _holds(package: Table, group: str, interpreter: Interpreter, extras: frozenset[str]) -> bool:
    if not isinstance(package.values.get("markers"), dict):
        return interpreter.applies(package, "markers", extras=extras)
    markers = package.required_table("markers")
    return interpreter.applies(markers, group, extras=extras)


def _planned(
    top: Table,
    wanted: Sequence[Table],
    interpreter: Interpreter,
    completions: Completions,
    notices: tuple[str, ...],
) -> Plan:
    faults = Faults()
    packages: dict[str, Package] = {}
    queries: dict[str, Query] = {}
    editables: dict[str, Editable] = {}
    seen: dict[str, Table] = {}
    for package in wanted:
        with faults.caught():
            name = _wheels.canonical_name(package)
            if seen.setdefault(name, package) is not package:
                versions = f"{seen[name].text('version')} and {package.text('version')}"
                raise package.fault(
                    None, f"both {name} {versions} are selected; an environment can hold one", hint=_ONE
                )
            source = package.table("source")
            if source is not None and source.text("type") == "directory":
                place, develop = source.required_text("url"), package.flag("develop")
                editables[name] = Editable(name=name, path=place, in_place=develop)
                continue
            found = _chosen(top, package, name, source, interpreter, completions)
            if isinstance(found, Package):
                packages[name] = found
            else:
                queries[found.key] = found
    faults.report(f"{top.file}: not everything in it can be installed:")
    in_place = tuple(editables[name] for name in sorted(editables))
    return Plan(
        view=SitePackages(packages=tuple(packages[name] for name in sorted(packages)), editables=in_place),
        queries=tuple(queries[key] for key in sorted(queries)),
        notices=notices,
    )


_ONE = "Choose other extras or groups under [lockfiles] of devenv.toml, or lock again."


def _commit(source: Table) -> str:
    """Of a git source. Locks before 1.1 have it as what was asked for."""
    return source.text("resolved_reference") or source.text("reference") or ""


def _chosen(
    top: Table,
    package: Table,
    name: str,
    source: Table | None,
    interpreter: Interpreter,
    completions: Completions,
) -> Package | Query:
    version = package.required_text("version")
    kind = source.text("type") if source is not None else None
    place = (source.text("url") if source is not None else None) or ""
    subdirectory = (source.text("subdirectory") if source is not None else None) or ""
    if kind == "git":
        commit = _commit(source) if source is not None else ""
        return _sdists.from_git(
            name,
            version,
            place,
            commit,
            where=package,
            interpreter=interpreter,
            completions=completions,
            subdirectory=subdirectory,
        )
    files = _files(top, package, name)
    wanted = _wheels.Wanted(
        name=name,
        version=version,
        where=package,
        files=files,
        names=[file.required_text("file") for file in files],
        index=place if kind == "legacy" else None,
        direct=kind in ("url", "file"),
        subdirectory=subdirectory,
    )
    file, file_name = _wheels.choose(wanted, interpreter)
    hash = _wheels.parse_hash(file.required_text("hash"), file, "hash")
    if kind == "url":
        url = _wheels.check_url(place, package, "source")
        return _wheels.package_of(
            wanted, file_name, url, hash, None, interpreter=interpreter, completions=completions
        )
    if kind == "file":
        url = _wheels.file_url(place, package)
        return _wheels.package_of(
            wanted, file_name, url, hash, None, interpreter=interpreter, completions=completions
        )
    query = PypiQuery(name=name, version=version, hashes=(hash,), index=wanted.index)
    return _answered(wanted, query, interpreter, completions)


def _answered(
    wanted: _wheels.Wanted, query: PypiQuery, interpreter: Interpreter, completions: Completions
) -> Package | Query:
    """The file with the one hash that is asked for."""
    answers = completions.get(query.key)
    if answers is None:
        return query
    file = next((file for file in answers if file.hash in query.hashes), None)
    if file is None:
        if answers:  # about another state of the lockfile
            return query
        raise wanted.where.fault(
            None, f"the index has no file of {wanted.label} with the hash that is locked"
        )
    found = _wheels.check_name(wanted, file.file_name)
    return _wheels.from_file(wanted, file, found, interpreter=interpreter, completions=completions)


def _files(top: Table, package: Table, name: str) -> tuple[Table, ...]:
    """The files of a package: its own, or before version 2.0 those listed by its name."""
    if "files" in package:
        return package.tables("files")
    metadata = top.required_table("metadata")
    listed = metadata.table("files")
    if listed is None:
        return ()
    for key in listed.values:
        if key.lower().replace("_", "-").replace(".", "-") == name:
            return listed.tables(key)
    return ()
