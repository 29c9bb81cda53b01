"""Checking a store: is everything registered there, unchanged, and does it fit together?

Nothing is changed here; `devenv.repair` does that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from devenv.events import Finished, Planned, Reporter, Started
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, name_of
from devenv.store.hashing import Measured, measure
from devenv.store.local import Store
from devenv.store.objects import Facts, Objects, size_of


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong. `path` is None for the database as a whole.

    missing: not on the disk; modified: other contents than registered; unreadable: the disk or permissions refuse
    claim: its path does not follow from its contents although it says so; record: what is registered is nonsense
    """

    kind: Literal["missing", "modified", "unreadable", "claim", "record"]
    path: StorePath | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found: how many paths and bytes of NARs were checked, and all that is wrong."""

    checked: int
    size: int
    damages: tuple[Damage, ...]

    @property
    def damaged_paths(self) -> set[StorePath]:
        return {damage.path for damage in self.damages if damage.path is not None}


def verify(
    store: Store,
    paths: Collection[StorePath] | None = None,
    *,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Verified:
    """Check everything in the store, or only `paths`, which are registered. Raises `StoreError`."""
    reporter = reporter or Reporter()
    objects = store.objects()
    chosen = sorted(objects if paths is None else set(paths) & objects.keys())
    damages = [Damage("record", None, text) for text in store.database_complaints()]
    sizes: dict[StorePath, int] = {}
    for path in chosen:
        damages += _check_record(store.store_dir, path, objects[path])
        if os.path.lexists(path):
            sizes[path] = objects[path].size
        else:
            damages.append(Damage("missing", path, f"{path} is registered and does not exist"))
    reporter.event(Planned(kind="verify", count=len(sizes), size=size_of(objects, sizes)))
    damages += _check_contents(objects, sizes, jobs, reporter)
    return Verified(
        checked=len(chosen),
        size=size_of(objects, chosen),
        damages=tuple(sorted(damages, key=lambda damage: (damage.path or "", damage.kind))),
    )


def _check_record(store_dir: StoreDir, path: StorePath, facts: Facts) -> Iterator[Damage]:
    try:
        store_dir.parse(path)
        Hash.parse_typed(facts.nar_hash)
        claimed = _claimed_path(store_dir, path, facts)
    except FormatError as error:
        yield Damage("record", path, f"what is registered about {path} is nonsense: {error}")
        return
    if claimed is not None and claimed != path:
        yield Damage("claim", path, f"{path} claims to be {facts.content_address}, which is {claimed}")


def _claimed_path(store_dir: StoreDir, path: StorePath, facts: Facts) -> StorePath | None:
    """The path that follows from the content address, None where there is none."""
    if facts.content_address is None:
        return None
    kind, _, rest = facts.content_address.partition(":")
    others = [reference for reference in facts.references if reference != path]
    name = name_of(path)
    if kind == "text":
        return store_dir.text_path(name, Hash.parse_typed(rest), others)
    recursive = rest.startswith("r:")
    digest = Hash.parse_typed(rest.removeprefix("r:"))
    if kind != "fixed":
        raise FormatError(f"{facts.content_address!r} is no content address")
    if recursive and digest.algorithm == "sha256":
        return store_dir.source_path(name, digest, others, self_reference=path in facts.references)
    return store_dir.fixed_path(name, digest, recursive)


def _check_contents(
    objects: Objects, sizes: dict[StorePath, int], jobs: int, reporter: Reporter
) -> Iterator[Damage]:
    for found in measure(sizes, jobs):
        path = found.path
        reporter.event(Started(kind="verify", key=path, label=name_of(path), size=sizes[path]))
        damage = _compare(objects[path], found)
        reporter.event(Finished(key=path, failed=damage is not None))
        if damage is not None:
            yield damage


def _compare(facts: Facts, found: Measured) -> Damage | None:
    path = found.path
    if found.error is not None:
        return Damage("unreadable", path, f"{path} cannot be checked: {found.error}")
    try:
        expected = Hash.parse_typed(facts.nar_hash).hex
    except FormatError:
        return None  # said already
    if expected != found.nar_hash:
        return Damage(
            "modified",
            path,
            f"{path} was modified: its hash is sha256:{found.nar_hash}, not sha256:{expected}",
        )
    if facts.size and facts.size != found.nar_size:
        return Damage(
            "record", path, f"{path} is registered with {facts.size} bytes and has {found.nar_size}"
        )
    return None
