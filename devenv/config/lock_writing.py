"""Writes devenv.lock, whose form `devenv.config.lock` describes: equal locks give equal text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from devenv.config.lock import Lock, LockedLockfile, LockedToolchain, LockedTree

if TYPE_CHECKING:
    from devenv.adapter import Completions, RemoteFile
    from devenv.debian.locked import LockedBase


def dump_lock(lock: Lock) -> str:
    """Write a devenv.lock: equal locks give equal text."""
    toolchains = [
        _inline(_toolchain_json(toolchain)) for toolchain in sorted(lock.toolchains, key=lambda t: t.name)
    ]
    parts = [
        f'"version": {lock.version}',
        f'"requests": {_block(_members(lock.requests))}',
        f'"lockfiles": {_block(_members({p: _lockfile_json(f) for p, f in lock.lockfiles.items()}))}',
        f'"toolchains": {_block(toolchains, "[]")}',
        f'"files": {_block(_file_members(lock.files))}',
    ]
    if lock.base is not None:
        parts.append(f'"base": {_block(_base_members(lock, lock.base))}')
    if lock.crates is not None:
        parts.append(f'"crates": {_inline({"default": lock.crates.default, "index": lock.crates.index})}')
    if lock.extends:
        trees = sorted(lock.extends, key=lambda tree: (tree.url, tree.rev, tree.directory))
        parts.append(f'"extends": {_block([_inline(_tree_json(tree)) for tree in trees], "[]")}')
    if lock.overrides:
        members = _members({label: dict(sorted(facts.items())) for label, facts in lock.overrides.items()})
        parts.append(f'"overrides": {_block(members)}')
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def _inline(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _members(found: Mapping[str, object]) -> list[str]:
    return [f"{_inline(name)}: {_inline(found[name])}" for name in sorted(found)]


def _file_members(files: Completions) -> list[str]:
    """One line for each file. The order of the files is kept: it is the registry's answer."""
    lines = []
    for key in sorted(files):
        texts = [_inline(_file_json(file)) for file in files[key]]
        body = f"[{''.join(texts)}]" if len(texts) < 2 else _block(texts, "[]", indent="    ")
        lines.append(f"{_inline(key)}: {body}")
    return lines


def _block(lines: list[str], brackets: str = "{}", indent: str = "  ") -> str:
    if not lines:
        return brackets
    inner = f",\n{indent}  ".join(lines)
    return f"{brackets[0]}\n{indent}  {inner}\n{indent}{brackets[1]}"


def _file_json(file: RemoteFile) -> dict[str, object]:
    found: dict[str, object] = {
        "file_name": file.file_name,
        "url": file.url,
        "hash": f"{file.hash.algorithm}:{file.hash.digest.hex()}",
    }
    if file.size is not None:
        found["size"] = file.size
    if file.needs:
        found["needs"] = list(file.needs)
    if file.system:
        found["system"] = file.system
    if file.crate:
        found["crate"] = file.crate
    return found


def _tree_json(tree: LockedTree) -> dict[str, object]:
    return {
        "git": tree.url,
        "rev": tree.rev,
        "directory": tree.directory,
        "commit": tree.commit,
        "hash": f"{tree.hash.algorithm}:{tree.hash.digest.hex()}",
        "files": dict(sorted(tree.files.items())),
    }


def _toolchain_json(toolchain: LockedToolchain) -> dict[str, object]:
    return {
        "name": toolchain.name,
        "request": toolchain.request,
        "version": toolchain.version,
        "files": {platform: _file_json(toolchain.files[platform]) for platform in sorted(toolchain.files)},
    }


def _base_members(lock: Lock, base: LockedBase) -> list[str]:
    def listed(key: str, entries: list[str]) -> str:
        return f'"{key}": {_block(entries, "[]", indent="    ")}'

    further = [
        listed(key, [_inline(name) for name in sorted(names)])
        for key, names in (("added", lock.added), ("outside", lock.outside))
        if names
    ]
    return [
        f'"name": {_inline(base.base)}',
        f'"architecture": {_inline(base.architecture)}',
        listed("requests", [_inline(name) for name in sorted(lock.system)]),
        *further,
        listed("suites", [_inline(state._asdict()) for state in base.suites]),
        listed("packages", [_inline(deb._asdict()) for deb in base.packages]),
    ]


def _lockfile_json(entry: LockedLockfile) -> dict[str, object]:
    options = entry.options
    found: dict[str, object] = {"ecosystem": entry.ecosystem, "sha256": entry.sha256}
    if entry.siblings:
        found["siblings"] = dict(sorted(entry.siblings.items()))
    if options.omit:
        found["omit"] = sorted(options.omit)
    if options.extras:
        found["extras"] = sorted(set(options.extras))
    if options.system:
        found["system"] = sorted(set(options.system))
    if options.groups is not None:
        found["groups"] = sorted(set(options.groups))
    return found
