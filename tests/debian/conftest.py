"""Fixtures: servers with archives, and clients that know them and lose patience quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from devenv.debian.base import resolve
from devenv.debian.locked import LockedBase
from devenv.events import Event, Notice, Reporter
from devenv.fetch.http import Client
from tests.fetch.conftest import other_server, server  # noqa: F401  # fixtures
from tests.fetch.server import make_endpoints
from tests.support.archive import settings


class Notices(Reporter):
    """Remembers what people would be told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def event(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.texts.append(event.text)


class Site:
    """A machine with a cache, and mirrors that it asks."""

    def __init__(self, tmp_path: Path, mirrors: Sequence[str]) -> None:
        self._tmp_path, self.notices = tmp_path, Notices()
        self.cache = str(tmp_path / "cache")
        self.mirrors = tuple(mirrors)
        self._clients: list[Client] = []

    def client(self, *, offline: bool = False, **environ: str) -> Client:
        given = settings(self._tmp_path, *self.mirrors) | environ
        endpoints = make_endpoints(self._tmp_path, environ=given)
        client = Client(endpoints, attempts=2, backoff=0.005, connect_timeout=2.0, offline=offline)
        self._clients.append(client)
        return client

    def resolve(
        self,
        *packages: str,
        base: str = "debian/bookworm",
        offline: bool = False,
        kept: LockedBase | None = None,
        max_age: float = 0.0,
        **environ: str,
    ) -> LockedBase:
        return resolve(
            base,
            packages,
            cache_dir=self.cache,
            events=self.notices,
            client=self.client(offline=offline, **environ),
            kept=kept,
            max_age=max_age,
        )

    def close(self) -> None:
        for client in self._clients:
            client.close()


MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    made = []

    def make(*mirrors: str) -> Site:
        made.append(Site(tmp_path, mirrors))
        return made[-1]

    yield make
    for site in made:
        site.close()


def names(locked: LockedBase) -> list[str]:
    """What is locked: "a 1", "b:i386 2"; the base's own architecture is left out."""
    own = (locked.architecture, "all")
    return [
        f"{deb.name} {deb.version}"
        if deb.architecture in own
        else f"{deb.name}:{deb.architecture} {deb.version}"
        for deb in locked.packages
    ]
