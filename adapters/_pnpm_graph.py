"""The packages of pnpm-lock.yaml and what depends on what, in versions 5, 6 and 9.

    { lockfileVersion, importers: { DIRECTORY: { dependencies, devDependencies, optionalDependencies: { NAME: ASKED } } },
      packages: { KEY: { resolution: { integrity, tarball, type, repo, commit, directory }, os, cpu, libc, engines } },
      snapshots: { KEY + PEERS: { dependencies, optionalDependencies: { NAME: VERSION or KEY } } } }
    ASKED = { specifier, version: VERSION or KEY or "link:" path }
    KEY   = NAME "@" VERSION { "(" KEY ")" }

Version 6 has a "/" before each key, everything in `packages`, and a single project's dependencies at the top. So has version
5, whose keys are "/" NAME "/" VERSION [ "_" PEERS ] and whose ASKED is the version alone. Since pnpm 11 a document about
pnpm itself may come first. The formats are described in pnpm's own "lockfile/5.2", "lockfile/6.0" and "lockfile/9.0"
specifications.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from devenv.adapter import Patch
from devenv.adapters._fields import Faults, Table
from devenv.adapters._npm_hoist import Graph, Want
from devenv.adapters._npm_lock import Entry, check_name, platform_names, read_integrity, read_version

_KINDS = (
    ("dependencies", False, False),
    ("devDependencies", True, False),
    ("optionalDependencies", False, True),
)
_REGISTRY = "${REGISTRY}/"
# Of `resolution`: what pnpm installs as a runtime, not as a package.
_RUNTIMES = ("variations", "binary")


class _Lock(NamedTuple):
    """`described`: what is said of packages; `snapshots`: what each use of them depends on; in old locks both are one.

    directories: key -> the directory of the project that is meant; left_out: keys of what is no package
    """

    top: Table
    major: str
    described: Table
    snapshots: Table
    directories: Mapping[str, str]
    left_out: frozenset[str]


def read_graph(top: Table, patches: Mapping[str, Patch]) -> Graph:
    """The packages of a lock and what depends on what. `patches`: by the hashes that keys have of them.

    Raises `AdapterError`, or `Problems` of them.
    """
    lock = _read(top)
    faults = Faults()
    entries: dict[str, Entry] = {}
    wants: dict[str, dict[str, Want]] = {}
    where: dict[str, str] = {}
    roots: dict[str, dict[str, Want]] = {}
    for key in lock.snapshots.values:
        with faults.caught():
            snapshot = _required(lock.snapshots, key)
            directory = lock.directories.get(key, "")
            asked = {
                name: want
                for kind, _, optional in (_KINDS[0], _KINDS[2])
                for name, want in _wants(
                    lock, snapshot.text_map(kind), snapshot, directory, optional=optional
                )
            }
            if key in lock.directories:
                roots.setdefault(directory, asked)
            elif key not in lock.left_out:
                entries[key] = _entry(lock, key, snapshot, patches)
                wants[key], where[key] = asked, snapshot.key
    for directory, importer in _importers(top, faults):
        roots[directory] = {}
        for kind, dev, optional in _KINDS:
            with faults.caught():
                table = importer.table(kind) or Table({}, file=top.file)
                versions = {name: _version(table, name) for name in table.values}
                roots[directory].update(
                    _wants(lock, versions, importer, directory, dev=dev, optional=optional)
                )
    faults.report()
    inside = {directory: asked for directory, asked in roots.items() if not directory.startswith("..")}
    return Graph(packages=entries, wants=wants, roots=inside, where=where)


def _read(top: Table) -> _Lock:
    version = top.text("lockfileVersion") or ""
    major = version.partition(".")[0]
    if major not in ("5", "6", "9"):
        raise top.fault(
            "lockfileVersion",
            f"version {version or 'nothing'} is not known to devenv, which reads 5, 6 and 9",
            hint="Write it again with pnpm 8 or newer: pnpm install --lockfile-only",
        )
    packages = top.table("packages") or Table({}, file=top.file, key="packages")
    snapshots = packages
    if major == "9":
        snapshots = top.table("snapshots") or Table({}, file=top.file, key="snapshots")
    directories: dict[str, str] = {}
    left_out = set()
    for key in snapshots.values:
        value = packages.values.get(without_peers(key), packages.values.get(key))
        resolution = value.get("resolution") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(resolution, dict):
            continue
        if isinstance(resolution.get("directory"), str):
            directories[key] = _directory(resolution["directory"], Table(value, file=top.file, key=key))
        elif resolution.get("type") in _RUNTIMES:
            left_out.add(key)
    return _Lock(top, major, packages, snapshots, directories, frozenset(left_out))


def _directory(text: str, table: Table) -> str:
    path = posixpath.normpath(text or ".")
    if path.startswith("/") or not path.isprintable():
        raise table.fault("resolution", f"{text[:120]!r} is not a directory of the project")
    return "" if path == "." else path


def runtimes(top: Table) -> list[str]:
    """What the lock would have pnpm install that is no package, as "node 24.4.1"."""
    packages = top.values.get("packages")
    found = []
    for key, value in packages.items() if isinstance(packages, dict) else ():
        resolution = value.get("resolution") if isinstance(value, dict) else None
        if isinstance(resolution, dict) and resolution.get("type") in _RUNTIMES:
            found.append(key.replace("@runtime:", " "))
    return sorted(found)


def _importers(top: Table, faults: Faults) -> list[tuple[str, Table]]:
    """The projects of the workspace, by their directories; a lock of version 6 of a single one has it at the top."""
    importers = top.table("importers")
    if importers is None:
        return [("", top)]
    found: list[tuple[str, Table]] = []
    for name in importers.values:
        with faults.caught():
            directory = "" if name == "." else name
            if directory != posixpath.normpath(directory or "x") and directory:
                raise importers.fault(name, "is not a plain path of a directory")
            if (
                directory.startswith(("/", ".."))
                or not directory.isprintable()
                or "node_modules" in directory.split("/")
            ):
                raise importers.fault(name, "is not a directory of the project")
            found.append((directory, _required(importers, name)))
    if not any(directory == "" for directory, _ in found):
        found.append(("", Table({}, file=top.file)))
    return found


def _required(table: Table, name: str) -> Table:
    """The table under a key, which may be written as an empty value."""
    return (
        Table({}, file=table.file, key=table.key)
        if table.values.get(name) in ("", "null")
        else table.required_table(name)
    )


def _version(asked: Table, name: str) -> str:
    """A project's dependency: a table with the version, or in version 6 sometimes just it."""
    value = asked.values.get(name)
    return value if isinstance(value, str) else asked.required_table(name).required_text("version")


def _wants(
    lock: _Lock,
    versions: Mapping[str, str],
    table: Table,
    directory: str = "",
    *,
    dev: bool = False,
    optional: bool = False,
) -> Iterator[tuple[str, Want]]:
    """Name -> the package that is meant. An optional one that the lock does not describe is left out, as pnpm does."""
    for name, version in versions.items():
        check_name(name, table)
        if version.startswith("link:"):
            # Of a project it counts from there, of a package from the lock.
            path = _directory(posixpath.join(directory, version.removeprefix("link:")), table)
            yield name, Want(key=f"link:{path}", dev=dev, optional=optional)
            continue
        key = next((k for k in _keys(name, version) if k in lock.snapshots.values), None)
        if key is not None and key in lock.directories:
            yield name, Want(key=f"link:{lock.directories[key]}", dev=dev, optional=optional)
        elif key is not None and key not in lock.left_out:
            yield name, Want(key=key, dev=dev, optional=optional)
        elif key is None and not optional:
            raise table.fault(
                name, f"asks for {version!r}, which the lock does not describe", hint="Run pnpm install."
            )


def _keys(name: str, version: str) -> Iterable[str]:
    return f"{name}@{version}", f"/{name}@{version}", f"/{name}/{version}", version


def _entry(lock: _Lock, key: str, snapshot: Table, patches: Mapping[str, Patch]) -> Entry:
    """A package, without its place."""
    table = lock.described.table(without_peers(key)) or lock.described.table(key) or snapshot
    name, version = _name_and_version(lock.major, key)
    name, version = table.text("name") or name, table.text("version") or version
    check_name(name, table)
    is_version = ":" not in version and "/" not in version
    if is_version:
        read_version(Table({"version": version}, file=table.file, key=table.key))
    resolution = table.required_table("resolution")
    return Entry(
        place="",
        name=name,
        enclosing="",
        version=(version or None) if is_version else None,
        resolved=_resolved(name, version, resolution),
        integrity=read_integrity(resolution),
        remote="tarball" in resolution,
        os=platform_names(table, "os"),
        cpu=platform_names(table, "cpu"),
        libc=platform_names(table, "libc"),
        engines=table.text_map("engines") if isinstance(table.values.get("engines"), dict) else {},
        patches=tuple(patch for digest, patch in patches.items() if digest in key),
        raw=table.values,
    )


def _name_and_version(major: str, key: str) -> tuple[str, str]:
    """What a key says; where it is no version but a place, the package has fields for both."""
    plain = without_peers(key).removeprefix("/")
    if major == "5":
        parts = plain.split("/")
        count = 2 if plain.startswith("@") else 1
        return "/".join(parts[:count]), "/".join(parts[count:]).partition("_")[0]
    name, _, version = plain[1:].partition("@")
    return plain[:1] + name, version


def _resolved(name: str, version: str, resolution: Table) -> str:
    """Where the file is, in the words of npm's locks."""
    tarball = resolution.text("tarball")
    if resolution.text("type") == "git":
        return f"git+{resolution.required_text('repo').removeprefix('git+')}#{resolution.required_text('commit')}"
    if tarball:
        return tarball
    return f"{_REGISTRY}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def without_peers(key: str) -> str:
    """A key without the peers that tell two uses of one package apart: "a@1.0.0(b@2.0.0)" -> "a@1.0.0"."""
    return key.partition("(")[0] if key.endswith(")") else key
