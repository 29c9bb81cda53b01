from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.derivations.site import Site, serving
from tests.support.devenv import User


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found
