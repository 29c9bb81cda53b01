"""A project directory: its configuration, lockfiles and devenv.lock, read once. Nothing here prints or asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from devenv.config.lock import Lock, LockedTree
from devenv.config.lock_reading import parse_lock
from devenv.config.lock_staleness import stale_reasons
from devenv.config.merging import choose_profiles
from devenv.config.model import Config, Extended
from devenv.config.toml import parse_config
from devenv.errors import DevenvError
from devenv.lockfiles import Lockfile, locate, read_all
from devenv.overrides.reading import with_files
from devenv.plugins import load_adapters
from devenv.store.layout import Layout
from devenv.workplace import Settings, Workplace

if TYPE_CHECKING:
    from devenv.config.overrides import Override
    from devenv.pinning import Pins

CONFIG_NAME = "devenv.toml"
LOCK_NAME = "devenv.lock"


class NoProject(DevenvError):
    """There is no devenv.toml where one was looked for."""


class StaleLock(DevenvError):
    """devenv.lock is missing or does not fit the project. `reasons` are sentences, one a change."""

    def __init__(self, reasons: list[str], *, missing: bool = False) -> None:
        head = f"{LOCK_NAME} does not exist yet" if missing else f"{LOCK_NAME} is stale"
        super().__init__("\n".join([head, *reasons]), hint="run `devenv lock` and commit the file")
        self.reasons = reasons
        self.missing = missing


class Project:
    """One project directory: its configuration, lockfiles and lock, read once.

    `sources` is where these are read, the project directory itself unless they are of another time. `given` are values of
    parameters, as texts, `profiles` the names of chosen ones. `extended` are the other files that the configuration came
    from, relative to the project, once that is read.
    """

    def __init__(
        self,
        root: str,
        settings: Settings,
        *,
        sources: str | None = None,
        given: Mapping[str, str] | None = None,
        profiles: tuple[str, ...] = (),
    ) -> None:
        self.root = root
        self.settings = settings
        self.sources = sources or root
        self.given = given or {}
        self.profiles = profiles
        self.pins: Pins | None = None  # while devenv.lock is being written
        self.extended: tuple[str, ...] = ()
        self.trees: list[LockedTree] = []

    @cached_property
    def config(self) -> Config:
        """devenv.toml with its lockfiles found. Raises ConfigError or Problems."""
        own = parse_config(_read(self.sources, CONFIG_NAME), CONFIG_NAME)
        whole = self._with_bases(own) if own.extends or own.members else locate(self.sources, own)
        whole = replace(whole, overrides=with_files(self.sources, whole.overrides))
        return choose_profiles(whole, self.profiles)

    def _with_bases(self, own: Config) -> Config:
        from devenv.derivations.graph import Graph
        from devenv.derivations.packages import git_node
        from devenv.extending import Extending

        layout = Layout.find(self.settings.store_dir, self.settings.environ)
        graph = Graph(layout.store_dir)
        extending = Extending(
            root=self.root,
            sources=self.sources,
            store=layout.store,
            pinned=self._pinned,
            tree_path=lambda tree: git_node(graph, tree.file).out,
        )
        config = extending.resolve(own)
        self.extended = tuple(extending.files)
        return config

    def _pinned(self, extended: Extended) -> LockedTree:
        """What devenv.lock says of a repository, which it is asked for where that is being written. Raises StaleLock."""
        wanted = (extended.git, extended.rev, extended.directory)
        if self.pins is not None:
            return self.pins.pin(extended)
        for tree in self.lock.extends if self.lock else ():
            if (tree.url, tree.rev, tree.directory) == wanted:
                self.trees.append(tree)
                return tree
        raise StaleLock(
            [f"{extended.git} is new ({extended.origin})"] if self.lock else [], missing=self.lock is None
        )

    def pin_anew(self, before: Lock, *, update: bool) -> Pins:
        """From now on ask repositories for what is not pinned in `before`. The configuration is read again."""
        from devenv.pinning import Pins

        # Without the registries of the configuration, which is not known before its repositories are.
        bare = Workplace(self.root, {}, self.settings)
        self.pins = Pins(lambda: bare.client, before.extends, update=update)
        for name in ("config", "lockfiles", "workplace"):
            self.__dict__.pop(name, None)
        return self.pins

    @cached_property
    def workplace(self) -> Workplace:
        config = self.config
        return Workplace(self.root, config.registries, self.settings, config.caches, config.mirrors)

    @cached_property
    def lockfiles(self) -> tuple[Lockfile, ...]:
        if not self.config.lockfiles:
            return ()
        found = read_all(self.sources, self.config.lockfiles, load_adapters())
        return tuple(
            replace(lockfile, overrides=overrides) if overrides else lockfile
            for lockfile in found
            for overrides in [self._overrides_of(lockfile)]
        )

    def _overrides_of(self, lockfile: Lockfile) -> tuple[Override, ...]:
        return tuple(each for each in self.config.overrides if each.ecosystem == lockfile.ecosystem)

    @cached_property
    def lock(self) -> Lock | None:
        """devenv.lock, None when there is none. Raises LockError."""
        try:
            return parse_lock(_read(self.sources, LOCK_NAME), LOCK_NAME)
        except NoProject:
            return None

    def adopt(self, lock: Lock) -> None:
        """Take this for devenv.lock, which it was just written to; from now on nothing is pinned anew."""
        self.lock, self.pins = lock, None
        self.trees = list(lock.extends)

    def stale_reasons(self) -> list[str]:
        """Why devenv.lock does not fit; empty when it does. A missing one has reasons too."""
        hashes: dict[str, str] = {}
        for lockfile in self.lockfiles:
            hashes.update(lockfile.hashes())
        reasons = stale_reasons(self.lock or Lock(), self.config, hashes)
        unused = [tree for tree in (self.lock.extends if self.lock else ()) if tree not in self.trees]
        return reasons + ([] if self.pins else [f"{tree.url} is no longer extended" for tree in unused])

    def current_lock(self) -> Lock:
        """devenv.lock if it fits the project. Raises StaleLock."""
        reasons = self.stale_reasons()
        if self.lock is None:
            raise StaleLock([], missing=True)
        if reasons:
            raise StaleLock(reasons)
        return self.lock


def _read(root: str, name: str) -> str:
    path = os.path.join(root, name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise NoProject(f"there is no {name} in {root}", hint="`devenv init` writes one") from None
    except UnicodeDecodeError as error:
        raise DevenvError(f"reading {path}: it is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise DevenvError(f"reading {path}: {error.strerror}") from error
