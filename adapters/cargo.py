"""Cargo: Cargo.lock as directories of sources that cargo takes in place of registries and repositories.

The lock holds the union over all platforms, features and members, and cargo insists on having all of it, so
nothing is chosen here. Nothing is compiled either: that is left to cargo, in the project's own target directory.

Each source becomes a directory source of its own, because a crate of one name and version may come from the
registry and from a repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from devenv.adapter import (
    AdapterError,
    CargoSource,
    CargoSources,
    Completions,
    Ecosystem,
    GitQuery,
    Options,
    Package,
    Plan,
    RemoteFile,
    Target,
)
from devenv.adapters._cargo_lock import GitSource, LockedCrate, parse_git, parse_lock
from devenv.adapters._fields import Faults

ecosystem: Ecosystem = "cargo"
patterns: tuple[str, ...] = ("Cargo.lock",)
sibling_names: tuple[str, ...] = ()


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

    Raises `AdapterError`, or `Problems` of them: a damaged lock, a registry's crate without a checksum.
    """
    _check_options(options, path)
    version, crates = parse_lock(text, path)
    faults = Faults()
    sources: dict[str, CargoSource] = {}
    packages: dict[str, dict[str, Package]] = {}
    queries: dict[str, GitQuery] = {}
    for crate in crates:
        with faults.caught():
            if crate.source is None:
                continue
            key = crate.source.partition("#")[0]
            if crate.is_git:
                git = parse_git(crate, version)
                found = _git_crate(crate, git, completions)
                sources.setdefault(key, _git_source(git))
            else:
                found = _registry_crate(crate)
                sources.setdefault(key, CargoSource(url=key, kind="registry"))
            if isinstance(found, GitQuery):
                queries[found.key] = found
            else:
                packages.setdefault(key, {})[f"{crate.name}-{crate.version}"] = found
    faults.report(f"{path}: {len(faults.found)} packages cannot be used:")
    view = CargoSources(
        sources=dict(sorted(sources.items())),
        crates={key: dict(sorted(packages.get(key, {}).items())) for key in sorted(sources)},
        lock=text,
    )
    notices = _unused_patches(text, path)
    return Plan(view=view, queries=tuple(queries[key] for key in sorted(queries)), notices=notices)


def _check_options(options: Options, path: str) -> None:
    given = [name for name in ("omit", "extras", "groups") if getattr(options, name)]
    if given:
        raise AdapterError(
            f"{path}: a Cargo.lock knows no {' and no '.join(given)}: cargo wants all of it",
            hint="Leave them out under [lockfiles] of devenv.toml.",
            file=path,
        )


def _registry_crate(crate: LockedCrate) -> Package:
    if crate.checksum is None:
        raise crate.table.fault(
            "checksum",
            f"{crate.label} comes from a registry, and the lock has no checksum of it",
            hint="Run cargo generate-lockfile with a current cargo to add it.",
        )
    index = quote((crate.source or "").removeprefix("registry+"), safe="")
    file = RemoteFile(
        file_name=f"{crate.name}-{crate.version}.crate",
        url=f"crates+{index}:{crate.name}/{crate.version}/{crate.checksum.hex}",
        hash=crate.checksum,
    )
    return Package(name=crate.name, version=crate.version, format="crate", file=file)


def _git_source(git: GitSource) -> CargoSource:
    return CargoSource(url=git.url, kind="git", selector=git.selector)


def _git_crate(crate: LockedCrate, git: GitSource, completions: Completions) -> Package | GitQuery:
    query = GitQuery(url=git.url, commit=git.commit)
    answers = completions.get(query.key, ())
    if not answers:
        return query
    return Package(name=crate.name, version=crate.version, format="git-crate", file=answers[0])


def _unused_patches(text: str, path: str) -> tuple[str, ...]:
    if "[[patch.unused]]" not in text:
        return ()
    return (f"{path}: it has patches that no package uses; they are fetched because cargo looks at them",)
