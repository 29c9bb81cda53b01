"""The programs that tests run for real: from PATH, or from the directory that tools/test-tools filled."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def data(name: str) -> str:
    """The absolute path of what tools/test-tools has besides programs. Where it is missing the test is skipped likewise."""
    places = [os.path.join(os.path.dirname(place), "data", name) for place in _tool_directories()]
    found = next(filter(os.path.exists, places), None)
    return found or _missing(name)


def program(name: str) -> str:
    """The absolute path of a program. Where it is missing the test is skipped, and fails under CI.

    `NAME-older` is the one of this machine's own release, where the tools have a current NAME as well. DEVENV_TEST_TOOLS names the directory given to tools/test-tools; `.test-tools` in the working tree is found
    without it.
    """
    base, older, _ = name.partition("-older")
    directories = _tool_directories()
    if older:
        directories = [place for place in directories if not place.endswith("/current/bin")]
    found = shutil.which(base) or shutil.which(base, path=os.pathsep.join(directories))
    return found or _missing(name)


def _missing(name: str) -> NoReturn:
    reason = f"{name} is neither on PATH nor in {' or '.join(_tool_directories())}: run tools/test-tools .test-tools"
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(reason)
    pytest.skip(reason)


def _tool_directories() -> list[str]:
    given = os.environ.get("DEVENV_TEST_TOOLS")
    tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    places = [place for place in (given, os.path.join(tree, ".test-tools")) if place]
    return [os.path.join(place, part) for place in places for part in ("current/bin", "bin")]
