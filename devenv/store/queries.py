"""Questions about what is in a store. They change nothing and wait for nobody: the database alone answers.

Lists are in the order of Nix's: what a path refers to comes before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from devenv.errors import raise_problems
from devenv.formats.errors import FormatError
from devenv.formats.store_path import StorePath
from devenv.store.collect import DEFAULT_POLICY, Policy
from devenv.store.database import Database, PathInfo
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.layout import Layout
from devenv.store.objects import (
    Objects,
    closure,
    references_first,
    referrers_closure,
    size_of,
    tree_lines,
)
from devenv.store.root_search import Root, RootSearch, roots_of

_LINKS_FOLLOWED = 40  # as the kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is registered about a path. `closure_size`: bytes of the NARs of all that it needs, itself included.

    registered: seconds since 1970; signatures: as "name:base64"
    """

    info: PathInfo
    closure_size: int
    registered: int
    signatures: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """In the words of `nix path-info --json`; what is absent is left out."""
        info = self.info
        found: dict[str, Any] = {
            "path": info.path,
            "narHash": info.nar_hash.sri,
            "narSize": info.nar_size,
            "closureSize": self.closure_size,
            "references": list(info.references),
            "registrationTime": self.registered,
        }
        if info.deriver is not None:
            found["deriver"] = info.deriver
        if info.content_address is not None:
            found["ca"] = info.content_address
        if info.ultimate:
            found["ultimate"] = True
        if self.signatures:
            found["signatures"] = list(self.signatures)
        return found


class Queries:
    """An open database, to be asked. Every path given must be registered, else `StoreError`."""

    def __init__(self, layout: Layout, database: Database) -> None:
        self._layout = layout
        self._database = database

    def require(self, paths: Iterable[StorePath]) -> None:
        """Raise `StoreError` for each path that is not registered."""
        wanted = list(dict.fromkeys(paths))
        valid = self._database.valid_paths(wanted)
        raise_problems(_not_there(path) for path in wanted if path not in valid)

    def references(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """What these paths refer to directly, themselves where they do."""
        wanted = self._required(paths)
        objects = self._database.objects(wanted)
        return references_first(objects, {each for path in wanted for each in objects[path].references})

    def requisites(self, paths: Iterable[StorePath], *, with_outputs: bool = False) -> list[StorePath]:
        """These paths and all that they refer to; of derivations among them also the outputs that are valid."""
        wanted = self._required(paths)
        objects = self._database.objects(None if with_outputs else wanted)
        found = closure(objects, wanted)
        while with_outputs:
            more = {out for path in found for out in objects[path].outputs.values() if out in objects}
            if more <= found:
                break
            found |= closure(objects, more)
        return references_first(objects, found)

    def referrers(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """Who refers directly to one of these paths."""
        found = self._database.referrers(self._required(paths))
        return references_first(self._database.objects(found), found)

    def referrers_closure(self, paths: Iterable[StorePath]) -> list[StorePath]:
        """These paths and all that need one of them."""
        wanted = self._required(paths)
        objects = self._database.objects()
        return references_first(objects, referrers_closure(objects, wanted))

    def deriver(self, path: StorePath) -> StorePath | None:
        """The derivation that made `path`, valid or not."""
        return self.info(path).deriver

    def outputs(self, path: StorePath) -> dict[str, StorePath]:
        """The outputs of a derivation by name, valid or not. Raises StoreError."""
        self.require([path])
        if not path.endswith(".drv"):
            raise StoreError(
                f"asking for the outputs of {path}: it is not a derivation",
                hint="`devenv store query --deriver` names the derivation that made a path.",
                path=path,
            )
        return self._database.derivation_outputs(path)

    def tree(self, path: StorePath) -> list[str]:
        """Lines that draw the references of `path` as a tree."""
        self.require([path])
        return tree_lines(self._database.objects([path]), path)

    def roots(self, paths: Iterable[StorePath], policy: Policy = DEFAULT_POLICY) -> list[Root]:
        """The roots that keep one of these paths alive."""
        wanted = self._required(paths)
        objects = self._database.objects()
        return sorted(roots_of(objects, self._all_roots(objects), wanted, policy))

    def all_roots(self) -> list[Root]:
        """Every root of the store that leads to something registered."""
        return sorted(self._all_roots(self._database.objects()))

    def _all_roots(self, objects: Objects) -> set[Root]:
        search = RootSearch(self._layout, objects)
        search.links()
        search.processes()
        for _ in search.temporary(tidy=False):
            pass
        return search.roots

    def info(self, path: StorePath) -> PathInfo:
        """What is registered about `path`. Raises StoreError where it is not valid."""
        found = self._database.info(path)
        if found is None:
            raise _not_there(path)
        return found

    def describe(self, paths: Iterable[StorePath]) -> list[Described]:
        """About each of these paths all that is known."""
        wanted = self._required(paths)
        objects = self._database.objects(wanted)
        signatures = self._database.signatures(wanted)
        return [
            Described(
                info=self.info(path),
                closure_size=size_of(objects, closure(objects, [path])),
                registered=objects[path].registered,
                signatures=signatures[path],
            )
            for path in wanted
        ]

    def objects(self, paths: Iterable[StorePath]) -> Objects:
        """These paths and all that they refer to."""
        return self._database.objects(self._required(paths))

    def all_paths(self) -> list[StorePath]:
        """Everything registered, sorted."""
        return sorted(self._database.objects())

    def _required(self, paths: Iterable[StorePath]) -> list[StorePath]:
        wanted = list(dict.fromkeys(paths))
        self.require(wanted)
        return wanted


def _not_there(path: str) -> StoreError:
    return StoreError(f"{path} is not in the store", path=path)


@contextmanager
def asking(layout: Layout) -> Iterator[Queries]:
    """The store's database, open for questions. Raises `StoreError` where there is no store."""
    if not os.path.exists(layout.database):
        raise StoreError(
            f"there is no store at {shown(layout.store)}",
            hint="`devenv enter` in a project makes one; another is named with --store-dir or DEVENV_STORE_DIR.",
            path=layout.store,
        )
    with closing(Database(layout.database)) as database:
        yield Queries(layout, database)


def find_path(layout: Layout, text: str) -> StorePath:
    """The store path that a person means by `text`: a path in the store, or below an object of it, or a link there.

    The last 32 characters and name alone will do as well. Raises `StoreError`.
    """
    store = f"{layout.store}/"
    with explaining("looking for", text):
        if "/" not in text and not os.path.lexists(text):
            text = store + text
        path = os.path.abspath(text)
        for _ in range(_LINKS_FOLLOWED):
            if path.startswith(store):
                break
            path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            if path.startswith(store) or not os.path.islink(path):
                break
            path = os.path.abspath(os.path.join(os.path.dirname(path), os.readlink(path)))
    try:
        return layout.store_dir.parse(
            store + path[len(store) :].split("/", 1)[0] if path.startswith(store) else path
        )
    except FormatError as error:
        raise StoreError(
            f"{shown(text)} is not in the store {shown(layout.store)}",
            hint="Name a path in the store, or a link to one such as .devenv/env.",
            path=text,
        ) from error
