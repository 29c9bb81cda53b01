"""A store of its own for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.store.layout import Layout
from devenv.store.local import Store
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
    """Real Nix on the store of this test."""
    return Nix(layout, tmp_path)
