"""package-lock.json and npm-shrinkwrap.json, versions 2 and 3: text -> `Lock`.

    { "lockfileVersion": 3, "name", "version",
      "packages": { "": the project, PLACE: entry, DIRECTORY: entry of a link's target } }

    PLACE     = [ DIRECTORY "/" ] "node_modules/" NAME { "/node_modules/" NAME }
    NAME      = [ "@" scope "/" ] name
    DIRECTORY = path of a workspace or of a `file:` dependency, relative to the lock; may begin with "../"

The format is described in npm's manual, package-lock-json(5). Version 2 carries a second copy of the same
facts under "dependencies" for old readers; `packages` is the truth. An entry's own manifest fields
("dependencies", "bin", "os", ...) are copies from the package's package.json, whose odd spellings npm
tolerates and so does this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devenv.adapter import AdapterError, Patch
from devenv.adapters._fields import Faults, Table, join_key, kind_of
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash
from devenv.formats.npm_manifest import clean_commands
from devenv.formats.npm_places import MODULES

_UPGRADE = "Write it again in the current form: npm install --package-lock-only --lockfile-version 3"


# Of a package.json.
DEPENDENCY_KINDS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One value of `packages`.

    place: its key. name: the package's own name, which an alias's place does not have.
    enclosing: the place or directory whose node_modules holds it; None for directories.
    bundles: whether the tarball carries packages of its own. bins: command -> file, both normal.
    remote: whether a dependent asks for it by URL. patches: what the lock has changed in it. raw: the entry as it was read.
    """

    place: str
    name: str
    enclosing: str | None
    version: str | None = None
    resolved: str | None = None
    integrity: Hash | None = None
    link: bool = False
    in_bundle: bool = False
    bundles: bool = False
    remote: bool = False
    dev: bool = False
    optional: bool = False
    dev_optional: bool = False
    peer: bool = False
    has_install_script: bool = False
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()
    engines: Mapping[str, str] = field(default_factory=dict)
    bins: Mapping[str, str] = field(default_factory=dict)
    dependencies: Mapping[str, str] = field(default_factory=dict)
    dev_dependencies: Mapping[str, str] = field(default_factory=dict)
    optional_dependencies: Mapping[str, str] = field(default_factory=dict)
    peer_dependencies: Mapping[str, str] = field(default_factory=dict)
    optional_peers: frozenset[str] = frozenset()
    workspaces: bool = False
    patches: tuple[Patch, ...] = ()
    raw: Mapping[str, object] = field(default_factory=dict)

    @property
    def outside(self) -> bool:
        """Whether it lies outside the lock's directory, where nothing is ever placed."""
        return self.place == ".." or self.place.startswith("../")

    @property
    def is_placed(self) -> bool:
        """Whether it is a package or a link in some node_modules, not a directory of the project."""
        return self.enclosing is not None

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock: `entries` by place in the file's order, the project itself at "".

    keys: place -> key path in the file, of locks of version 1, which are not keyed by place and whose entries say
    nothing about the packages' own manifests; None for the others
    """

    file: str
    name: str | None
    version: str | None
    entries: Mapping[str, Entry]
    keys: Mapping[str, str] | None = None

    def fault(self, place: str, key: str | None, problem: str, *, hint: str | None = None) -> AdapterError:
        """An error about one entry, or about one key of it."""
        path = join_key("packages", place) if self.keys is None else self.keys.get(place, "dependencies")
        table = Table({}, file=self.file, key=path)
        return table.fault(key, problem, hint=hint)

    def link_targets(self) -> Mapping[str, Entry]:
        """The linked directories and the entries that describe them."""
        targets = {e.resolved or "": e for e in self.entries.values() if e.link}
        return {place: self.entries[place] for place in targets if place in self.entries}


def parse_lock(top: Table) -> Lock:
    """Read a lock of version 2 or 3.

    Raises `AdapterError`, or `Problems` of them, naming the key path of everything that is wrong.
    """
    _check_format(top)
    packages = top.required_table("packages")
    faults = Faults()
    entries: dict[str, Entry] = {}
    for place in packages.values:
        with faults.caught():
            table = packages.table(place)
            if table is None:
                raise packages.fault(place, "expected a table, found null")
            entries[place] = _entry(place, table)
    name = version = None
    with faults.caught():
        name, version = top.text("name"), top.text("version")
    faults.report()
    lock = Lock(file=top.file, name=name, version=version, entries=entries)
    check_positions(lock)
    return lock


def with_project(top: Table, manifest: Table | None) -> Table:
    """A hidden lock with an entry for the project, which package.json describes."""
    packages = top.values.get("packages")
    if not isinstance(packages, dict) or "" in packages:
        return top
    described = manifest.values if manifest is not None else {}
    kept = ("name", "version", "workspaces", "bin", *DEPENDENCY_KINDS)
    project = {key: described[key] for key in kept if key in described}
    return Table({**top.values, "packages": {"": project, **packages}}, file=top.file, key=top.key)


def _check_format(top: Table) -> None:
    version = top.number("lockfileVersion")
    if version in (2, 3):
        return
    if version is None:
        raise top.fault("lockfileVersion", "is missing", hint=_UPGRADE)
    raise top.fault(
        "lockfileVersion",
        f"version {version} is not known to devenv, which reads 1 to 3",
        hint="Write it with --lockfile-version 3, or use a newer devenv.",
    )


def _entry(place: str, table: Table) -> Entry:
    """One entry, each field of the right type; how entries relate is checked later."""
    link = table.flag("link")
    enclosing, placed_name = split_place(place, table)
    name = table.text("name") or placed_name
    if enclosing is not None or table.text("name"):
        check_name(name, table)
    resolved = table.text("resolved")
    if link:
        resolved = _link_target(resolved, table)
    peers_meta = table.table("peerDependenciesMeta")
    optional_peers = peers_meta.values.items() if peers_meta else ()
    return Entry(
        place=place,
        name=name,
        enclosing=enclosing,
        version=read_version(table),
        resolved=resolved,
        integrity=None if link else read_integrity(table),
        link=link,
        in_bundle=table.flag("inBundle"),
        bundles=bool(table.values.get("bundleDependencies")),
        dev=table.flag("dev"),
        optional=table.flag("optional"),
        dev_optional=table.flag("devOptional"),
        peer=table.flag("peer"),
        has_install_script=table.flag("hasInstallScript"),
        os=platform_names(table, "os"),
        cpu=platform_names(table, "cpu"),
        libc=platform_names(table, "libc"),
        engines=_engines(table),
        bins=_bins(table, name),
        dependencies=table.text_map("dependencies"),
        dev_dependencies=table.text_map("devDependencies"),
        optional_dependencies=table.text_map("optionalDependencies"),
        peer_dependencies=table.text_map("peerDependencies"),
        optional_peers=frozenset(n for n, m in optional_peers if isinstance(m, dict) and m.get("optional")),
        workspaces=bool(table.values.get("workspaces")),
        raw=table.values,
    )


def split_place(place: str, table: Table) -> tuple[str | None, str]:
    """The enclosing place and the name that a key stands for; None for directories of the project."""
    if place == "":
        return None, ""
    parts = plain_parts(place, table, None)
    above = len(parts) - 1 - parts[::-1].index(MODULES) if MODULES in parts else -1
    name = parts[above + 1 :]
    if above < 0:
        return None, name[-1]
    if not name:
        raise table.fault(None, "a place must name a package")
    if len(name) > (2 if name[0].startswith("@") else 1):
        return None, name[-1]  # a directory inside a package, the target of a link
    return "/".join(parts[:above]), "/".join(name)


def plain_parts(path: str, table: Table, key: str | None) -> list[str]:
    """The parts of a relative POSIX path, which may only begin with `..`, never hold it later."""
    parts = path.split("/")
    inner = parts[next((i for i, part in enumerate(parts) if part != ".."), len(parts)) :]
    if any(part in ("", ".", "..") for part in inner) or "\\" in path or not path.isprintable():
        raise table.fault(key, f"{path!r} is not a plain relative path")
    return parts


def _link_target(resolved: str | None, table: Table) -> str:
    if resolved is None:
        raise table.fault("resolved", "a link must say where it leads")
    if resolved in ("", "."):  # the project itself
        return ""
    plain_parts(resolved, table, "resolved")
    return resolved


def check_name(name: str, table: Table) -> None:
    """Refuse names that could not be a directory of node_modules or a part of a URL."""
    parts = name.split("/")
    scoped = name.startswith("@")
    plain = all(part and part[0] != "." and part.isprintable() and part != MODULES for part in parts)
    if (
        not plain
        or len(parts) != (2 if scoped else 1)
        or name[:2] == "@/"
        or any(c in name for c in '\\:?#%"<>|')
    ):
        raise table.fault(None, f"{name!r} is not a name of a package")


def read_version(table: Table) -> str | None:
    version = table.text("version")
    if version is not None and (not version.isprintable() or "/" in version or not version.strip()):
        raise table.fault("version", f"{version!r} is not a version")
    return version


def read_integrity(table: Table) -> Hash | None:
    text = table.text("integrity")
    if text is None:
        return None
    try:
        return Hash.parse_sri(text)
    except DevenvError as error:
        raise table.fault("integrity", str(error)) from error


def platform_names(table: Table, key: str) -> tuple[str, ...]:
    """A platform field: a list of names, or one name. npm writes both, as the package had it."""
    value = table.values.get(key)
    return (value,) if isinstance(value, str) else table.texts(key)


def _engines(table: Table) -> Mapping[str, str]:
    """What a package wants of Node. Old ones have a list here, which means nothing."""
    value = table.values.get("engines")
    return (
        {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
    )


def _bins(table: Table, name: str) -> Mapping[str, str]:
    """Commands and the files that they run."""
    value = table.values.get("bin")
    if value is not None and not isinstance(value, (str, list, dict)):
        raise table.fault("bin", f"expected text or a table, found {kind_of(value)}")
    return clean_commands(value, name)


def check_positions(lock: Lock) -> None:
    """Every link has a target; nothing lies inside a link; only what a link leads to lies outside."""
    faults = Faults()
    targets = {e.resolved or "" for e in lock.entries.values() if e.link}
    above = {place for target in targets for place in (target, *_ancestors(target))}
    for place, entry in lock.entries.items():
        if entry.link and entry.resolved and entry.resolved not in lock.entries:
            problem = f"leads to {entry.resolved!r}, which the lock does not describe"
            faults.add(lock.fault(place, "resolved", problem, hint="Run npm install to repair the lock."))
        inside = next((a for a in _ancestors(place) if a in lock.entries and lock.entries[a].link), None)
        if inside is not None:
            faults.add(lock.fault(place, None, f"lies inside the link {inside!r}"))
        if entry.outside and place not in above and entry.enclosing not in above:
            faults.add(lock.fault(place, None, "lies outside the directory of the lock"))
    faults.report()


def _ancestors(place: str) -> list[str]:
    """The directories above a relative path, nearest first, the root not among them."""
    parts = place.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
