"""Which packages of an npm tree have install scripts, and what they find around them when these run."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from devenv.adapter import InstallScripts, ScriptRules
from devenv.adapters._npm_lock import Entry
from devenv.adapters._npm_tree import Tree
from devenv.formats.npm_places import MODULES, enclosing, optional_set


def install_scripts(
    tree: Tree, present: Iterable[Entry], fetched: Collection[str], rules: ScriptRules
) -> InstallScripts:
    """Of the entries that are installed, those at `fetched` may have scripts; what others carry never has any run.

    A lock of version 1 does not say who has scripts; the packages do, once they are unpacked.
    """
    entries = {entry.place: entry for entry in present}
    unsaid = tree.lock.keys is not None
    having = [place for place, e in entries.items() if place in fetched and (unsaid or e.has_install_script)]
    running = [
        place for place in having if rules.of(entries[place].name, entries[place].version) is not False
    ]
    if not running:
        return InstallScripts(needs=_needs(tree, entries), rules=rules)
    optional = {}
    if not unsaid:
        for place in running:
            if entries[place].optional:
                optional[place] = tuple(
                    sorted(optional_set(place, tree.inward, tree.outward, set()) - {place})
                )
    else:
        optional = {place: () for place in running if entries[place].optional}
    return InstallScripts(
        places=None if unsaid else tuple(running),
        needs=_needs(tree, entries),
        optional=optional,
        rules=rules,
    )


def _needs(tree: Tree, entries: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What each place depends on. Who carries a package counts as needing it: it is in the same tarball."""
    found: dict[str, set[str]] = {}
    for place in entries:
        found.setdefault(place, set()).update(
            edge.target for edge in tree.outward.get(place, ()) if edge.target in entries
        )
        if tree.lock.entries[place].in_bundle and MODULES in place.split("/"):
            found.setdefault(enclosing(place), set()).add(place)
    return {place: tuple(sorted(targets)) for place, targets in found.items() if targets}


def refused_notice(present: Iterable[Entry], fetched: Collection[str], rules: ScriptRules) -> list[str]:
    """A line with the packages whose scripts devenv.toml forbids."""
    names = sorted(
        {
            entry.label
            for entry in present
            if entry.has_install_script
            and entry.place in fetched
            and rules.of(entry.name, entry.version) is False
        }
    )
    return [f"install scripts are not run: {', '.join(names)}"] if names else []
