"""Crates that a Python package is compiled of, as files of devenv.lock: `RemoteFile.crate`.

NAME VERSION (SOURCE)        as in the dependencies of a Cargo.lock of version 1, SOURCE without a commit
serde 1.0.0 (registry+https://index.crates.test/)
parser 0.3.0 (git+https://git.example.test/parser?branch=next)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from devenv.adapter import AdapterError, CargoSource, CargoSources, Crate, Package, RemoteFile

_CRATE = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]*) ([0-9][A-Za-z0-9.+~-]*) \((.+)\)", re.ASCII)
_GIT = "git+"


def files_of(view: CargoSources) -> Iterator[RemoteFile]:
    """The crates of a Cargo.lock as files."""
    from dataclasses import replace

    for key, crates in view.crates.items():
        for package in crates.values():
            name = f"{package.name}-{package.version}.crate"
            crate = f"{package.name} {package.version} ({key})"
            yield replace(package.file, file_name=name, crate=crate)


def crates_of(files: Iterable[RemoteFile]) -> tuple[Crate, ...]:
    """The crates among `files`, in the order of their names. Raises `AdapterError` for what names none."""
    found = [_crate(file) for file in files if file.crate]
    return tuple(sorted(found, key=lambda each: (each.source, each.package.name, each.package.version)))


def _crate(file: RemoteFile) -> Crate:
    match = _CRATE.fullmatch(file.crate)
    if match is None:
        raise AdapterError(
            f"devenv.lock: {file.crate[:200]!r} names no crate",
            hint="Run `devenv lock` again.",
            file="devenv.lock",
        )
    name, version, source = match.groups()
    is_git = source.startswith(_GIT)
    package = Package(name=name, version=version, format="git-crate" if is_git else "crate", file=file)
    return Crate(package=package, source=source, origin=_origin(source))


def _origin(source: str) -> CargoSource:
    if not source.startswith(_GIT):
        return CargoSource(url=source, kind="registry")
    from urllib.parse import unquote

    url, _, query = source.removeprefix(_GIT).partition("?")
    kind, _, value = query.partition("=")
    return CargoSource(url=url, kind="git", selector=(kind, unquote(value)) if query else None)


def sources_of(crates: Iterable[Crate]) -> CargoSources:
    """The same as directories that stand in for sources."""
    sources: dict[str, CargoSource] = {}
    packages: dict[str, dict[str, Package]] = {}
    for crate in crates:
        sources[crate.source] = crate.origin
        inside = packages.setdefault(crate.source, {})
        inside[f"{crate.package.name}-{crate.package.version}"] = crate.package
    return CargoSources(sources=sources, crates=packages, lock="")
