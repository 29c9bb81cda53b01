"""uv.lock, walked for one interpreter. Its values are in `_uv_lock`.

What is reached from the project's roots by edges whose markers hold is installed. Where extras or groups
conflict, a first walk finds the extras that edges ask for on the way: they count as chosen too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from urllib.parse import unquote

from devenv.adapter import (
    Completions,
    Ecosystem,
    Editable,
    Options,
    Package,
    Plan,
    Query,
    SitePackages,
    Target,
)
from devenv.adapters import _sdists, _wheels
from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.adapters._interpreter import Interpreter, interpreter_of
from devenv.adapters._uv_lock import EXTRAS, GROUPS, LockedPackage, UvLock, synthetic

ecosystem: Ecosystem = "python"
patterns: tuple[str, ...] = ("uv.lock",)
sibling_names: tuple[str, ...] = ("pyproject.toml",)


class _Selection:
    """The roots with the extras and groups that are asked for, and what they make active in markers."""

    def __init__(self, lock: UvLock, options: Options, groups: tuple[str, ...] | None) -> None:
        from packaging.utils import canonicalize_name

        self.roots = lock.roots()
        self.extras = frozenset(canonicalize_name(name) for name in options.extras)
        asked = options.groups if options.groups is not None else groups
        self.groups = frozenset(canonicalize_name(name) for name in (("dev",) if asked is None else asked))
        known_extras = set(chain.from_iterable(root.names(EXTRAS) for root in self.roots))
        known_groups = set(chain.from_iterable(root.names(GROUPS) for root in self.roots))
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
            found.update(synthetic("extra", root.name, e) for e in root.names(EXTRAS) if e in self.extras)
            found.update(synthetic("group", root.name, g) for g in root.names(GROUPS) if g in self.groups)
        return frozenset(found)


def _walk(
    lock: UvLock, selection: _Selection, active: frozenset[str], *, grow: bool
) -> tuple[list[LockedPackage], frozenset[str]]:
    """Follow the edges whose markers hold; return the packages reached and the active names.

    `grow`: extras that an edge asks for become active, for it and for all that follow.
    """
    walk = _Walk(lock, active, grow=grow)
    for root in selection.roots:
        walk.reach(root, ())
        for extra in root.names(EXTRAS):
            if extra in selection.extras:
                walk.queue.append((root, extra))
    for root in selection.roots:
        for group in root.names(GROUPS):
            if group in selection.groups:
                walk.follow(root.edges(GROUPS, group))
    walk.follow(lock.manifest_requirements(selection.groups), extras_key="extras")
    walk.run()
    return walk.reached, walk.active


class _Walk:
    def __init__(self, lock: UvLock, active: frozenset[str], *, grow: bool) -> None:
        self.lock = lock
        self.active = active
        self.grow = grow
        self.reached: list[LockedPackage] = []
        self.seen: set[tuple[int, str]] = set()
        self.queue: deque[tuple[LockedPackage, str]] = deque()
        self.faults = Faults()

    def reach(self, package: LockedPackage, extras: Iterable[str]) -> None:
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
                edges = package.edges(EXTRAS, extra) if extra else package.table.tables("dependencies")
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
    """The packages that `uv sync --frozen` would install, and the members in place."""
    interpreter = interpreter_of(target, path)
    lock = UvLock(text, path, interpreter)
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


def _default_groups(settings: Table, lock: UvLock) -> tuple[str, ...] | None:
    """tool.uv.default-groups: names, or "all"; None when not set."""
    if settings.values.get("default-groups") == "all":
        return tuple(chain(lock.manifest_groups(), *(root.names(GROUPS) for root in lock.roots())))
    return settings.texts("default-groups") if "default-groups" in settings else None


def _planned(
    lock: UvLock, reached: Sequence[LockedPackage], completions: Completions, settings: Table
) -> Plan:
    faults = Faults()
    packages: list[Package] = []
    queries: list[Query] = []
    editables: list[Editable] = []
    ordered = sorted(reached, key=lambda package: (package.name, package.version or ""))
    _check_single(lock, ordered, faults)
    building = _building(lock, settings)
    for package in ordered:
        with faults.caught():
            if package.kind in ("editable", "directory"):
                editables.append(_directory(package, building))
            elif package.kind != "virtual":
                found = _chosen(package, lock.interpreter, completions, building)
                (packages if isinstance(found, Package) else queries).append(found)  # type: ignore[arg-type]
    faults.report(f"{lock.file}: not everything in it can be installed:")
    view = SitePackages(packages=tuple(packages), editables=tuple(editables))
    notices = _built_in_isolation(building, view)
    return Plan(view=view, queries=tuple(queries), notices=notices)


def _built_in_isolation(building: _Building, view: SitePackages) -> tuple[str, ...]:
    """uv would build these in the environment itself, which here exists only when all of it is built."""
    built = [each.name for each in view.packages if each.format == "sdist"]
    named = [
        name
        for name in (*built, *(each.name for each in view.editables))
        if building.not_isolated & {"", name}
    ]
    if not named:
        return ()
    what = f"no-build-isolation is not followed for {', '.join(sorted(named))}"
    have = "builds have what their [build-system] requires, and what [tool.uv.extra-build-dependencies] adds"
    return (f"{what}: {have}",)


def _directory(package: LockedPackage, building: _Building) -> Editable:
    wishes = building.wishes(package.name)
    return Editable(
        name=package.name,
        path=package.origin,
        in_place=package.kind == "editable",
        constraints=wishes.constraints,
        extra=wishes.extra,
        settings=wishes.settings,
    )


def _check_single(lock: UvLock, ordered: Sequence[LockedPackage], faults: Faults) -> None:
    for first, second in pairwise(ordered):
        if first.name == second.name:
            faults.add(
                second.table.fault(
                    None,
                    f"both {first.described} and {second.described} are selected; an environment can hold one",
                    hint="Choose other extras or groups in [lockfiles] of devenv.toml, or lock again.",
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Building:
    """[tool.uv] on what is built, and how. The names in the sets are normal ones; "" means all packages."""

    not_binary: frozenset[str]
    not_built: frozenset[str]
    not_isolated: frozenset[str]
    constraints: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, tuple[tuple[str, str], ...]]

    def wishes(self, name: str) -> _sdists.Wishes:
        settings = self.settings.get(name, self.settings.get("", ()))
        return _sdists.Wishes(constraints=self.constraints, extra=self.extra.get(name, ()), settings=settings)


def _building(lock: UvLock, settings: Table) -> _Building:
    from packaging.utils import canonicalize_name

    def names(key: str) -> frozenset[str]:
        found = {canonicalize_name(name) for name in settings.texts(f"{key}-package")}
        return frozenset(found | ({""} if settings.flag(key) else set()))

    constraints = [
        f"{table.required_text('name')}{table.text('specifier') or ''}"
        for table in lock.manifest.tables("build-constraints")
    ]
    extra = settings.table("extra-build-dependencies") or Table({}, file=settings.file, key=settings.key)
    each = settings.table("config-settings-package")
    chosen = {"": _settings_of(settings.table("config-settings"))}
    for name in each.values if each is not None else ():
        chosen[canonicalize_name(name)] = _settings_of(each.required_table(name) if each else None)
    return _Building(
        not_binary=names("no-binary"),
        not_built=names("no-build"),
        not_isolated=names("no-build-isolation"),
        constraints=tuple(constraints),
        extra={canonicalize_name(name): _requirements(extra, name) for name in extra.values},
        settings=chosen,
    )


def _settings_of(table: Table | None) -> tuple[tuple[str, str], ...]:
    if table is None:
        return ()
    return tuple((key, table.required_text(key)) for key in sorted(table.values))


def _requirements(extra: Table, name: str) -> tuple[str, ...]:
    """Texts, or tables {requirement, match-runtime}: what is matched at run time is resolved as any other here."""
    found = []
    for index, item in enumerate(extra.items(name)):
        if isinstance(item, dict):
            item = Table(item, file=extra.file, key=f"{extra.key}.{name}[{index}]").required_text(
                "requirement"
            )
        if not isinstance(item, str):
            raise extra.fault(name, "expected requirements")
        found.append(item)
    return tuple(found)


def _chosen(
    package: LockedPackage, interpreter: Interpreter, completions: Completions, building: _Building
) -> Package | Query:
    """The file of one package, or its repository."""
    table = package.table
    if package.kind == "git":
        return _of_git(package, interpreter, completions, building)
    sdist = table.table("sdist")
    files = [*table.tables("wheels"), *([sdist] if sdist is not None else [])]
    subdirectory = package.source.get("subdirectory")
    wanted = _wheels.Wanted(
        name=package.name,
        version=package.version,
        where=table,
        files=files,
        names=[_file_name(package, file) for file in files],
        index=package.origin if "://" in package.origin else None,
        direct=package.kind != "registry",
        binary=not building.not_binary & {"", package.name},
        source=not building.not_built & {"", package.name},
        subdirectory=subdirectory if isinstance(subdirectory, str) else "",
        wishes=building.wishes(package.name),
    )
    file, file_name = _wheels.choose(wanted, interpreter)
    hash_text = file.text("hash")
    return _wheels.package_of(
        wanted,
        file_name,
        _url(package, file),
        _wheels.parse_hash(hash_text, file, "hash") if hash_text else None,
        file.number("size"),
        interpreter=interpreter,
        completions=completions,
    )


def _of_git(
    package: LockedPackage, interpreter: Interpreter, completions: Completions, building: _Building
) -> Package | Query:
    """URL?rev=TAG&subdirectory=PLACE#COMMIT"""
    address, _, commit = package.origin.partition("#")
    url, _, query = address.partition("?")
    parts = dict(part.partition("=")[::2] for part in query.split("&"))
    return _sdists.from_git(
        package.name,
        package.version or "",
        url,
        commit,
        where=package.table,
        interpreter=interpreter,
        completions=completions,
        subdirectory=unquote(parts.get("subdirectory", "")),
        wishes=building.wishes(package.name),
    )


def _file_name(package: LockedPackage, file: Table) -> str:
    name = file.text("filename") or _wheels.last_segment(file.text("url") or file.text("path") or "")
    return name or _wheels.last_segment(package.origin)


def _url(package: LockedPackage, wheel: Table) -> str:
    """Where the file is: on an index, at the source's own URL, or on this machine."""
    url = wheel.text("url") or (package.origin if package.kind == "url" else None)
    if url:
        return _wheels.check_url(url, wheel, "url")
    path = wheel.text("path") or ""
    if package.kind == "path":
        path = package.origin
    elif "://" not in package.origin:
        path = os.path.join(package.origin, path)
    return _wheels.file_url(path, wheel)
