"""Overrides of Python packages, applied to what one environment holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from devenv.adapter import (
    NO_CHANGES,
    BuildQuery,
    Completions,
    Package,
    Plan,
    PypiQuery,
    PythonTarget,
    Query,
    RemoteFile,
    SitePackages,
    Target,
    WheelBuild,
)
from devenv.config.overrides import Override, OverrideError, normal_name
from devenv.crate_files import crates_of
from devenv.errors import DevenvError, raise_problems
from devenv.overrides.sources import file_of_source, is_of_source
from devenv.providers.wheel_choice import best_wheels

_SOURCES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar")
_SEVERAL = "write from-source = true under [build] to have it built"


def changed_build(query: BuildQuery, override: Override) -> BuildQuery:
    """What the build of an overridden source requires: its patches and variables may change that."""
    return replace(query, extra=(*query.extra, *override.requires), changes=override.changes)


def overridden_python(
    plan: Plan, view: SitePackages, overrides: Iterable[Override], completions: Completions, target: Target
) -> Plan:
    """The environment with other versions, sources and builds of the packages that overrides name.

    Raises OverrideError, or Problems of them.
    """
    assert target.python is not None
    packages = {package.name: package for package in view.packages}
    queries = {query.key: query for query in plan.queries}
    problems: list[DevenvError] = []
    isolated: dict[str, tuple[Package, ...]] = dict(view.isolated)
    for name, override in _chosen(plan, view, overrides).items():
        before = packages.get(name)
        queries = {key: each for key, each in queries.items() if not _is_moot(each, name, override)}
        if before is None and any(_is_about(each, name) for each in queries.values()):
            continue  # until the adapter knows it
        try:
            found = _overridden(before, _version(plan, name, before), override, completions, target.python)
        except DevenvError as error:
            problems.append(error)
            continue
        packages.pop(name, None)
        if isinstance(found, Package):
            packages[name] = found
        else:
            queries[found.key] = found
        try:
            inner = _isolated(override, completions, target.python)
        except DevenvError as error:
            problems.append(error)
            continue
        queries |= {each.key: each for each in inner if not isinstance(each, Package)}
        if known := tuple(each for each in inner if isinstance(each, Package)):
            isolated[name] = known
    raise_problems(problems)
    changed = replace(view, packages=tuple(packages[name] for name in sorted(packages)), isolated=isolated)
    return replace(plan, view=changed, queries=tuple(queries[key] for key in sorted(queries)))


def _chosen(plan: Plan, view: SitePackages, overrides: Iterable[Override]) -> dict[str, Override]:
    """By name, the most exact override of each package that there is or is asked about."""
    versions = {
        query.name: query.version for query in plan.queries if isinstance(query, PypiQuery | BuildQuery)
    }
    versions |= {package.name: package.version for package in view.packages}
    found: dict[str, Override] = {}
    for override in sorted(overrides, key=lambda each: each.only is not None):
        if override.name in versions and override.is_of(override.name, versions[override.name]):
            found[override.name] = override
    return found


def _version(plan: Plan, name: str, package: Package | None) -> str:
    """The locked version."""
    if package is not None:
        return package.version
    asked = (
        query for query in plan.queries if isinstance(query, PypiQuery | BuildQuery) and query.name == name
    )
    return next(query.version for query in asked)


def _is_about(query: Query, name: str) -> bool:
    return isinstance(query, PypiQuery | BuildQuery) and query.name == name


def _is_moot(query: Query, name: str, override: Override) -> bool:
    """Whether the adapter asks about a file in whose place another one comes."""
    if not isinstance(query, PypiQuery | BuildQuery) or query.name != name:
        return False
    if override.source is not None:
        # Only who knows the locked file can tell whether it is another one.
        return isinstance(query, BuildQuery) and not is_of_source(query.file, override.source)
    return override.from_source or override.version not in (None, query.version)


def _overridden(
    package: Package | None, locked: str, override: Override, completions: Completions, python: PythonTarget
) -> Package | Query:
    version = override.version or locked
    file: RemoteFile | Query | None = package.file if package is not None else None
    if override.source is not None:
        file = file_of_source(override, version, completions, package.file if package else None)
    elif (
        file is None or version != locked or (override.from_source and package and package.format == "wheel")
    ):
        file = _in_index(override, version, completions, python)
    if not isinstance(file, RemoteFile):
        return file
    if package is not None and file == package.file and package.build is None:
        return _wheel(override, file, version, python, direct=package.direct)
    if package is not None and file == package.file and package.build is not None:
        settings = {**dict(package.build.settings), **dict(override.settings)}
        build = replace(package.build, settings=tuple(sorted(settings.items())))
        return replace(package, version=version, build=build, changes=override.changes)
    return _of_file(override, file, version, completions, python)


def _isolated(override: Override, completions: Completions, python: PythonTarget) -> list[Package | Query]:
    """The packages that an overridden one alone imports, and what must be asked about them."""
    found: list[Package | Query] = []
    for name, version in override.isolated:
        plain = Override(kind="pip", name=name, version=version, origin=override.origin)
        file = _in_index(plain, version, completions, python)
        if isinstance(file, RemoteFile):
            found.append(_of_file(plain, file, version, completions, python))
        else:
            found.append(file)
    return found


def _in_index(
    override: Override, version: str, completions: Completions, python: PythonTarget
) -> RemoteFile | Query:
    """The best file of a version, or the question about its files. Raises OverrideError where none can be used."""
    query = PypiQuery(name=override.name, version=version)
    files = completions.get(query.key)
    if files is None:
        return query
    wheels = best_wheels(files, python.tags) if not override.from_source else ()
    sources = [file for file in files if file.file_name.endswith(_SOURCES)]
    if wheels:
        return wheels[0].file
    if sources:
        return sources[0]
    what = "sdist" if override.from_source else "file for this interpreter"
    raise OverrideError(override.origin, f"the index has no {what} of {override.name} {version}")


def _of_file(
    override: Override, file: RemoteFile, version: str, completions: Completions, python: PythonTarget
) -> Package | Query:
    """The package of a wheel, or of a source that is built."""
    direct = override.source is not None and not file.url.startswith("pypi-files:")
    if file.file_name.endswith(".whl"):
        return _wheel(override, file, version, python, direct=direct)
    query = BuildQuery(
        name=override.name,
        version=version,
        file=file,
        python=".".join(python.version.split(".")[:2]),
        subdirectory=override.source.directory if override.source is not None else "",
        extra=override.requires,
        changes=override.changes,
    )
    answer = completions.get(query.key)
    if answer is None:
        return query
    build = WheelBuild(
        requires=best_wheels(answer, python.tags),
        subdirectory=query.subdirectory,
        settings=override.settings,
        crates=crates_of(answer),
    )
    return Package(
        name=override.name,
        version=version,
        format="sdist",
        file=file,
        direct=direct,
        build=build,
        changes=override.changes,
    )


def _wheel(
    override: Override, file: RemoteFile, version: str, python: PythonTarget, *, direct: bool
) -> Package:
    """A wheel as it is, but for patches. Raises OverrideError for one that does not fit, and for settings of its build."""
    found = best_wheels([file], python.tags)
    if not found:
        raise OverrideError(override.origin, f"{file.file_name} is no wheel for this interpreter")
    if normal_name("pip", found[0].name) != override.name:
        raise OverrideError(override.origin, f"{file.file_name} is not a wheel of {override.name}")
    idle = [
        name
        for name, value in (
            ("environment", override.changes.environment),
            ("flags of compilers", override.changes.flags),
            ("requires", override.requires),
            ("config-settings", override.settings),
        )
        if value
    ]
    if idle:
        what = (
            f"{override.name} {version} is a wheel, so nothing is built: {', '.join(idle)} cannot be honoured"
        )
        raise OverrideError(override.origin, what, _SEVERAL)
    changes = replace(NO_CHANGES, patches=override.changes.patches)
    return Package(
        name=override.name, version=version, format="wheel", file=file, direct=direct, changes=changes
    )
