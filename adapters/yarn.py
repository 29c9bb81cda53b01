"""yarn: yarn.lock of version 1 and of yarn 2 and newer as a node_modules tree.

The lock maps what is asked for ("a@^1.0.0") to packages; what the project and its workspaces ask for is in their
package.json. Later locks have an entry for each workspace, with `conditions` of platforms; their checksums are of archives
that yarn makes itself, so the registry is asked for hashes, once. The tree is the one of `nodeLinker: node-modules`;
directories that yarn would copy (`file:`) are linked, as those are that it links (`portal:`, `link:`).

yarn 1 records no platforms: an optional package whose name says another one ("@esbuild/darwin-arm64") is left out by that.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from devenv.adapter import AdapterError, Completions, Ecosystem, Options, Patch, Plan, Target
from devenv.adapters._fields import Faults, Table, parse_json
from devenv.adapters._npm_hoist import Graph, Want, hoisted_lock
from devenv.adapters._npm_lock import Entry, check_name, read_integrity, read_version
from devenv.adapters._npm_platform import platform_words
from devenv.adapters._yaml import parse_yaml
from devenv.adapters._yarn_lock import parse_yarn
from devenv.adapters._yarn_resolutions import Resolution, from_catalog, read_catalogs, read_resolutions
from devenv.adapters._yarn_sources import TARBALLS, modern_source, patch_names, split_descriptor
from devenv.adapters.npm import check_options, plan_lock
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash

ecosystem: Ecosystem = "npm"
patterns = ("yarn.lock",)
sibling_names = ("package.json", ".yarnrc.yml")

_SETTINGS = ".yarnrc.yml"
_KINDS = (
    ("dependencies", False, False),
    ("devDependencies", True, False),
    ("optionalDependencies", False, True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """A lock with its entries by what is asked for, `plain` without the keys of later yarn behind "::".

    projects: directory -> package.json; names: name -> directory; directories: key of an entry -> what is linked for it
    """

    top: Table
    modern: bool
    by_descriptor: Mapping[str, str] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    projects: Mapping[str, Table] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    resolutions: tuple[Resolution, ...] = ()
    catalogs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


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
    top, modern = parse_yarn(text, path)
    if "package.json" not in siblings:
        hint = "Its package.json must lie beside it, as that says what the project asks for."
        raise AdapterError(f"{path}: there is no package.json", hint=hint, file=path)
    manifests = {
        posixpath.dirname(name): parse_json(siblings[name], name)
        for name in siblings
        if posixpath.basename(name) == "package.json" and not name.startswith("..")
    }
    settings = parse_yaml(siblings[_SETTINGS], _SETTINGS) if siblings.get(_SETTINGS, "").strip() else None
    lock = hoisted_lock(path, read_graph(top, modern, manifests, siblings, settings))
    return plan_lock(
        lock, manifests[""], target=target, options=options, completions=completions, siblings=siblings
    )


def included_names(text: str, name: str) -> list[str]:
    """The package.json of the project and, by its patterns, of the workspaces; the patches that the lock names."""
    base = posixpath.dirname(name)
    if posixpath.basename(name) in patterns:
        return [
            posixpath.normpath(posixpath.join(base, each)) for each in ("package.json", *patch_names(text))
        ]
    if posixpath.basename(name) != "package.json":
        return []
    try:
        value = parse_json(text, name).values.get("workspaces")
    except DevenvError:
        return []  # said when it is planned
    globs = value.get("packages") if isinstance(value, dict) else value
    found = [each for each in globs if isinstance(each, str)] if isinstance(globs, list) else []
    places = (posixpath.normpath(posixpath.join(base, each, "package.json")) for each in found)
    return [place for place in places if not place.startswith(("..", "/"))]


def read_graph(
    top: Table,
    modern: bool,
    manifests: Mapping[str, Table],
    siblings: Mapping[str, str],
    settings: Table | None,
) -> Graph:
    """The packages of a lock and what depends on what. `manifests`: directory of a project -> its package.json.

    `siblings`: texts of patches by their paths; `settings`: of .yarnrc.yml. Raises `AdapterError`, or `Problems` of them.
    """
    faults = Faults()
    lock = _index(top, modern, manifests, settings)
    entries: dict[str, Entry] = {}
    wants: dict[str, dict[str, Want]] = {}
    where: dict[str, str] = {}
    roots: dict[str, dict[str, Want]] = {}
    for key in top.values:
        with faults.caught():
            if key == "__metadata" or _workspace(top, key) is not None:
                continue
            table = top.required_table(key)
            directory = lock.directories.get(key)
            if directory is not None:
                if directory not in lock.projects and not directory.startswith(".."):
                    roots.setdefault(directory, {}).update(_wants_of(lock, key, table, directory))
                continue
            entries[key], where[key] = _entry(key, table, modern, siblings), table.key
            wants[key] = dict(_wants_of(lock, key, table))
    for directory, manifest in lock.projects.items():
        roots[directory] = {}
        for kind, dev, optional in _KINDS:
            with faults.caught():
                for name, asked in manifest.text_map(kind).items():
                    holder = (manifest.text("name") or "", manifest.text("version") or "")
                    want = _want(lock, name, asked, manifest, holder, directory, dev=dev, optional=optional)
                    if want is not None:
                        roots[directory][name] = want
    for name, directory in lock.names.items():
        if directory and not roots[""].get(name):
            roots[""][name] = Want(key=f"link:{directory}")
    faults.report()
    return Graph(packages=entries, wants=wants, roots=roots, where=where)


def _index(top: Table, modern: bool, manifests: Mapping[str, Table], settings: Table | None) -> _Lock:
    by_descriptor = {
        descriptor: key for key in top.values if key != "__metadata" for descriptor in key.split(", ")
    }
    names = {text: directory for directory, each in manifests.items() if (text := each.text("name"))}
    for name, directory in names.items():
        check_name(name, manifests[directory])
    return _Lock(
        top=top,
        modern=modern,
        by_descriptor=by_descriptor,
        plain={_plain(descriptor): key for descriptor, key in by_descriptor.items()} if modern else {},
        projects=manifests,
        names=names,
        directories=dict(_directories(top, modern)),
        resolutions=read_resolutions(manifests[""]),
        catalogs=read_catalogs(settings),
    )


def _plain(descriptor: str) -> str:
    return unquote(descriptor.partition("::")[0])


def _directories(top: Table, modern: bool) -> Iterator[tuple[str, str]]:
    """The entries that are directories, and which ones, relative to the lock."""
    for key, value in top.values.items():
        if key == "__metadata" or not isinstance(value, dict) or _workspace(top, key) is not None:
            continue
        table = Table(value, file=top.file, key=key)
        directory = None
        if not modern:
            source = _classic_source(split_descriptor(key.split(", ")[0])[1], table)
            path = source.removeprefix("file:")
            directory = path if source != path and not path.endswith(TARBALLS) else None
        else:
            with suppress(AdapterError):  # said where the entry is read
                directory = modern_source(table).directory
        if directory is not None:
            directory = posixpath.normpath(directory or ".")
            if directory.startswith("/") or not directory.isprintable():
                raise table.fault(None, f"{directory!r} is not a directory of the project")
            yield key, "" if directory == "." else directory


def _workspace(top: Table, key: str) -> str | None:
    """The directory of an entry that is a project of the workspace."""
    value = top.values.get(key)
    resolution = value.get("resolution") if isinstance(value, dict) else None
    marks = [text for text in (resolution, key) if isinstance(text, str) and "@workspace:" in text]
    return marks[0].partition("@workspace:")[2] if marks else None


def _wants_of(lock: _Lock, key: str, table: Table, directory: str = "") -> Iterator[tuple[str, Want]]:
    """What a package depends on. Later locks mark optional ones in a table of their own."""
    holder = (split_descriptor(key)[0], table.text("version") or "")
    meta = table.values.get("dependenciesMeta")
    marked = (
        {name for name, m in meta.items() if isinstance(m, dict) and m.get("optional") == "true"}
        if isinstance(meta, dict)
        else set()
    )
    for kind in ("dependencies", "optionalDependencies"):
        for name, asked in table.text_map(kind).items():
            optional = kind == "optionalDependencies" or name in marked
            want = _want(lock, name, asked, table, holder, directory, dev=False, optional=optional)
            if want is not None:
                yield name, want


def _want(
    lock: _Lock,
    name: str,
    asked: str,
    table: Table,
    holder: tuple[str, str],
    directory: str,
    *,
    dev: bool,
    optional: bool,
) -> Want | None:
    """The package that `name` at `asked` means; None for an optional one that is not in the lock."""
    check_name(name, table)
    instead = next((each.asked for each in lock.resolutions if each.fits(name, asked, holder)), None)
    base, text = (directory, asked) if instead is None else ("", instead)
    text = from_catalog(lock.catalogs, name, text)
    if text.startswith(("link:", "portal:")):
        path = posixpath.normpath(posixpath.join(base, text.partition(":")[2].partition("::")[0]))
        if path.startswith("/") or not path.isprintable():
            raise table.fault(name, f"{asked!r} is not a directory of the project")
        return Want(key=f"link:{'' if path == '.' else path}", dev=dev, optional=optional)
    key = _find(lock, name, *((text,) if instead is None else (text, asked)))
    if key is not None and (place := _workspace(lock.top, key)) is not None:
        return Want(key=f"link:{'' if place == '.' else place}", dev=dev, optional=optional)
    if key is not None and key in lock.directories:
        return Want(key=f"link:{lock.directories[key]}", dev=dev, optional=optional)
    if key is None and name in lock.names:
        return Want(key=f"link:{lock.names[name]}", dev=dev, optional=optional)
    if key is None and not optional:
        raise table.fault(
            name, f"asks for {asked!r}, which yarn.lock does not have", hint="Run yarn install."
        )
    return None if key is None else Want(key=key, dev=dev, optional=optional)


def _find(lock: _Lock, name: str, *texts: str) -> str | None:
    """The key of what is asked for, by the first of `texts` that the lock has.

    Resolutions that hold for some dependents only leave a package in the lock that nobody asks for by its own range: where
    there is one of the name, that is meant.
    """
    for text in texts:
        for descriptor in (f"{name}@{text}", f"{name}@npm:{text}"):
            key = lock.by_descriptor.get(descriptor) or lock.plain.get(_plain(descriptor))
            if key is not None:
                return key
    found = {key for descriptor, key in lock.by_descriptor.items() if descriptor.startswith(f"{name}@")}
    return found.pop() if len(found) == 1 else None


def _entry(key: str, table: Table, modern: bool, siblings: Mapping[str, str]) -> Entry:
    """A package, without its place."""
    name, asked = split_descriptor(key.split(", ")[0])
    version = table.required_text("version")
    read_version(table)
    integrity = None
    patches: tuple[Patch, ...] = ()
    if modern:
        source = modern_source(table)
        name, resolved, remote = source.name, source.resolved, source.is_remote
        patches = tuple(_patch(each, table, siblings) for each in source.patches)
        platform = _conditions(table.text("conditions") or "")
    else:
        if asked.startswith("npm:"):
            name = split_descriptor(asked.removeprefix("npm:"))[0]
        resolved = _classic_source(asked, table)
        remote = not resolved.startswith("${REGISTRY}")
        integrity, platform = _classic_hash(table, resolved), _platform_by_name(name)
    check_name(name, table)
    return Entry(
        place="",
        name=name,
        enclosing="",
        version=version,
        resolved=resolved,
        integrity=integrity,
        remote=remote,
        os=platform[0],
        cpu=platform[1],
        libc=platform[2],
        patches=patches,
        raw=table.values,
    )


def _patch(path: str, table: Table, siblings: Mapping[str, str]) -> Patch:
    if path not in siblings:
        raise table.fault("resolution", f"its patch {path[:120]!r} is no file of the project")
    return Patch(name=path, text=siblings[path])


_Platform = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _platform_by_name(name: str) -> _Platform:
    found = platform_words(name)
    if found is None:
        return (), (), ()
    os, cpu, libc = found[1]
    return ((os,), (cpu,), (libc,) if libc else ()) if os and cpu else ((), (), ())


def _conditions(text: str) -> _Platform:
    """ "os=linux & cpu=x64" or "(os=linux | os=darwin) & cpu=arm64" """
    values: dict[str, list[str]] = {"os": [], "cpu": [], "libc": []}
    for word in text.replace("(", " ").replace(")", " ").replace("&", " ").replace("|", " ").split():
        name, _, value = word.partition("=")
        if name in values and value:
            values[name].append(value)
    return tuple(values["os"]), tuple(values["cpu"]), tuple(values["libc"])


def _classic_source(asked: str, table: Table) -> str:
    """Where the file is. Packages of the offline mirror have only its name, others of a directory nothing."""
    resolved = table.text("resolved")
    if resolved is not None and (":" in resolved):
        return resolved
    if asked.startswith(("file:", "./", "../")):
        return asked if ":" in asked else f"file:{asked}"
    return ""


def _classic_hash(table: Table, resolved: str) -> Hash | None:
    """The integrity, or the SHA-1 behind the URL, which is all that older versions wrote."""
    found = read_integrity(table)
    fragment = resolved.partition("#")[2]
    if found is None and resolved.startswith("http") and len(fragment) == 40:
        try:
            return Hash.from_hex("sha1", fragment)
        except DevenvError:
            return None
    return found
