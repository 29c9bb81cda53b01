"""What a project of Poetry asks for, and what of a poetry.lock before version 2.1 that reaches.

pyproject.toml has [project] (PEP 621) or [tool.poetry.dependencies], groups in [dependency-groups] (PEP 735),
[tool.poetry.group.NAME.dependencies] or [tool.poetry.dev-dependencies], and extras that name optional dependencies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from devenv.adapter import AdapterError
from devenv.adapters import _wheels
from devenv.adapters._fields import Faults, Table, kind_of
from devenv.adapters._interpreter import Interpreter
from devenv.adapters._poetry_constraints import allows, is_platform

MAIN = "main"
_PYTHON = "python"
# Poetry before 1.3 did not lock them: its virtual environments had them anyway.
_SEEDS = frozenset(("setuptools", "pip", "wheel", "distribute"))


class Edge(NamedTuple):
    """One dependency. `table` says where it stands and holds markers, extras and so on; `constraint` the version."""

    name: str
    constraint: str
    table: Table
    optional: bool


class Manifest:
    """What a pyproject.toml asks for, by group; `groups` and `optional_groups` are normalised names."""

    def __init__(self, top: Table) -> None:
        self.top = top
        tool = top.table("tool")
        poetry = tool.table("poetry") if tool is not None else None
        self._poetry = poetry if poetry is not None else Table({}, file=top.file, key="tool.poetry")
        self.optional_groups = tuple(
            self._name(group) for group, table in self._group_tables() if table.flag("optional")
        )
        groups = [self._name(group) for group, _ in self._group_tables()]
        listed = top.table("dependency-groups")
        groups += [self._name(group) for group in (listed.values if listed is not None else ())]
        if "dev-dependencies" in self._poetry:
            groups.append("dev")
        self.groups = tuple(dict.fromkeys(groups))
        project = top.table("project") or Table({}, file=top.file)
        self.name = self._name(self._poetry.text("name") or project.text("name") or "")

    @staticmethod
    def _name(group: str) -> str:
        from packaging.utils import canonicalize_name

        return canonicalize_name(group)

    def _group_tables(self) -> Iterator[tuple[str, Table]]:
        groups = self._poetry.table("group")
        for name in groups.values if groups is not None else ():
            assert groups is not None
            yield name, groups.required_table(name)

    @property
    def root(self) -> str | None:
        """The name of the project where it is a package itself, by what it says."""
        return self.name if self.name and self._poetry.values.get("package-mode", True) else None

    def edges(self, groups: Iterable[str]) -> Iterator[Edge]:
        """The dependencies of the selected groups, main ones among them."""
        wanted = set(groups)
        if MAIN in wanted:
            yield from self._main()
        for name, table in self._group_tables():
            if self._name(name) in wanted:
                yield from edges_of(table, "dependencies")
        if "dev" in wanted:
            yield from edges_of(self._poetry, "dev-dependencies")
        listed = self.top.table("dependency-groups")
        for name in listed.values if listed is not None else ():
            assert listed is not None
            if self._name(name) in wanted:
                texts = [text for text in listed.items(name) if isinstance(text, str)]
                yield from _requirements(texts, listed, name)

    def _main(self) -> Iterator[Edge]:
        project = self.top.table("project")
        if project is not None and "dependencies" in project:
            yield from _requirements(project.texts("dependencies"), project, "dependencies")
            optional = project.table("optional-dependencies")
            for extra in optional.values if optional is not None else ():
                assert optional is not None
                for edge in _requirements(optional.texts(extra), optional, extra):
                    yield edge._replace(optional=True)
        else:
            yield from edges_of(self._poetry, "dependencies")


def _requirements(texts: Iterable[str], where: Table, key: str) -> Iterator[Edge]:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in texts:
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError):
            raise where.fault(key, f"cannot understand the requirement {text[:200]!r}") from None
        values: dict[str, object] = {"extras": sorted(requirement.extras)}
        if requirement.marker is not None:
            values["markers"] = str(requirement.marker)
        table = Table(values, file=where.file, key=f"{where.key}.{key}")
        yield Edge(canonicalize_name(requirement.name), str(requirement.specifier) or "*", table, False)


def edges_of(table: Table, key: str) -> Iterator[Edge]:
    """The dependencies under `key`: each a constraint, a table, or a list of either."""
    dependencies = table.table(key)
    for written in dependencies.values if dependencies is not None else ():
        assert dependencies is not None
        if written.lower() == _PYTHON:
            continue
        name = _wheels.check_package_name(written, dependencies, written)
        value = dependencies.values[written]
        for each in value if isinstance(value, list) else [value]:
            yield _edge(name, each, dependencies, written)


def _edge(name: str, value: object, where: Table, key: str) -> Edge:
    if isinstance(value, str):
        return Edge(name, value, Table({}, file=where.file, key=f"{where.key}.{key}"), False)
    if not isinstance(value, dict):
        raise where.fault(key, f"expected a version or a table, found {kind_of(value)}")
    table = Table(value, file=where.file, key=f"{where.key}.{key}")
    return Edge(name, table.text("version") or "*", table, table.flag("optional"))


def reached(
    top: Table,
    packages: Sequence[Table],
    manifest: Manifest | None,
    interpreter: Interpreter,
    extras: frozenset[str],
    groups: frozenset[str],
) -> tuple[list[Table], list[str]]:
    """The packages that the selected groups reach by edges whose markers hold, in the lock's order, with lines for people."""
    if manifest is None:
        raise AdapterError(
            f"{top.file}: a lock before version 2.1 does not say what the project asks for, and there is no "
            "pyproject.toml beside it",
            hint="Put it there, or lock again with a current Poetry.",
            file=top.file,
        )
    walk = _Walk(top, packages, interpreter, extras, manifest.name)
    walk.run(manifest.edges(groups))
    notices = [
        f"{top.file}: {name} is not in it, though packages ask for it: its Poetry was too old to lock {name}"
        for name in sorted(walk.unlocked)
    ]
    return [package for package in packages if id(package) in walk.found], notices


class _Walk:
    def __init__(
        self,
        top: Table,
        packages: Sequence[Table],
        interpreter: Interpreter,
        extras: frozenset[str],
        project: str,
    ) -> None:
        self._interpreter = interpreter
        self._extras = extras
        self._candidates: dict[str, list[Table]] = {}
        for package in packages:
            self._candidates.setdefault(_wheels.canonical_name(package), []).append(package)
        self._optional = self._wanted_by_extras(top)
        self._queue: deque[tuple[Table, str]] = deque()
        self._seen: set[tuple[int, str]] = set()
        self._project = project
        self.found: set[int] = set()
        self.unlocked: set[str] = set()

    def _wanted_by_extras(self, top: Table) -> frozenset[str]:
        """The optional dependencies that the project's chosen extras name."""
        from packaging.utils import canonicalize_name

        table = top.table("extras")
        names: set[str] = set()
        for key in table.values if table is not None else ():
            assert table is not None
            if canonicalize_name(key) in self._extras:
                names.update(_name_of(text) for text in table.texts(key))
        return frozenset(names)

    def run(self, roots: Iterable[Edge]) -> None:
        faults = Faults()
        for edge in roots:
            with faults.caught():
                if not edge.optional or edge.name in self._optional:
                    self._follow(edge, self._extras)
        while self._queue:
            package, extra = self._queue.popleft()
            with faults.caught():
                self._leave(package, extra)
        faults.report()

    def _leave(self, package: Table, extra: str) -> None:
        """Follow a package's own edges, or those that one of its extras adds."""
        added = _extra_names(package, extra) if extra else frozenset[str]()
        for edge in edges_of(package, "dependencies"):
            if (edge.name in added) if extra else not edge.optional:
                self._follow(edge, frozenset({extra} if extra else ()))

    def _follow(self, edge: Edge, extras: frozenset[str]) -> None:
        if not self._applies(edge, extras):
            return
        if edge.name not in self._candidates and edge.name in _SEEDS:
            self.unlocked.add(edge.name)
            return
        if edge.name not in self._candidates and edge.name == self._project:
            return  # a plugin of the project itself
        package = self._target(edge)
        self.found.add(id(package))
        for extra in ("", *edge.table.texts("extras")):
            if (id(package), extra) not in self._seen:
                self._seen.add((id(package), extra))
                self._queue.append((package, extra))

    def _applies(self, edge: Edge, extras: frozenset[str]) -> bool:
        wanted = edge.table.text(_PYTHON)
        if wanted and not self._allows(edge, wanted, self._interpreter.version, _PYTHON):
            return False
        platform = edge.table.text("platform")
        if platform and not is_platform(platform, self._interpreter.system):
            return False
        return self._interpreter.applies(edge.table, "markers", extras=extras)

    def _target(self, edge: Edge) -> Table:
        """The package that an edge means: of several the one whose version fits."""
        candidates = self._candidates.get(edge.name, [])
        fitting = candidates
        if len(candidates) > 1:
            fitting = [
                each
                for each in candidates
                if self._allows(edge, edge.constraint, each.required_text("version"), "version")
                and self._usable(each)
            ]
        if not fitting:
            raise edge.table.fault(
                None,
                f"the lock has no {edge.name} that fits {edge.constraint}",
                hint="The lock is older than pyproject.toml: run poetry lock.",
            )
        return fitting[0]

    def _usable(self, package: Table) -> bool:
        versions = package.text("python-versions")
        return not versions or self._allows_python(versions)

    def _allows_python(self, constraint: str) -> bool:
        try:
            return allows(constraint, self._interpreter.version)
        except ValueError:
            return True

    def _allows(self, edge: Edge, constraint: str, version: str, key: str) -> bool:
        try:
            return allows(constraint, version)
        except ValueError:
            raise edge.table.fault(key, f"cannot understand the constraint {constraint[:200]!r}") from None


def _extra_names(package: Table, extra: str) -> frozenset[str]:
    from packaging.utils import canonicalize_name

    table = package.table("extras")
    names: Mapping[str, object] = table.values if table is not None else {}
    for key in names:
        if canonicalize_name(key) == canonicalize_name(extra):
            assert table is not None
            return frozenset(_name_of(text) for text in table.texts(key))
    return frozenset()


def _name_of(text: str) -> str:
    """ "Name[extra] (>=1)" -> "name" """
    import re

    from packaging.utils import canonicalize_name

    return canonicalize_name(re.split(r"[\s\[(<>=!~;]", text.strip(), maxsplit=1)[0])
