"""The values of a uv.lock, format version 1: a universal resolution.

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

from collections.abc import Iterable, Iterator, Mapping, Sequence

from devenv.adapter import AdapterError
from devenv.adapters import _wheels
from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.adapters._interpreter import Interpreter

EXTRAS = "optional-dependencies"
GROUPS = "dev-dependencies"

_SOURCES = ("registry", "git", "url", "path", "directory", "editable", "virtual")


def synthetic(kind: str, package: str, name: str = "") -> str:
    """The invented extra for an extra, group or project that conflicts with another."""
    return "-".join(part for part in (kind, str(len(package)), package, name) if part)


class LockedPackage:
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


class UvLock:
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
        self.packages: list[LockedPackage] = []
        for table in self.top.tables("package"):
            with faults.caught():
                self.packages.append(LockedPackage(table))
        faults.report(f"{file} cannot be read:")
        self.by_name: dict[str, list[LockedPackage]] = {}
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

    def roots(self) -> tuple[LockedPackage, ...]:
        """The project at the workspace's top; without one, all members."""
        local = [package for package in self.packages if package.kind in ("editable", "virtual")]
        top = [package for package in local if package.origin in (".", "")]
        members = frozenset(self.manifest.texts("members"))
        roots = top or [package for package in local if package.name in members]
        asked = roots or self.manifest.items("requirements") or self.manifest_groups()
        if self.packages and not asked:  # a workspace without members has a lock without packages
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

    def target(self, edge: Table) -> LockedPackage:
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

    def _in_this_fork(self, package: LockedPackage) -> bool:
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
