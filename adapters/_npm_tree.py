"""Which entries of an npm lock are installed on a platform.

npm decides it on the graph of dependencies, which a lock does not hold: an edge leads from a package to
what `require` would find from its place, climbing the node_modules directories. An optional package
that the platform does not fit is left out with everything that only it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from devenv.adapter import AdapterError, Target
from devenv.adapters._fields import Faults
from devenv.adapters._npm_lock import Entry, Lock
from devenv.formats import npm_places
from devenv.formats.npm_manifest import unfit
from devenv.formats.npm_places import MODULES, Edge, optional_set
from devenv.formats.semver import Range, SemverError, Version

# Node's names of the platforms, by uname's.
_MACHINES = {
    "x86_64": "x64",
    "aarch64": "arm64",
    "i686": "ia32",
    "i386": "ia32",
    "armv6l": "arm",
    "armv7l": "arm",
    "ppc64le": "ppc64",
    "loongarch64": "loong64",
}


class Tree:
    """A lock as the graph that npm sees: `outward` and `inward` edges by place."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.targets = lock.link_targets()
        self.outward: dict[str, list[Edge]] = {}
        self.inward: dict[str, list[Edge]] = {}
        for place, entry in lock.entries.items():
            if entry.link:
                continue
            for name, (optional, spec) in self._wanted(entry).items():
                target = self.resolve(place, name)
                if target is not None:
                    edge = Edge(place, target, optional, spec)
                    self.outward.setdefault(place, []).append(edge)
                    self.inward.setdefault(target, []).append(edge)

    def resolve(self, place: str, name: str) -> str | None:
        """The place that `name` is found at from `place`, as require climbs."""
        return npm_places.resolve(place, name, self.lock.entries)

    def _wanted(self, entry: Entry) -> Mapping[str, tuple[bool, str]]:
        """Name -> (is optional, spec) of all that an entry depends on. Of two kinds the later one counts."""
        wanted: dict[str, tuple[bool, str]] = {}
        for name, spec in entry.peer_dependencies.items():
            wanted[name] = (name in entry.optional_peers, spec)
        wanted.update((name, (False, spec)) for name, spec in entry.dependencies.items())
        wanted.update((name, (True, spec)) for name, spec in entry.optional_dependencies.items())
        if entry.place == "" or entry.place in self.targets:
            wanted.update((name, (False, spec)) for name, spec in entry.dev_dependencies.items())
        if entry.place == "" and entry.workspaces:
            links = (e for e in self.lock.entries.values() if e.link and e.enclosing == "")
            wanted.update((e.place[len(MODULES) + 1 :], (False, f"file:{e.resolved}")) for e in links)
        return wanted

    def flags(self, entry: Entry) -> Entry:
        """The entry that carries the flags: a link has those of its target."""
        return self.lock.entries[entry.resolved or ""] if entry.link and entry.resolved else entry


def installed(tree: Tree, target: Target, omit: frozenset[str]) -> list[Entry]:
    """The placed entries, links too, that npm would install, in the lock's order.

    Raises `AdapterError` for a required package that the platform does not fit.
    """
    faults = Faults()
    dropped: set[str] = set()
    for place, entry in tree.lock.entries.items():
        flagged = tree.flags(entry)
        other_node = flagged.optional and not entry.link and _wants_other_node(flagged, target)
        if not place or place in dropped or (fits(flagged, target) and not other_node):
            continue
        if flagged.optional:
            dropped |= optional_set(place, tree.inward, tree.outward, dropped)
        elif not entry.link and not omitted(flagged, omit):
            faults.add(_misfit(tree.lock, entry, target))
    faults.report()
    dropped |= {place for place, e in tree.lock.entries.items() if place and omitted(tree.flags(e), omit)}
    return [
        e for e in tree.lock.entries.values() if e.is_placed and not e.outside and _kept(e, tree, dropped)
    ]


def _kept(entry: Entry, tree: Tree, dropped: set[str]) -> bool:
    """Neither left out, nor inside what is left out, nor a remnant in a directory that no link leads to."""
    place = entry.place
    while place not in dropped:
        parts = place.split("/")
        if MODULES not in parts:
            return place == "" or place in tree.targets
        place = "/".join(parts[: len(parts) - 1 - parts[::-1].index(MODULES)])
    return False


def omitted(entry: Entry, omit: frozenset[str]) -> bool:
    """Whether npm's --omit leaves the entry out: see "omit" in npm's config(7)."""
    return (
        (entry.peer and "peer" in omit)
        or (entry.dev and "dev" in omit)
        or (entry.optional and "optional" in omit)
        or (entry.dev_optional and {"dev", "optional"} <= omit)
    )


def node_names(target: Target) -> tuple[str, str, str]:
    """Node's words for a platform: process.platform, process.arch, libc."""
    return target.system, _MACHINES.get(target.machine, target.machine), target.libc


def fits(entry: Entry, target: Target) -> bool:
    """Whether `os`, `cpu` and `libc` of an entry allow the platform."""
    return _unfit(entry, target) is None


def _wants_other_node(entry: Entry, target: Target) -> bool:
    """Whether `engines` rule out the project's Node; npm then leaves optional packages out, and warns of others."""
    wanted = entry.engines.get("node")
    if wanted is None or target.node_version is None:
        return False
    try:
        return not Range.parse(wanted).accepts(Version.parse(target.node_version))
    except SemverError:
        return True


def _unfit(entry: Entry, target: Target) -> str | None:
    fields = {"os": entry.os, "cpu": entry.cpu, "libc": entry.libc}
    return unfit(fields, dict(zip(fields, node_names(target), strict=True)))


def _misfit(lock: Lock, entry: Entry, target: Target) -> AdapterError:
    words = _unfit(entry, target) or ""
    return lock.fault(
        entry.place,
        words.partition(" ")[0],
        f"{entry.label} is required but only for {words}",
        hint="Make it an optional dependency, or omit what needs it.",
    )
