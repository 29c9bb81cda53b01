"""Plans of whole lockfiles, with answers made up for what they ask registries and repositories."""

from __future__ import annotations

import os
from pathlib import Path

from devenv.adapter import (
    BuildQuery,
    CargoSources,
    FileQuery,
    GitQuery,
    NpmQuery,
    Options,
    Plan,
    PypiQuery,
    Query,
    RemoteFile,
    RLibrary,
    RQuery,
    SitePackages,
    Target,
)
from devenv.formats.hashes import Hash
from devenv.lockfiles import Lockfile, read
from devenv.plugins import load_adapters

# A package as its ecosystem names it, and its version; "" where the lockfile has none (directories).
Packages = frozenset[tuple[str, str]]


def lockfile(path: Path, options: Options) -> Lockfile:
    """The file with what lies beside it."""
    root, name = os.path.split(path)
    return read(root, name, options, load_adapters())


def answered(lock: Lockfile, target: Target) -> Plan:
    """The plan when every question has an answer: each package is there, and no build needs anything."""
    known: dict[str, tuple[RemoteFile, ...]] = {}
    while queries := lock.plan(target, known).queries:
        for query in queries:
            assert query.key not in known, f"{query.key} is asked again"
            known[query.key] = _answer(query)
    return lock.plan(target, known)


def _answer(query: Query) -> tuple[RemoteFile, ...]:
    if isinstance(query, BuildQuery):
        return ()
    if isinstance(query, PypiQuery):
        digest = query.hashes[0] if query.hashes else _hash(query)
        name = query.name.replace("-", "_")
        return (
            RemoteFile(file_name=f"{name}-{query.version}-py3-none-any.whl", url=_url(query), hash=digest),
        )
    digest = query.hash if isinstance(query, NpmQuery) and query.hash else _hash(query)
    if isinstance(query, GitQuery):
        return (RemoteFile(file_name="tree", url=f"git+{query.url}#{query.commit}", hash=digest),)
    name = query.file_name if isinstance(query, FileQuery) else f"{query.name}.tar.gz"
    url = query.places[0] if isinstance(query, RQuery) else _url(query)
    return (RemoteFile(file_name=name, url=url, hash=digest),)


def _url(query: Query) -> str:
    return f"https://files.test/{_hash(query).hex}"


def _hash(query: Query) -> Hash:
    return Hash.of("sha256", query.key.encode())


def packages(plan: Plan) -> Packages:
    """What a plan of Python, Rust or R installs or provides."""
    view = plan.view
    assert isinstance(view, SitePackages | CargoSources | RLibrary)
    return frozenset((package.name, package.version) for package in view.packages)
