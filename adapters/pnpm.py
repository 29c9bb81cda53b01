"""pnpm: pnpm-lock.yaml of versions 6 and 9 as a node_modules tree.

    { lockfileVersion, importers: { DIRECTORY: { dependencies, devDependencies, optionalDependencies: { NAME: ASKED } } },
      packages: { KEY: { resolution: { integrity, tarball, type, repo, commit, directory }, os, cpu, libc, engines } },
      snapshots: { KEY + PEERS: { dependencies, optionalDependencies: { NAME: VERSION or KEY } } } }
    ASKED = { specifier, version: VERSION or KEY or "link:" path }
    KEY   = NAME "@" VERSION { "(" KEY ")" }

Version 6 has a "/" before each key, everything in `packages`, and a single project's dependencies at the top. The format is
described in pnpm's own "lockfile/6.0" and "lockfile/9.0" specifications. The tree is the one of `node-linker=hoisted`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace

from devenv.adapter import AdapterError, Completions, Ecosystem, Options, Plan, Target
from devenv.adapters._fields import Faults, Table, parse_json
from devenv.adapters._npm_hoist import Graph, TooLarge, Want, hoisted_lock
from devenv.adapters._npm_lock import Entry, check_name, check_positions, read_integrity, read_version
from devenv.adapters._yaml import parse_yaml
from devenv.adapters.npm import check_options, plan_lock

ecosystem: Ecosystem = "npm"
patterns = ("pnpm-lock.yaml",)
sibling_names = ("package.json",)

_KINDS = (
    ("dependencies", False, False),
    ("devDependencies", True, False),
    ("optionalDependencies", False, True),
)
_REGISTRY = "${REGISTRY}/"


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """Parse and plan: see `devenv.adapter.Adapter`. Raises `AdapterError`, or `Problems` of them."""
    check_options(options, path)
    manifest = parse_json(siblings["package.json"], "package.json") if "package.json" in siblings else None
    top = parse_yaml(text, path)
    try:
        lock = hoisted_lock(path, read_graph(top))
    except TooLarge:
        raise AdapterError(
            f"{path}: its packages would lie in more places than any real ones", file=path
        ) from None
    check_positions(lock)
    found = plan_lock(
        lock, manifest, target=target, options=options, completions=completions, siblings=siblings
    )
    patched = top.values.get("patchedDependencies")
    if not isinstance(patched, dict) or not patched:
        return found
    notice = f"patches are not applied: {', '.join(sorted(repr(name) for name in patched))}"
    return replace(found, notices=(*found.notices, notice))


def included_names(text: str, name: str) -> list[str]:
    """The package.json of the workspace's projects, which say their commands."""
    if name.endswith("package.json"):
        return []
    try:
        directories = (parse_yaml(text, name).table("importers") or Table({}, file=name)).values
    except AdapterError:
        return []  # said when it is planned
    base = posixpath.dirname(name)
    found = [posixpath.normpath(posixpath.join(base, each, "package.json")) for each in directories]
    return sorted(each for each in found if not any(mark in each for mark in "*?["))


def read_graph(top: Table) -> Graph:
    """The packages of a lock and what depends on what. Raises `AdapterError`, or `Problems` of them."""
    version = top.text("lockfileVersion") or ""
    major = version.partition(".")[0]
    if major not in ("6", "9"):
        raise top.fault(
            "lockfileVersion",
            f"version {version or 'nothing'} is not known to devenv, which reads 6 and 9",
            hint="Write it again with pnpm 8 or newer: pnpm install --lockfile-only",
        )
    packages = top.table("packages") or Table({}, file=top.file, key="packages")
    snapshots = (
        top.table("snapshots") or Table({}, file=top.file, key="snapshots") if major == "9" else packages
    )
    faults = Faults()
    entries: dict[str, Entry] = {}
    wants: dict[str, dict[str, Want]] = {}
    where: dict[str, str] = {}
    known = set(snapshots.values)
    for key in snapshots.values:
        with faults.caught():
            snapshot = _required(snapshots, key)
            described = packages.table(without_peers(key)) or packages.table(key) or snapshot
            entries[key] = _entry(key, described)
            wants[key] = {
                name: want
                for kind, _, optional in (_KINDS[0], _KINDS[2])
                for name, want in _wants(snapshot.text_map(kind), known, snapshot, optional=optional)
            }
            where[key] = snapshot.key
    roots: dict[str, dict[str, Want]] = {}
    for directory, importer in _importers(top, faults):
        roots[directory] = {}
        for kind, dev, optional in _KINDS:
            with faults.caught():
                asked = importer.table(kind) or Table({}, file=top.file)
                versions = {name: _version(asked, name) for name in asked.values}
                found = _wants(versions, known, importer, directory, dev=dev, optional=optional)
                roots[directory].update(found)
    faults.report()
    return Graph(packages=entries, wants=wants, roots=roots, where=where)


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
    versions: Mapping[str, str],
    known: Iterable[str],
    table: Table,
    directory: str = "",
    *,
    dev: bool = False,
    optional: bool = False,
) -> list[tuple[str, Want]]:
    """Name -> the package that is meant. An optional one that the lock does not describe is left out, as pnpm does."""
    found = []
    for name, version in versions.items():
        check_name(name, table)
        if version.startswith("link:"):
            path = posixpath.normpath(posixpath.join(directory, version.removeprefix("link:")))
            if path.startswith("/") or not path.isprintable():
                raise table.fault(name, f"{version!r} is not a directory of the project")
            found.append((name, Want(key=f"link:{'' if path == '.' else path}", dev=dev, optional=optional)))
            continue
        key = next((k for k in (f"{name}@{version}", f"/{name}@{version}", version) if k in known), None)
        if key is not None:
            found.append((name, Want(key=key, dev=dev, optional=optional)))
        elif not optional:
            raise table.fault(
                name, f"asks for {version!r}, which the lock does not describe", hint="Run pnpm install."
            )
    return found


def _entry(key: str, table: Table) -> Entry:
    """A package, without its place."""
    plain = without_peers(key).removeprefix("/")
    name, _, version = plain[1:].rpartition("@") if "@" in plain[1:] else (plain[1:], "", "")
    name = table.text("name") or plain[:1] + (plain[1:].partition("@")[0] if "@" in plain[1:] else name)
    version = table.text("version") or version
    check_name(name, table)
    read_version(Table({"version": version}, file=table.file, key=table.key)) if ":" not in version else None
    resolution = table.required_table("resolution")
    return Entry(
        place="",
        name=name,
        enclosing="",
        version=None if ":" in version or "/" in version else version or None,
        resolved=_resolved(name, version, resolution),
        integrity=read_integrity(resolution),
        remote="tarball" in resolution,
        os=table.texts("os"),
        cpu=table.texts("cpu"),
        libc=table.texts("libc"),
        engines=table.text_map("engines") if isinstance(table.values.get("engines"), dict) else {},
        raw=table.values,
    )


def _resolved(name: str, version: str, resolution: Table) -> str:
    """Where the file is, in the words of npm's locks."""
    tarball = resolution.text("tarball")
    if resolution.text("type") == "git":
        return f"git+{resolution.required_text('repo').removeprefix('git+')}#{resolution.required_text('commit')}"
    if resolution.text("type") == "directory" or "directory" in resolution:
        problem = "is a directory that pnpm copies into node_modules"
        raise resolution.fault("directory", problem, hint="Ask for it by link: instead of file:.")
    if tarball:
        return tarball
    return f"{_REGISTRY}{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def without_peers(key: str) -> str:
    """A key without the peers that tell two uses of one package apart: "a@1.0.0(b@2.0.0)" -> "a@1.0.0"."""
    return key.partition("(")[0] if key.endswith(")") else key
