"""package-lock.json and npm-shrinkwrap.json of version 1, of npm 5 and 6, and the older ones without version.

    { "lockfileVersion": 1, "name", "version", "requires": true, "dependencies": { NAME: entry } }
    entry = { "version": SOURCE, "resolved": URL, "integrity": SRI, "bundled", "dev", "optional",
              "requires": { NAME: range }, "dependencies": { NAME: entry }, "from": what was asked for }
    SOURCE = version | "npm:" NAME "@" version | URL of a tarball | "file:" path | source of git

`dependencies` are nested as the packages lie: inside an entry is what lies in its node_modules directory. The
format is described in npm 6's manual, package-locks(5) and package-lock.json(5). Only this is known of a package;
its commands and platforms are in its own package.json. The older shrinkwraps of npm 2 to 4 have no `requires` and
no `integrity`, a plain version even for what came from elsewhere, and the source in `resolved`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from devenv.adapters._fields import Faults, Table
from devenv.adapters._npm_lock import (
    Entry,
    Lock,
    check_name,
    check_positions,
    plain_parts,
    read_integrity,
    read_version,
    split_place,
)
from devenv.formats.npm_places import MODULES, enclosing

_GIT = ("git", "ssh", "bitbucket", "gist")  # "git+https", "github", "gitlab" begin like the first
_TARBALLS = (".tgz", ".tar.gz", ".tar")


def is_version_1(top: Table) -> bool:
    """Whether a lock is of this form. Raises `AdapterError` for a version that is no number."""
    version = top.number("lockfileVersion")
    return version == 1 or (version is None and "packages" not in top and "dependencies" in top)


def parse_lock_v1(top: Table, manifest: Table | None) -> Lock:
    """Read a lock of version 1; `manifest` is the project's package.json, where it is known.

    Raises `AdapterError`, or `Problems` of them, naming the key path of everything that is wrong.
    """
    faults = Faults()
    entries: dict[str, Entry] = {"": Entry(place="", name="", enclosing=None)}
    keys = {"": "dependencies"}
    targets: dict[str, tuple[Entry, str]] = {}
    with faults.caught():
        entries[""] = _project(manifest)
    name = version = None
    with faults.caught():
        name, version = top.text("name"), top.text("version")
    pending = [("", top)]
    while pending:
        directory, table = pending.pop()
        for place, inner in _dependencies(directory, table, faults):
            with faults.caught():
                entry = _entry(place, inner)
                entries[place], keys[place] = entry, inner.key
                if entry.link:
                    target = _target(entry, inner)
                    targets.setdefault(target.place, (target, inner.key))
                inside = (entry.resolved or "") if entry.link else place
                if not inside.startswith(".."):  # of what lies outside the project nothing is installed
                    pending.append((inside, inner))
    faults.report()
    for place, (target, key) in targets.items():
        entries.setdefault(place, target)
        keys.setdefault(place, key)
    lock = Lock(file=top.file, name=name, version=version, entries=entries, keys=keys)
    check_positions(lock)
    return lock


def _project(manifest: Table | None) -> Entry:
    """The entry of the project itself, which this format lacks."""
    kinds = ("dependencies", "devDependencies", "optionalDependencies")
    asked = [manifest.text_map(kind) if manifest else {} for kind in kinds]
    return Entry(
        place="",
        name="",
        enclosing=None,
        dependencies=asked[0],
        dev_dependencies=asked[1],
        optional_dependencies=asked[2],
    )


def _dependencies(directory: str, table: Table, faults: Faults) -> list[tuple[str, Table]]:
    """The places in the node_modules of `directory` with their tables, those that can be read."""
    found: list[tuple[str, Table]] = []
    with faults.caught():
        inner = table.table("dependencies") or Table({}, file=table.file)
        for name in inner.values:
            with faults.caught():
                entry = inner.table(name)
                if entry is None:
                    raise inner.fault(name, "expected a table, found null")
                check_name(name, entry)
                found.append((f"{directory}/{MODULES}/{name}".lstrip("/"), entry))
    return found


def _entry(place: str, table: Table) -> Entry:
    """One entry, each field of the right type. A source that is a directory makes it a link."""
    name = place[place.rindex(f"{MODULES}/") + len(MODULES) + 1 :]
    source, resolved = _source(table)
    kind = source_kind(source)
    version = None
    if kind == "alias":
        name, _, version = source[4:].rpartition("@")
        check_name(name, table)
    elif kind == "version":
        version = source or None
    elif kind in ("tarball", "file"):
        version = _version_of_tarball(source)
    if version is not None:
        read_version(Table({"version": version}, file=table.file, key=table.key))
    if kind == "directory":
        resolved = _directory(source, table)
    elif kind not in ("version", "alias"):
        resolved = source if ":" in source else f"{'file' if kind == 'file' else 'github'}:{source}"
    return Entry(
        place=place,
        name=name,
        enclosing=enclosing(place),
        version=version,
        resolved=resolved,
        integrity=None
        if kind == "directory" or table.values.get("integrity") == ""
        else read_integrity(table),
        link=kind == "directory",
        remote=kind == "tarball",
        in_bundle=bool(table.values.get("bundled")),
        dev=table.flag("dev"),
        optional=table.flag("optional"),
        dependencies={} if kind == "directory" else _requires(table),
    )


def _source(table: Table) -> tuple[str, str | None]:
    """What the version says, or what the older form says in its place; and the URL beside it."""
    version = table.text("version") or ""
    # npm 6 writes false here for packages that were bundled once.
    resolved = None if table.values.get("resolved") is False else table.text("resolved") or None
    asked = _without_name(table.text("from") or "")
    if "integrity" not in table and source_kind(version) == "version":
        if resolved and source_kind(resolved) in ("git", "directory", "file"):
            return resolved, None
        if asked and source_kind(asked) not in ("version", "alias"):
            return resolved or asked, None
    return version, resolved


def _without_name(asked: str) -> str:
    """What was asked for, without the name that may precede it: `a@^1`, `@s/a@^1`, `a@git+ssh://git@host/a`."""
    name, at, spec = asked[1:].partition("@")
    is_name = at and ":" not in name and ("/" not in name or asked.startswith("@"))
    return spec if is_name and not asked.startswith("git@") else asked


def source_kind(source: str) -> str:
    """ "version", "alias", "tarball" (a URL), "file" (a tarball here), "directory" or "git"."""
    scheme, colon, rest = source.partition(":")
    scheme = scheme.lower()
    path = source.partition("#")[0]
    if colon and scheme == "npm":
        return "alias"
    if (colon and scheme == "file") or source.startswith(("./", "../", "/", "~/")):
        return "file" if path.lower().endswith(_TARBALLS) else "directory"
    if colon and (scheme.startswith(_GIT) or source.startswith("git@")):
        return "git"
    if colon and scheme in ("http", "https") and rest.startswith("//"):
        return "git" if path.endswith(".git") else "tarball"
    is_short = not colon and source.count("/") == 1 and not source.startswith("@")
    return "git" if is_short and all(path.split("/")) else "version"


def _directory(source: str, table: Table) -> str:
    """The linked directory, relative to the lock; "" for the lock's own."""
    path = source.removeprefix("file:")
    normal = posixpath.normpath(path) if path else "."
    if normal == ".":
        return ""
    plain_parts(normal, table, "version")
    return normal


def _target(link: Entry, table: Table) -> Entry:
    """The entry of the directory that a link leads to."""
    place = link.resolved or ""
    above, name = split_place(place, table)
    return Entry(
        place=place,
        name=name,
        enclosing=above,
        dev=link.dev,
        optional=link.optional,
        dependencies=_requires(table),
    )


def _requires(table: Table) -> Mapping[str, str]:
    """What a package needs; the top of the file has just `true` here, and so have some old entries."""
    return {} if isinstance(table.values.get("requires"), bool) else table.text_map("requires")


def _version_of_tarball(url: str) -> str | None:
    """The version in the name of a tarball, as npm guesses it, to have something to show."""
    base = url.partition("#")[0].partition("?")[0].rpartition("/")[2]
    version = base.removesuffix(".tgz").rpartition("-")[2]
    return version if base.endswith(".tgz") and version[:1].isdigit() and "." in version else None
