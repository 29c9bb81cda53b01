"""Overrides of npm packages, applied to a node_modules tree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from devenv.adapter import Completions, NodeModules, NpmQuery, Package, Plan, Query, RemoteFile
from devenv.config.overrides import Override
from devenv.overrides.choice import override_of
from devenv.overrides.sources import file_of_source

# Files by whose change a package may get install scripts that it had not.
_DECIDING = ("package.json", "binding.gyp")


def overridden_node(
    plan: Plan, view: NodeModules, overrides: Sequence[Override], completions: Completions
) -> Plan:
    """The tree with other packages at the same places: where they lie, and what they find, is as the lock has it."""
    packages: dict[str, Package] = {}
    replaced: dict[str, Package] = {}
    notices: list[str] = []
    queries: dict[str, Query] = {query.key: query for query in plan.queries}
    for place, package in view.packages.items():
        override = override_of(package, overrides)
        if override is None:
            packages[place] = package
            continue
        found = _file(package, override, completions)
        if not isinstance(found, RemoteFile):
            queries[found.key] = found
            continue
        packages[place] = _changed(package, override, found)
        if found != package.file:
            replaced[place] = packages[place]
        if (
            override.changes.variables
            and view.scripts.places is not None
            and place not in view.scripts.places
        ):
            notices.append(
                f"{override.origin}: {package.name} has no install scripts, so its build settings do nothing"
            )
    scripts = view.scripts
    if scripts.places is not None:
        more = [place for place, each in packages.items() if place in replaced or _decides(each)]
        scripts = replace(scripts, places=tuple(dict.fromkeys((*scripts.places, *more))))
    changed = replace(
        view,
        packages=packages,
        scripts=scripts,
        reread=tuple(replaced) if view.manifests is None else (),
        hidden_lock=_hidden_lock(view.hidden_lock, replaced),
    )
    return replace(
        plan,
        view=changed,
        notices=(*plan.notices, *dict.fromkeys(notices)),
        queries=tuple(queries[key] for key in sorted(queries)),
    )


def _file(package: Package, override: Override, completions: Completions) -> RemoteFile | Query:
    if override.source is not None:
        return file_of_source(override, override.version or package.version, completions, package.file)
    if override.version in (None, package.version):
        return package.file
    query = NpmQuery(name=package.name, version=override.version or "")
    return next(iter(completions.get(query.key, ())), query)


def _changed(package: Package, override: Override, file: RemoteFile) -> Package:
    if file == package.file:
        # The lock's own patches (of pnpm and yarn) come first.
        patches = (*package.changes.patches, *override.changes.patches)
        changes = replace(override.changes, patches=patches)
        return replace(package, version=override.version or package.version, changes=changes)
    return replace(
        package,
        version=override.version or package.version,
        format="git-npm" if file.url.startswith("git+") else "npm",
        file=file,
        # Its own package.json says which of its files are commands.
        manifests=tuple(sorted({*package.manifests, ""})),
        changes=override.changes,
    )


def _decides(package: Package) -> bool:
    return any(name in patch.text for patch in package.changes.patches for name in _DECIDING)


def _hidden_lock(text: str | None, replaced: Mapping[str, Package]) -> str | None:
    """What npm believes to be installed, with the other files and versions."""
    if text is None or not replaced:
        return text
    document = json.loads(text)
    for place, package in replaced.items():
        entry = document["packages"].get(place)
        if isinstance(entry, dict):
            entry |= {
                "version": package.version,
                "resolved": package.file.url,
                "integrity": package.file.hash.sri,
            }
    return json.dumps(document, indent=2) + "\n"
