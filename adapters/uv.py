"""uv.lock, format version 1: a universal resolution, walked for one interpreter.

::

    version = 1                                  # later `revision`s only add keys
    requires-python, supported-markers, conflicts = [[{package, extra|group}, ...], ...]
    [manifest]    members, requirements, dependency-groups     # of workspaces and scripts
    [[package]]   name, version?, source, resolution-markers?,
                  dependencies = [EDGE, ...], optional-dependencies.EXTRA = [EDGE, ...],
                  dev-dependencies.GROUP = [EDGE, ...], sdist?, wheels = [{url|path|filename, hash?, size?}]
    EDGE          {name, version?, source?, extra = [...]?, marker?}
    source        one of registry, git, url, path, directory, editable, virtual

A package is known by name, version and source together. Extras and groups that conflict appear in markers
as invented extras, "extra-<length of package>-<package>-<extra>" (also "group-", and "project-" without the
last part); they hold for what is selected. Extras that edges ask for on the way are found by a first walk.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

from devenv.adapter import (
    AdapterError,
    Completions,
    Editable,
    Options,
    Package,
    Plan,
    Query,
    SitePackages,
    Target,
)
from devenv.adapters import _wheels
from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.adapters._interpreter import Interpreter, interpreter_of

ecosystem = "python"
patterns = ("uv.lock",)
sibling_names = ("pyproject.toml",)

_SOURCES = ("registry", "git", "url", "path", "directory", "editable", "virtual")


class _Locked:
    """One [[package]] of the lockfile."""

    __slots__ = ("kind", "name", "origin", "source", "table", "version")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = _wheels.canonical_name(table)
        self.version = table.text("version")
        self.source = table.required_table("source").values
        self.kind = next((kind for kind in _SOURCES if kind in self.source), "")
        origin = self.source.get(self.kind)
        if not isinstance(origin, str):
            raise table.fault("source", f"none of the sources known here ({', '.join(_SOURCES)})")
        self.origin = origin

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name

    @property
    def described(self) -> str:
        return f"{self.label} ({self.kind} {_wheels.shown_url(self.origin)})"

    def edges(self, kind: str, name: str) -> Sequence[Table]:
        """The edges of one extra or group; none when the package lacks it."""
        table = self.table.table(kind)
        return table.tables(name) if table is not None else ()

    def names(self, kind: str) -> Iterable[str]:
        """The extras or groups of this package."""
        table = self.table.table(kind)
        return table.values.keys() if table is not None else ()


_EXTRAS = "optional-dependencies"
_GROUPS = "dev-dependencies"


class _Selection:
    """The roots with the extras and groups that are asked for, and what they make active in markers."""

    def __init__(self, lock: _Lock, options: Options, groups: tuple[str, ...] | None) -> None:
        from packaging.utils import canonicalize_name

        self.roots = lock.roots()
        self.extras = frozenset(canonicalize_name(name) for name in options.extras)
        asked = options.groups if options.groups is not None else groups
        self.groups = frozenset(canonicalize_name(name) for name in (("dev",) if asked is None else asked))
        known_extras = set(chain.from_iterable(root.names(_EXTRAS) for root in self.roots))
        known_groups = set(chain.from_iterable(root.names(_GROUPS) for root in self.roots))
        known_groups.update(lock.manifest_groups())
        faults = Faults()
        unknown_extra = _wheels.unknown_names(lock.file, "extra", options.extras, known_extras)
        unknown_group = _wheels.unknown_names(lock.file, "dependency group", asked or (), known_groups)
        for error in (unknown_extra, unknown_group):
            if error is not None:
                faults.add(error)
        faults.report()

    def active(self) -> frozenset[str]:
        """The invented extras that hold from the start."""
        found = {synthetic("project", root.name) for root in self.roots}
        for root in self.roots:
            found.update(synthetic("extra", root.name, e) for e in root.names(_EXTRAS) if e in self.extras)
            found.update(synthetic("group", root.name, g) for g in root.names(_GROUPS) if g in self.groups)
        return frozenset(found)


def synthetic(kind: str, package: str, name: str = "") -> str:
    """The invented extra for an extra, group or project that conflicts with another."""
    return "-".join(part for part in (kind, str(len(package)), package, name) if part)


class _Lock:
    """A parsed uv.lock."""

    def __init__(self, text: str, file: str, interpreter: Interpreter) -> None:
        self.top = parse_toml(text, file)
        self.file = file
        self.interpreter = interpreter
        if self.top.required_number("version") != 1:
            raise self.top.fault(
                "version",
                f"uv.lock format {self.top.values['version']} is not known here, only 1",
                hint="Lock with a version of uv that writes format 1.",
            )
        faults = Faults()
        self.packages: list[_Locked] = []
        for table in self.top.tables("package"):
            with faults.caught():
                self.packages.append(_Locked(table))
        faults.report(f"{file} cannot be read:")
        self.by_name: dict[str, list[_Locked]] = {}
        for package in self.packages:
            self.by_name.setdefault(package.name, []).append(package)
        self.manifest = self.top.table("manifest") or Table({}, file=file, key="manifest")

    def check_platform(self) -> None:
        """Raise when the lock was not made for this interpreter."""
        self.interpreter.check_requirement(self.top, "requires-python", "the project")
        supported = self.top.texts("supported-markers")
        if supported and not any(self.interpreter.holds(m, self.top, "supported-markers") for m in supported):
            raise self.top.fault(
                "supported-markers",
                f"the project is locked only for {' or '.join(supported)[:300]}, not for {self.interpreter.name}",
                hint="Add this platform to tool.uv.environments in pyproject.toml, and run `uv lock`.",
            )

    def roots(self) -> tuple[_Locked, ...]:
        """The project at the workspace's top; without one, all members."""
        local = [package for package in self.packages if package.kind in ("editable", "virtual")]
        top = [package for package in local if package.origin in (".", "")]
        members = frozenset(self.manifest.texts("members"))
        roots = top or [package for package in local if package.name in members]
        if not roots and not self.manifest.items("requirements") and not self.manifest_groups():
            raise self.top.fault(None, 'it has no project: no package is editable or virtual at "."')
        return tuple(roots)

    def manifest_groups(self) -> Iterable[str]:
        """The dependency groups of a workspace whose top is no project."""
        table = self.manifest.table("dependency-groups")
        return table.values.keys() if table is not None else ()

    def manifest_requirements(self, groups: frozenset[str]) -> Iterator[Table]:
        """What a script, or a workspace whose top is no project, asks for itself."""
        yield from self.manifest.tables("requirements")
        table = self.manifest.table("dependency-groups")
        for group in self.manifest_groups():
            if table is not None and group in groups:
                yield from table.tables(group)

    def target(self, edge: Table) -> _Locked:
        """The package that an edge points to. Raises when there is none, or more than one."""
        name = _wheels.canonical_name(edge)
        version, source = edge.text("version"), edge.table("source")
        found = [
            package
            for package in self.by_name.get(name, ())
            if (version is None or package.version == version)
            and (source is None or package.source == source.values)
        ]
        if len(found) > 1:
            found = [package for package in found if self._in_this_fork(package)]
        if len(found) != 1:
            label = f"{name} {version}" if version else name
            problem = "several packages" if found else "no package"
            names = f": {', '.join(package.described for package in found)}" if found else ""
            raise edge.fault(None, f"{problem} of the lockfile can be {label}{names}")
        return found[0]

    def _in_this_fork(self, package: _Locked) -> bool:
        markers = package.table.texts("resolution-markers")
        return not markers or any(
            self.interpreter.holds(marker, package.table, "resolution-markers") for marker in markers
        )

    def conflicting(self, active: frozenset[str]) -> None:
        """Raise when two that are declared to exclude each other are both active."""
        for index, items in enumerate(self.top.items("conflicts")):
            entries = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            both = [item for item in entries if _synthetic_of(item) in active]
            if len(both) > 1:
                words = " and ".join(_described_conflict(item) for item in both)
                raise AdapterError(
                    f"{self.file}: {words} cannot be installed together",
                    hint="Choose one of them in [lockfiles] of devenv.toml.",
                    file=self.file,
                    key=f"conflicts[{index}]",
                )


def _synthetic_of(item: Mapping[str, object]) -> str:
    package = str(item.get("package", ""))
    for kind in ("extra", "group"):
        if kind in item:
            return synthetic(kind, package, str(item[kind]))
    return synthetic("project", package)


def _described_conflict(item: Mapping[str, object]) -> str:
    kind = next((kind for kind in ("extra", "group") if kind in item), None)
    return f"{kind} {item[kind]} of {item.get('package')}" if kind else f"{item.get('package')}"


def _walk(
    lock: _Lock, selection: _Selection, active: frozenset[str], *, grow: bool
) -> tuple[list[_Locked], frozenset[str]]:
    """Follow the edges whose markers hold; return the packages reached and the active names.

    `grow`: extras that an edge asks for become active, for it and for all that follow.
    """
    walk = _Walk(lock, active, grow=grow)
    for root in selection.roots:
        walk.reach(root, ())
        for extra in root.names(_EXTRAS):
            if extra in selection.extras:
                walk.queue.append((root, extra))
    for root in selection.roots:
        for group in root.names(_GROUPS):
            if group in selection.groups:
                walk.follow(root.edges(_GROUPS, group))
    walk.follow(lock.manifest_requirements(selection.groups), extras_key="extras")
    walk.run()
    return walk.reached, walk.active


class _Walk:
    def __init__(self, lock: _Lock, active: frozenset[str], *, grow: bool) -> None:
        self.lock = lock
        self.active = active
        self.grow = grow
        self.reached: list[_Locked] = []
        self.seen: set[tuple[int, str]] = set()
        self.queue: deque[tuple[_Locked, str]] = deque()
        self.faults = Faults()

    def reach(self, package: _Locked, extras: Iterable[str]) -> None:
        for extra in ("", *extras):
            if (id(package), extra) not in self.seen:
                self.seen.add((id(package), extra))
                self.queue.append((package, extra))
                if not extra:
                    self.reached.append(package)

    def run(self) -> None:
        while self.queue:
            package, extra = self.queue.popleft()
            with self.faults.caught():
                edges = package.edges(_EXTRAS, extra) if extra else package.table.tables("dependencies")
                self.follow(edges)
        self.faults.report(f"{self.lock.file} cannot be followed:")

    def follow(self, edges: Iterable[Table], extras_key: str = "extra") -> None:
        for edge in edges:
            with self.faults.caught():
                extras = edge.texts(extras_key)
                active = self.active
                if self.grow and extras:
                    name = _wheels.canonical_name(edge)
                    active |= {synthetic("extra", name, extra) for extra in extras}
                if self.lock.interpreter.applies(edge, extras=active):
                    self.active = active
                    self.reach(self.lock.target(edge), extras)


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """The packages that `uv sync --frozen` would install, as wheels, and the members in place."""
    interpreter = interpreter_of(target, path)
    lock = _Lock(text, path, interpreter)
    lock.check_platform()
    settings = _settings(siblings, path)
    selection = _Selection(lock, options, _default_groups(settings, lock))
    active = selection.active()
    lock.conflicting(active)
    if lock.top.items("conflicts"):
        _, active = _walk(lock, selection, active, grow=True)
        lock.conflicting(active)
    reached, _ = _walk(lock, selection, active, grow=False)
    return _planned(lock, reached, completions, settings)


def _settings(siblings: Mapping[str, str], path: str) -> Table:
    """[tool.uv] of the pyproject.toml beside the lockfile, empty where there is none."""
    file = os.path.join(os.path.dirname(path), "pyproject.toml")
    table = parse_toml(siblings.get("pyproject.toml", ""), file).table("tool")
    table = table.table("uv") if table is not None else None
    return table if table is not None else Table({}, file=file, key="tool.uv")


def _default_groups(settings: Table, lock: _Lock) -> tuple[str, ...] | None:
    """tool.uv.default-groups: names, or "all"; None when not set."""
    if settings.values.get("default-groups") == "all":
        return tuple(chain(lock.manifest_groups(), *(root.names(_GROUPS) for root in lock.roots())))
    return settings.texts("default-groups") if "default-groups" in settings else None


def _planned(lock: _Lock, reached: Sequence[_Locked], completions: Completions, settings: Table) -> Plan:
    faults = Faults()
    packages: list[Package] = []
    queries: list[Query] = []
    editables: list[Editable] = []
    ordered = sorted(reached, key=lambda package: (package.name, package.version or ""))
    _check_single(lock, ordered, faults)
    _check_binary(settings, ordered, faults)
    for package in ordered:
        with faults.caught():
            if package.kind == "editable":
                editables.append(Editable(name=package.name, path=package.origin))
            elif package.kind != "virtual":
                found = _chosen(package, lock.interpreter, completions)
                (packages if isinstance(found, Package) else queries).append(found)  # type: ignore[arg-type]
    faults.report(f"{lock.file}: not everything in it can be installed:")
    notices = (_wheels.editable_notice(editables),) if editables else ()
    view = SitePackages(packages=tuple(packages), editables=tuple(editables))
    return Plan(view=view, notices=notices, queries=tuple(queries))


def _check_single(lock: _Lock, ordered: Sequence[_Locked], faults: Faults) -> None:
    for first, second in pairwise(ordered):
        if first.name == second.name:
            faults.add(
                second.table.fault(
                    None,
                    f"both {first.described} and {second.described} are selected; an environment can hold one",
                    hint="Choose other extras or groups in [lockfiles] of devenv.toml, or lock again.",
                )
            )


def _check_binary(settings: Table, ordered: Sequence[_Locked], faults: Faults) -> None:
    """tool.uv.no-binary asks for builds, which there are none of yet."""
    from packaging.utils import canonicalize_name

    named = {canonicalize_name(name) for name in settings.texts("no-binary-package")}
    everything = settings.flag("no-binary")
    for package in ordered:
        if package.kind in ("registry", "url", "path") and (everything or package.name in named):
            key = "no-binary" if everything else "no-binary-package"
            faults.add(
                settings.fault(key, f"{package.label} is to be built from source, and {_wheels.NO_SDIST}")
            )


def _chosen(package: _Locked, interpreter: Interpreter, completions: Completions) -> Package | Query:
    """The wheel of one package. Raises for sources that are not supported yet."""
    table = package.table
    if package.kind in ("git", "directory"):
        raise table.fault("source", _refusal(package))
    wheels = table.tables("wheels")
    wanted = _wheels.Wanted(
        name=package.name,
        version=package.version,
        where=table,
        files=wheels,
        names=[_file_name(wheel) for wheel in wheels],
        has_sdist="sdist" in table,
        index=package.origin if "://" in package.origin else None,
        direct=package.kind != "registry",
    )
    wheel, file_name = _wheels.choose(wanted, interpreter)
    url = _url(package, wheel)
    hash_text = wheel.text("hash")
    hash = _wheels.parse_hash(hash_text, wheel, "hash") if hash_text else None
    return _wheels.package_of(wanted, file_name, url, hash, wheel.number("size"), completions)


def _refusal(package: _Locked) -> str:
    origin = _wheels.shown_url(package.origin)
    if package.kind == "git":
        return f"{package.label} comes from git ({origin}), and packages from git are not supported yet"
    return (
        f"{package.label} is to be built from the directory {origin}, and building is not supported yet; "
        "with `editable = true` in tool.uv.sources it is imported in place"
    )


def _file_name(wheel: Table) -> str:
    name = wheel.text("filename")
    return name if name else _wheels.last_segment(wheel.text("url") or wheel.text("path") or "")


def _url(package: _Locked, wheel: Table) -> str:
    """Where the wheel is: on an index, at the source's own URL, or on this machine."""
    url = wheel.text("url") or (package.origin if package.kind == "url" else None)
    if url:
        return _wheels.check_url(url, wheel, "url")
    path = wheel.text("path") or ""
    if package.kind == "path":
        path = package.origin
    elif "://" not in package.origin:
        path = os.path.join(package.origin, path)
    return _wheels.file_url(path, wheel, "path", package.label)
