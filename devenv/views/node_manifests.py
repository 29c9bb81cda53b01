"""What an old npm lock leaves to the packages themselves, read from them once they are unpacked.

A lock of version 1 says where packages lie, not which commands they have nor which platforms they fit. The packages'
own package.json complete the view: the links of .bin, and which optional packages are left out here, each with
what only it needs. Equal store objects give an equal view, so its recipe need not hold what is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from devenv.adapter import ManifestFacts, NodeModules
from devenv.errors import raise_problems
from devenv.formats.errors import FormatError
from devenv.formats.npm_manifest import MAX_SIZE, Manifest, parse_manifest, unfit
from devenv.formats.npm_places import (
    MODULES,
    Edge,
    command_place,
    enclosing,
    linking_order,
    optional_set,
    resolve,
)
from devenv.views.operations import ViewError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A view that needs no manifests any more, and lines for people about what they said."""

    view: NodeModules
    notices: tuple[str, ...] = ()


def settle(view: NodeModules, trees: Mapping[str, str]) -> Settled:
    """Complete a view by the manifests of its packages; one that is complete stays as it is.

    `trees`: place -> directory of the unpacked package. Raises `ViewError`, or `Problems` of them, for packages that
    are needed and do not fit the platform.
    """
    facts = view.manifests
    if facts is None:
        return Settled(view=view)
    directories = _directories(view, facts, trees)
    manifests, faults = _read_all(directories)
    dropped = _left_out(manifests, view, facts)
    kept = {place: manifest for place, manifest in manifests.items() if not _lies_in(place, dropped)}
    bins = dict(view.bins)
    for place in sorted(kept, key=linking_order):
        files = partial(_files, directories[place])
        for command, file in kept[place].all_commands(files).items():
            bins.setdefault(command_place(place, command), f"{place}/{file}")
    packages = {place: package for place, package in view.packages.items() if place in kept}
    settled = replace(view, packages=packages, bins=dict(sorted(bins.items())), manifests=None)
    return Settled(view=settled, notices=(*faults, *_script_notice(kept, directories)))


def _directories(view: NodeModules, facts: ManifestFacts, trees: Mapping[str, str]) -> dict[str, str]:
    """Where each package lies in the store, those too that others carry."""
    found = {place: trees[place] for place in view.packages}
    for place in facts.bundled:
        owner = place
        while owner and owner not in view.packages:
            owner = enclosing(owner) if MODULES in owner.split("/") else ""
        if owner:
            found[place] = f"{trees[owner]}/{place[len(owner) + 1 :]}"
    return found


def _read_all(directories: Mapping[str, str]) -> tuple[dict[str, Manifest], list[str]]:
    """The manifest of each place, and sentences about those that cannot be read, which say nothing."""
    read: dict[str, Manifest] = {}
    faults: dict[str, None] = {}
    found = {}
    for place, directory in directories.items():
        if directory not in read:
            read[directory] = Manifest()
            try:
                with open(f"{directory}/package.json", "rb") as file:
                    read[directory] = parse_manifest(file.read(MAX_SIZE + 1), _name(place))
            except FileNotFoundError:
                faults[f"{place} has no package.json, so no commands of it are linked"] = None
            except (OSError, FormatError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                faults[
                    f"{place}: its package.json cannot be read, so its commands are not linked: {reason}"
                ] = None
        found[place] = read[directory]
    return found, list(faults)


def _left_out(manifests: Mapping[str, Manifest], view: NodeModules, facts: ManifestFacts) -> set[str]:
    """The places of optional packages that do not fit, and of what only they need."""
    inward: dict[str, list[Edge]] = {}
    outward: dict[str, list[Edge]] = {}
    for edge in _edges(manifests, view, facts):
        inward.setdefault(edge.target, []).append(edge)
        outward.setdefault(edge.source, []).append(edge)
    optional = set(facts.optional)
    dropped: set[str] = set()
    problems = []
    for place, manifest in sorted(manifests.items()):
        fields = {"os": manifest.os, "cpu": manifest.cpu, "libc": manifest.libc}
        reason = unfit(fields, facts.platform)
        if reason is None or place in dropped:
            continue
        if place in optional:
            dropped |= optional_set(place, inward, outward, dropped)
        elif place in view.packages:
            problems.append(
                ViewError(
                    f"{place} ({_label(place, manifest)}) is required but only for {reason}",
                    hint="Make it an optional dependency, or omit what needs it.",
                )
            )
    raise_problems(problems)
    return dropped


def _edges(manifests: Mapping[str, Manifest], view: NodeModules, facts: ManifestFacts) -> Iterator[Edge]:
    """What needs what. Of two kinds of one dependency the optional one counts."""
    places = {*manifests, *view.links}
    for place in facts.asked:
        yield Edge("", place, False)
    for place, manifest in manifests.items():
        needed = manifest.dependencies | (manifest.peer_dependencies - manifest.optional_peers)
        optional = manifest.optional_dependencies | (manifest.optional_peers - manifest.dependencies)
        for name in needed | optional:
            target = resolve(place, name, places)
            if target is not None:
                yield Edge(place, target, name in optional)


def _lies_in(place: str, dropped: set[str]) -> bool:
    """Whether a place, or one that it lies inside, is left out."""
    while place not in dropped:
        if MODULES not in place.split("/"):
            return False
        place = enclosing(place)
    return True


def _files(root: str, directory: str) -> list[str]:
    """The names of the files in a directory of a package."""
    try:
        with os.scandir(f"{root}/{directory}") as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []


def _script_notice(manifests: Mapping[str, Manifest], directories: Mapping[str, str]) -> list[str]:
    names = {
        _label(place, manifest)
        for place, manifest in manifests.items()
        if manifest.install_scripts
        or (manifest.builds_gyp and os.path.lexists(f"{directories[place]}/binding.gyp"))
    }
    return [f"install scripts are not run: {', '.join(sorted(names))}"] if names else []


def _name(place: str) -> str:
    return place.rpartition(f"{MODULES}/")[2]


def _label(place: str, manifest: Manifest) -> str:
    """The package's own name and version, as far as they can be shown."""
    name, version = (
        text if text and text.isprintable() else None for text in (manifest.name, manifest.version)
    )
    return f"{name or _name(place)}@{version}" if version else name or _name(place)
