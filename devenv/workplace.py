"""Where devenv works: how it was asked to, and the store and the network as one project sees them."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from devenv.config.model import Caches
from devenv.events import Reporter
from devenv.store.layout import Layout

if TYPE_CHECKING:
    from devenv.config.lock import LockedCrates
    from devenv.fetch.endpoints import Endpoints
    from devenv.fetch.http import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to work, from the command line and the environment.

    `jobs` None means one per processor. `substituters` None means the configured ones, `trusted_keys` are trusted
    beside the configured ones.
    """

    environ: Mapping[str, str]
    store_dir: str | None = None
    offline: bool = False
    jobs: int | None = None
    substituters: tuple[str, ...] | None = None
    trusted_keys: tuple[str, ...] = ()
    reporter: Reporter = field(default_factory=Reporter)


class Workplace:
    """The store and the network as one project, or none, sees them. Everything is made when first used."""

    def __init__(
        self,
        root: str,
        registries: Mapping[str, str],
        settings: Settings,
        caches: Caches | None = None,
        mirrors: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`registries`, `caches` and `mirrors` are those of the project's devenv.toml."""
        self.root = root
        self.registries = registries
        self.settings = settings
        self.caches = caches or Caches()
        self.mirrors = mirrors or {}
        self.cancelled = threading.Event()

    @cached_property
    def layout(self) -> Layout:
        return Layout.find(self.settings.store_dir, self.settings.environ)

    @cached_property
    def endpoints(self) -> Endpoints:
        from devenv.fetch.endpoints import Endpoints

        return Endpoints.load(
            project=self.root,
            environ=self.settings.environ,
            registries=self.registries,
            cache=self.layout.cache,
            offline=self.settings.offline,
            mirrors=self.mirrors,
            may_tell=self._may_tell,
        )

    def assume_crates(self, crates: LockedCrates) -> None:
        """Take what devenv.lock says for cargo's default registry, whatever cargo is or is not on PATH."""
        from devenv.fetch.cargo_default import DefaultRegistry

        self.endpoints.crates.assume_default(DefaultRegistry(locked=crates.default, sparse=crates.index))

    def _may_tell(self, key: str, value: str) -> bool:
        """Whether the user allowed this line of the project's .npmrc, which hands over a variable of theirs."""
        from devenv.trust import Trust
        from devenv.trust_request import secret_item

        return secret_item(key, value) in Trust(self.settings.environ).allowed_here(self.root)

    @cached_property
    def client(self) -> Client:
        from devenv.fetch.http import Client

        return Client(
            self.endpoints,
            environ=self.settings.environ,
            offline=self.settings.offline,
            cancelled=self.cancelled,
        )

    def cancel(self) -> None:
        """End all transfers at once. The client cannot be used any more."""
        self.cancelled.set()
        if "client" in self.__dict__:
            self.client.cancel()

    @property
    def jobs(self) -> int:
        return self.settings.jobs or len(os.sched_getaffinity(0))
