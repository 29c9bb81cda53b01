"""Whether devenv.lock still fits what it was made of: devenv.toml and the lockfiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from devenv.adapter import Options
from devenv.config.lock import Lock, LockedLockfile

if TYPE_CHECKING:
    from devenv.config.model import Config, LockfileConfig


def stale_reasons(lock: Lock, config: Config, hashes: Mapping[str, str]) -> list[str]:
    """Why `lock` no longer fits, one sentence each; empty when it does.

    `config` has its lockfiles found already: no `path` of `config.lockfiles` is None. `hashes` holds the
    SHA-256 in hexadecimal of every one of them and of their siblings, by path relative to the project.
    """
    reasons = [
        *_stale_requests(lock.requests, config.packages),
        *_stale_system(lock, config),
        *_stale_overrides(lock, config),
    ]
    current = {entry.path: entry for entry in config.lockfiles if entry.path is not None}
    for path in sorted(current.keys() | lock.lockfiles.keys()):
        if path not in lock.lockfiles:
            reasons.append(f"{path} is new")
        elif path not in current:
            reasons.append(f"{path} is no longer used")
        else:
            reasons += _stale_lockfile(path, lock.lockfiles[path], current[path], hashes)
    return list(dict.fromkeys(reasons))


def _stale_requests(locked: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    reasons = []
    for name in sorted(locked.keys() | wanted.keys()):
        if name not in locked:
            reasons.append(f'packages.{name} = "{wanted[name]}" is new')
        elif name not in wanted:
            reasons.append(f'packages.{name} is gone, devenv.lock has "{locked[name]}"')
        elif locked[name] != wanted[name]:
            reasons.append(f'packages.{name} is "{wanted[name]}", devenv.lock has "{locked[name]}"')
    return reasons


def _stale_system(lock: Lock, config: Config) -> list[str]:
    if not config.uses_base:
        return ["packages.system is gone, devenv.lock has packages of a base"] if lock.base else []
    if lock.base is None:
        return [f"packages.system is new, {len(config.system)} of {config.base}"] if config.system else []
    reasons = []
    if lock.base.base != config.base:
        reasons.append(f'base is "{config.base}", devenv.lock has "{lock.base.base}"')
    more = [name for name in config.system if name not in lock.system]
    fewer = [name for name in lock.system if name not in config.system]
    if more:
        reasons.append(f"packages.system asks for {', '.join(more)}, which devenv.lock lacks")
    if fewer:
        reasons.append(f"packages.system no longer asks for {', '.join(fewer)}")
    return reasons


def _stale_overrides(lock: Lock, config: Config) -> list[str]:
    reasons = []
    current = {override.label: override for override in config.overrides if override.facts()}
    for label in sorted(current.keys() | lock.overrides.keys()):
        if label not in current:
            reasons.append(f"{label} is no longer overridden")
        elif label not in lock.overrides:
            reasons.append(f"{label} is overridden now ({current[label].origin})")
        elif current[label].facts() != lock.overrides[label]:
            reasons.append(f"the override of {label} changed ({current[label].origin})")
    return reasons


def _stale_lockfile(
    path: str, locked: LockedLockfile, current: LockfileConfig, hashes: Mapping[str, str]
) -> list[str]:
    reasons = []
    for name, digest in {path: locked.sha256, **locked.siblings}.items():
        found = hashes.get(name)
        if found is None:
            reasons.append(f"{name} is gone since devenv.lock was written")
        elif found != digest:
            reasons.append(f"{name} changed since devenv.lock was written")
    changes = _option_changes(locked.options, current.options)
    if changes:
        reasons.append(f"options of {path} changed ({'; '.join(changes)})")
    return reasons


def _option_changes(before: Options, after: Options) -> list[str]:
    """The options that differ, with their present values: "groups: test, docs"."""
    changes = []
    if before.omit != after.omit:
        changes.append(f"omit: {', '.join(sorted(after.omit)) or 'nothing'}")
    if set(before.extras) != set(after.extras):
        changes.append(f"extras: {', '.join(after.extras) or 'none'}")
    if set(before.system) != set(after.system):
        changes.append(f"system: {', '.join(after.system) or 'nothing'}")
    before_groups = None if before.groups is None else set(before.groups)
    after_groups = None if after.groups is None else set(after.groups)
    if before_groups != after_groups:
        changes.append(
            "groups: the defaults" if after.groups is None else f"groups: {', '.join(after.groups) or 'none'}"
        )
    return changes
