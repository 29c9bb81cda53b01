"""R: renv.lock as a library of packages that are built from source, each by itself.

The lock says neither what a file must hash to nor, in all versions, what a package needs, so each package is a question:
its source is looked at once, and devenv.lock keeps its hash and what its DESCRIPTION says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from devenv.adapter import (
    AdapterError,
    Completions,
    Ecosystem,
    MissingPackageError,
    Options,
    Package,
    Plan,
    RemoteFile,
    RLibrary,
    RQuery,
    Target,
)
from devenv.adapters._fields import Faults
from devenv.adapters._renv_lock import BASE, RECOMMENDED, Record, RenvLock, parse_lock
from devenv.adapters._renv_sources import query_of
from devenv.adapters._renv_system import system_packages

ecosystem: Ecosystem = "r"
patterns = ("renv.lock",)
sibling_names: tuple[str, ...] = ()

# The older fields that say the same, which packages installed by remotes and devtools have, too.
_GITHUB_FIELDS = {
    "GithubHost": "RemoteHost",
    "GithubRepo": "RemoteRepo",
    "GithubUsername": "RemoteUsername",
    "GithubRef": "RemoteRef",
    "GithubSHA1": "RemoteSha",
    "GithubSubdir": "RemoteSubdir",
}
_IN_REPOSITORIES = frozenset(("repository", "cran", "bioconductor", "unknown"))
_RECOMMENDED_PACKAGE = "r-recommended"


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """Parse and plan: see `devenv.adapter.Adapter`.

    Raises `AdapterError`, or `Problems` of them: a damaged lock, sources that cannot be used, packages that others need and
    the lock lacks.
    """
    _check_options(options, path)
    lock = parse_lock(text, path)
    faults = Faults()
    open_queries: list[RQuery] = []
    files: dict[str, RemoteFile] = {}
    directories: dict[str, str] = {}
    for record in lock.records:
        if record.name in BASE:
            continue  # old versions of renv wrote some of these down
        with faults.caught():
            query = query_of(record, lock)
            answers = completions.get(query.key, ())
            if not answers:
                open_queries.append(query)
                continue
            files[record.name] = answers[0]
            if query.directory:
                directories[record.name] = query.directory
    faults.report(f"{path}: {len(faults.found)} packages cannot be used:")
    records = {record.name: record for record in lock.records}
    needs = {name: _needs(file) for name, file in files.items()}
    if not open_queries:
        _check_complete(needs, records, path)
    requirements = system_packages((name, file.system) for name, file in files.items() if file.system)
    recommended = any(name in RECOMMENDED and name not in files for each in needs.values() for name in each)
    view = RLibrary(
        packages=tuple(_package(records[name], files[name]) for name in sorted(files)),
        inputs=_closures(needs, path),
        provenance={name: _provenance(records[name]) for name in sorted(files)},
        directories=directories,
        r_version=lock.r_version,
    )
    return Plan(
        view=view,
        queries=tuple(open_queries),
        system=_unique(requirements.packages, options.system, (_RECOMMENDED_PACKAGE,) if recommended else ()),
        notices=tuple(_notices(path, lock, requirements.programs, requirements.unknown)),
    )


def _unique(*lists: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for each in lists for name in each}))


def _check_options(options: Options, path: str) -> None:
    given = [name for name in ("omit", "extras", "groups") if getattr(options, name)]
    if given:
        raise AdapterError(
            f"{path}: an renv.lock knows no {' and no '.join(given)}",
            hint="Leave them out under [lockfiles] of devenv.toml.",
            file=path,
        )


def _package(record: Record, file: RemoteFile) -> Package:
    return Package(name=record.name, version=record.version, format="r", file=file)


def _needs(file: RemoteFile) -> tuple[str, ...]:
    return tuple(name for name in file.needs if name not in BASE)


def _check_complete(needs: Mapping[str, Iterable[str]], records: Mapping[str, Record], path: str) -> None:
    missing: dict[str, list[str]] = {}
    for name, wanted in sorted(needs.items()):
        for each in wanted:
            if each not in needs and each not in RECOMMENDED:
                missing.setdefault(each, []).append(name)
    faults = Faults()
    for each, users in missing.items():
        faults.add(
            MissingPackageError(
                f"{path}: {', '.join(users)} cannot be built: {each} is not in the lock",
                each,
                hint=f'In R: renv::install("{each}"), then renv::snapshot() writes it down.',
                file=path,
            )
        )
    faults.report(f"{path}: {len(missing)} packages are missing that others need:")


def _closures(needs: Mapping[str, Iterable[str]], path: str) -> dict[str, tuple[str, ...]]:
    """Each package with all that it needs, directly or not. Raises `AdapterError` for packages that need each other."""
    found: dict[str, set[str]] = {}
    for name in sorted(needs):
        stack = [(name, False)]
        open_names: list[str] = []
        while stack:
            current, is_left = stack.pop()
            below = [each for each in needs[current] if each in needs]
            if is_left:
                open_names.pop()
                found[current] = set(below).union(*(found[each] for each in below))
            elif current in open_names:
                circle = " -> ".join([*open_names[open_names.index(current) :], current])
                raise AdapterError(f"{path}: packages need each other: {circle}", file=path)
            elif current not in found:
                open_names.append(current)
                stack.append((current, True))
                stack.extend((each, False) for each in below)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def _provenance(record: Record) -> dict[str, str]:
    """The fields by which renv compares an installed package with its record, as `renv::restore` writes them.

    Packages of repositories have theirs in the file; of the others only the record knows.
    """
    if record.source in _IN_REPOSITORIES and len(record.remote.get("RemoteSha", "")) < 40:
        return {"Repository": record.repository} if record.repository else {}
    fields = {"RemoteType": record.remote.get("RemoteType", record.source), **record.remote}
    if fields["RemoteType"] == "github":
        fields |= {old: fields[new] for old, new in _GITHUB_FIELDS.items() if new in fields}
    return {key: " ".join(value.split()) for key, value in sorted(fields.items())}


def _notices(
    path: str, lock: RenvLock, programs: Mapping[str, Iterable[str]], unknown: Mapping[str, str]
) -> Iterator[str]:
    for program, names in programs.items():
        yield f'{", ".join(names)} can use {program}: if that is wanted, add "{program}" to `system` under [packages]'
    for name, requirement in unknown.items():
        yield (
            f"{name} asks for {requirement!r}, of which devenv knows no package. `devenv locate` finds some; to build with it: "
            'renv = { system = ["PACKAGE"] } under [lockfiles]'
        )
    if lock.skipped:
        yield f"{path}: {', '.join(lock.skipped)} left out, which are for Windows only"
