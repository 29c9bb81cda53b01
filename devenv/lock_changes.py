"""What became of devenv.lock, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devenv.config.lock import Lock

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase


def changes(before: Lock, after: Lock) -> list[str]:
    """A line for each toolchain, lockfile, pin, override and system package that is another than before."""
    lines = []
    old = {tool.name: tool.version for tool in before.toolchains}
    for tool in after.toolchains:
        if old.get(tool.name) != tool.version:
            lines.append(
                f"{tool.name} {old[tool.name]} -> {tool.version}"
                if tool.name in old
                else f"{tool.name} {tool.version}"
            )
    for path, entry in after.lockfiles.items():
        known = before.lockfiles.get(path)
        if known is None or known.sha256 != entry.sha256:
            lines.append(f"{path} {'changed' if known else 'added'}")
    pins = {(tree.url, tree.rev, tree.directory): tree.commit for tree in before.extends}
    for tree in after.extends:
        known_commit = pins.get((tree.url, tree.rev, tree.directory))
        if known_commit != tree.commit:
            was = f"{known_commit[:12]} -> " if known_commit else ""
            lines.append(f"{tree.url} {tree.rev} {was}{tree.commit[:12]}")
    for label in sorted(before.overrides.keys() | after.overrides.keys()):
        facts = after.overrides.get(label)
        if before.overrides.get(label) != facts:
            lines.append(
                f"{label} overridden: {', '.join(facts)}" if facts else f"{label} no longer overridden"
            )
    lines += _base_changes(before.base, after.base)
    answered = len(after.files.keys() - before.files.keys())
    if answered:
        lines.append(f"{answered} answers of the registries recorded")
    return lines


_MOST_CHANGES = 20


def _base_changes(before: LockedBase | None, after: LockedBase | None) -> list[str]:
    """What became of the system packages: a line in all, and one for each that has another version now."""
    if after is None or before == after:
        return []
    old = {deb.key: deb for deb in before.packages} if before else {}
    new = {deb.key: deb for deb in after.packages}
    size = sum(deb.size for deb in after.packages)
    changed = [key for key in new.keys() & old.keys() if old[key].version != new[key].version]
    head = f"{after.base}: {len(new)} packages, {size / 1e6:.0f} MB to fetch"
    if old:
        head += f" ({len(new.keys() - old.keys())} new, {len(changed)} changed, {len(old.keys() - new.keys())} gone)"
    lines = [f"{key} {old[key].version} -> {new[key].version}" for key in sorted(changed)]
    more = [f"and {len(lines) - _MOST_CHANGES} more"] if len(lines) > _MOST_CHANGES else []
    return [head, *lines[:_MOST_CHANGES], *more]
