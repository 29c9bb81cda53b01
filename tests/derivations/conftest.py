"""A store, a web server and real Nix for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.derivations.site import Bench, Site, serving
from tests.support.nix import Nix


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(os.path.realpath(tmp_path / "root"))


@pytest.fixture
def store(layout: Layout) -> Iterator[Store]:
    with Store.open(layout) as opened:
        yield opened


@pytest.fixture
def nix(layout: Layout, tmp_path: Path) -> Nix:
    return Nix(layout, tmp_path)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def bench(store: Store, site: Site, tmp_path: Path) -> Bench:
    return Bench(store, site, str(tmp_path))
