from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.derivations.site import Site, serving
from tests.support.devenv import User
from tests.support.sandboxes import require_sandboxes


@pytest.fixture
def sandboxes() -> None:
    """For tests that build."""
    require_sandboxes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project without anything."""
    place = tmp_path / "project"
    place.mkdir()
    return place


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found
