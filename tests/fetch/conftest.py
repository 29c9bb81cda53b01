"""Fixtures of the fetch tests: local servers and clients that lose patience quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.fetch.http import Client
from tests.fetch.server import Server, make_endpoints, serving

MakeClient = Callable[..., Client]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def other_server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    made = []

    def make(**settings: object) -> Client:
        options = {name: settings.pop(name) for name in ("offline", "read_timeout") if name in settings}
        client = Client(make_endpoints(tmp_path, **settings), attempts=3, backoff=0.005, **options)  # type: ignore[arg-type]
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
