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
from devenv.formats.missing_tools import missing_tools
from devenv.formats.npm_manifest import FAILED, MAX_SIZE, Manifest, parse_manifest, unfit
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
    failed, notices = _failures(view, trees)
    facts = view.manifests
    if facts is None:
        reread, odd = _reread(view, trees)
        return Settled(view=without(reread, failed), notices=(*odd, *notices))
    directories = _directories(view, facts, trees)
    manifests, faults = _read_all({place: at for place, at in directories.items() if place not in failed})
    dropped = _left_out(manifests, view, facts) | failed
    kept = {place: manifest for place, manifest in manifests.items() if not _lies_in(place, dropped)}
    bins = dict(view.bins)
    for place in sorted(kept, key=linking_order):
        files = partial(_files, directories[place])
        for command, file in kept[place].all_commands(files).items():
            bins.setdefault(command_place(place, command), f"{place}/{file}")
    packages = {place: package for place, package in view.packages.items() if place in kept}
    settled = replace(view, packages=packages, bins=dict(sorted(bins.items())), manifests=None)
    return Settled(view=settled, notices=(*faults, *notices))


def _reread(view: NodeModules, trees: Mapping[str, str]) -> tuple[NodeModules, list[str]]:
    """The view with the commands that packages of other versions than the lock's say that they have."""
    if not view.reread:
        return view, []
    manifests, faults = _read_all({place: trees[place] for place in view.reread})
    bins = {place: file for place, file in view.bins.items() if _owner(file, view) not in manifests}
    for place in sorted(manifests, key=linking_order):
        files = partial(_files, trees[place])
        for command, file in manifests[place].all_commands(files).items():
            bins.setdefault(command_place(place, command), f"{place}/{file}")
    return replace(view, bins=dict(sorted(bins.items()))), faults


def _failures(view: NodeModules, trees: Mapping[str, str]) -> tuple[set[str], tuple[str, ...]]:
    """The places that are left out because an optional package's install script failed, and sentences about them."""
    dropped: set[str] = set()
    notices = []
    for place, others in view.scripts.optional.items():
        failure = _failure(trees.get(place, ""))
        if failure is not None:
            dropped |= {place, *others}
            named = f"{view.packages[place].name}@{view.packages[place].version}"
            notices.append(
                f"left out, because it is optional and its install script failed: {named} ({failure})"
            )
    return dropped, tuple(notices)


def _failure(tree: str) -> str | None:
    """How the install script of an optional package failed, None when it did not."""
    import json

    try:
        with open(f"{tree}/{FAILED}", encoding="utf-8", errors="replace") as file:
            found = json.loads(file.read(1 << 20))
        lines = [line.strip() for line in found["lines"] if line.strip()]
        advice = missing_tools(lines)
        said = advice or next((line for line in reversed(lines) if line.isprintable()), "it printed nothing")
        text = f"{found['event']} {found['how']}: {said}"
        return text if text.isprintable() else "what it printed cannot be shown"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its result cannot be read"


def without(view: NodeModules, dropped: set[str]) -> NodeModules:
    """The view without these places and what lies inside them; npm's hidden lock too must not name them."""
    if not dropped:
        return view
    packages = {place: each for place, each in view.packages.items() if not _lies_in(place, dropped)}
    bins = {place: file for place, file in view.bins.items() if not _lies_in(_owner(file, view), dropped)}
    links = {place: to for place, to in view.links.items() if not _lies_in(place, dropped)}
    hidden = view.hidden_lock
    if hidden is not None:
        import json

        document = json.loads(hidden)
        document["packages"] = {
            place: entry for place, entry in document["packages"].items() if not _lies_in(place, dropped)
        }
        hidden = json.dumps(document, indent=2) + "\n"
    return replace(view, packages=packages, bins=bins, links=links, hidden_lock=hidden)


def _owner(file: str, view: NodeModules) -> str:
    """The place of the package that a file in it belongs to, as far as the view knows."""
    while file and file not in view.packages and file not in view.links:
        file = file.rpartition("/")[0]
    return file


def has_scripts(tree: str, platform: Mapping[str, str]) -> bool | None:
    """Whether npm runs scripts of an unpacked package on a platform; None where it is not unpacked.

    What its package.json does not say well enough to be understood does not count.
    """
    try:
        with open(f"{tree}/package.json", "rb") as file:
            manifest = parse_manifest(file.read(MAX_SIZE + 1), "package")
    except FileNotFoundError:
        return False if os.path.isdir(tree) else None
    except (OSError, FormatError):
        return False
    fields = {"os": manifest.os, "cpu": manifest.cpu, "libc": manifest.libc}
    if unfit(fields, platform) is not None:
        return False
    compiles = manifest.builds_gyp and os.path.lexists(f"{tree}/binding.gyp")
    return manifest.install_scripts or compiles


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


def _name(place: str) -> str:
    return place.rpartition(f"{MODULES}/")[2]


def _label(place: str, manifest: Manifest) -> str:
    """The package's own name and version, as far as they can be shown."""
    name, version = (
        text if text and text.isprintable() else None for text in (manifest.name, manifest.version)
    )
    return f"{name or _name(place)}@{version}" if version else name or _name(place)
