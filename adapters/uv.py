"""uv.lock, walked for one interpreter. Its values are in `_uv_lock`.

What is reached from the project's roots by edges whose markers hold is installed. Where extras or groups
conflict, a first walk finds the extras that edges ask for on the way: they count as chosen too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise

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
from devenv.adapters import _wheels
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
    """The packages that `uv sync --frozen` would install, as wheels, and the members in place."""
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


def _check_binary(settings: Table, ordered: Sequence[LockedPackage], faults: Faults) -> None:
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


def _chosen(package: LockedPackage, interpreter: Interpreter, completions: Completions) -> Package | Query:
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


def _refusal(package: LockedPackage) -> str:
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


def _url(package: LockedPackage, wheel: Table) -> str:
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
