"""pnpm: pnpm-lock.yaml of versions 5, 6 and 9 as a node_modules tree, the one of `node-linker=hoisted`.

Directories that pnpm would copy (`file:`, injected workspaces) are linked, as those are that it links.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from devenv.adapter import AdapterError, Completions, Ecosystem, Options, Patch, Plan, Target
from devenv.adapters._fields import Table, parse_json
from devenv.adapters._npm_hoist import hoisted_lock
from devenv.adapters._pnpm_graph import read_graph, runtimes
from devenv.adapters._yaml import parse_yaml
from devenv.adapters.npm import check_options, plan_lock

ecosystem: Ecosystem = "npm"
patterns = ("pnpm-lock.yaml",)
_WORKSPACE = "pnpm-workspace.yaml"
sibling_names = ("package.json", _WORKSPACE)


def plan(
    text: str,
    *,
    path: str,
    target: Target,
    options: Options,
    completions: Completions,
    siblings: Mapping[str, str],
) -> Plan:
    """Parse and plan: see `devenv.adapter.Adapter`. Raises `AdapterError`, or `Problems` of them."""
    check_options(options, path)
    manifest = parse_json(siblings["package.json"], "package.json") if "package.json" in siblings else None
    top = parse_yaml(text, path)
    lock = hoisted_lock(path, read_graph(top, _patches(top, siblings)), required_are_for_all=True)
    found = plan_lock(
        lock, manifest, target=target, options=options, completions=completions, siblings=siblings
    )
    notices = [f"{each} is not installed as a package: ask for it under [packages]" for each in runtimes(top)]
    return replace(found, notices=(*found.notices, *notices))


def included_names(text: str, name: str) -> list[str]:
    """The package.json of the workspace's projects, which say their commands, and the files with patches."""
    base, file = posixpath.split(name)
    found: list[str] = []
    with suppress(AdapterError):  # said when it is planned
        table = parse_json(text, name) if file == "package.json" else None
        if file in (*patterns, _WORKSPACE):
            table = parse_yaml(text, name)
            found = [
                f"{each}/package.json" for each in (table.table("importers") or Table({}, file=name)).values
            ]
        if file in patterns:
            found.append(_WORKSPACE)
        if table is not None:
            found += [path for path, _ in _declared(table).values() if path]
    places = sorted(posixpath.normpath(posixpath.join(base, each)) for each in found)
    return [each for each in places if not any(mark in each for mark in "*?[")]


def _patches(top: Table, siblings: Mapping[str, str]) -> dict[str, Patch]:
    """The patches of the lock by the hash that stands in the keys of the packages which they change.

    Where they lie says the lock, or since pnpm 11 the workspace's settings. Raises `AdapterError` for those that are missing.
    """
    declared: dict[str, tuple[str, str]] = {}
    if "package.json" in siblings:
        declared |= _declared(parse_json(siblings["package.json"], "package.json"))
    if siblings.get(_WORKSPACE, "").strip():
        declared |= _declared(parse_yaml(siblings[_WORKSPACE], _WORKSPACE))
    found = {}
    for key, (path, digest) in _declared(top).items():
        place = path or declared.get(key, ("", ""))[0]
        if digest and place not in siblings:
            problem = f"its patch {place[:120]!r} is no file of the project"
            raise top.fault("patchedDependencies", f"{key[:120]}: {problem}")
        found[digest] = Patch(name=place, text=siblings.get(place, ""))
    return {digest: patch for digest, patch in found.items() if digest}


def _declared(table: Table) -> dict[str, tuple[str, str]]:
    """What `patchedDependencies` of a lock, a workspace or a package.json says: name and version -> path, hash."""
    value = table.values.get("patchedDependencies")
    if value is None and isinstance(settings := table.values.get("pnpm"), dict):
        value = settings.get("patchedDependencies")
    return dict(_pairs(value)) if isinstance(value, dict) else {}


def _pairs(value: dict[str, object]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, each in value.items():
        if isinstance(each, dict):
            path, digest = each.get("path"), each.get("hash")
            yield (
                key,
                (_normal(path) if isinstance(path, str) else "", digest if isinstance(digest, str) else ""),
            )
        elif isinstance(each, str):
            # A path in settings, a hash in a lock: hashes have neither dots nor slashes.
            yield key, (_normal(each), "") if "." in each or "/" in each else ("", each)


def _normal(path: str) -> str:
    return posixpath.normpath(path)
