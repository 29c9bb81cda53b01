"""What a failed phase left: the build directory as it is, kept to be looked into.

    layout.tmp/recipes/ID/build     the build directory
    layout.tmp/recipes/ID/out       the output, as far as it was made
    layout.tmp/recipes/ID/state     JSON: version, recipe, project, failed (the phase), key (of the state before it)

There is one for each recipe of a project: the next failure takes its place, a build that goes well removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.tree import remove

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A tree that is there. `failed` is the phase that failed, `key` names the checkpoint before it ("" for none)."""

    failed: str
    key: str


class KeptTree:
    """The place for the tree of one recipe of one project. Methods raise StoreError."""

    def __init__(self, layout: Layout, project: str, recipe: str) -> None:
        name = hashlib.sha256(os.fsencode(f"{project}\0{recipe}")).hexdigest()[:20]
        self._project = project
        self._recipe = recipe
        self.path = os.path.join(layout.tmp, "recipes", name)

    @property
    def build(self) -> str:
        return os.path.join(self.path, "build")

    @property
    def out(self) -> str:
        return os.path.join(self.path, "out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time."""
        with explaining("opening a failed build", self.path):
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def find(self) -> Kept | None:
        """What is there; None also for what is incomplete or damaged."""
        try:
            with open(os.path.join(self.path, "state"), encoding="utf-8") as file:
                state = json.load(file)
            if state["version"] != _VERSION or (state["project"], state["recipe"]) != (
                self._project,
                self._recipe,
            ):
                return None
            kept = Kept(failed=str(state["failed"]), key=str(state["key"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return kept if os.path.isdir(self.build) else None

    def keep(self, build: str, out: str, kept: Kept) -> None:
        """Move a build directory here, and the output if there is one. `self` must be locked."""
        with explaining("keeping a failed build in", self.path):
            remove(self.path)
            os.makedirs(self.path, 0o700)
            os.rename(build, self.build)
            if os.path.lexists(out):
                os.rename(out, self.out)
            state = {
                "version": _VERSION,
                "project": self._project,
                "recipe": self._recipe,
                "failed": kept.failed,
                "key": kept.key,
            }
            # Last: without it the rest is not believed.
            with open(os.path.join(self.path, "state"), "w", encoding="utf-8") as file:
                json.dump(state, file)

    def forget(self) -> None:
        """Remove what is there. `self` must be locked."""
        remove(self.path)
