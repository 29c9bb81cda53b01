from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.devenv import User
from tests.support.registry import Registry, serve


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serve(Registry()) as running:
        yield running
