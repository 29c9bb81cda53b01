"""Manifests and lockfiles as they were, to be put back when a change of dependencies fails on its way."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

# What tools change in a lockfile's directory besides the lockfile.
_MANIFESTS = (
    *("package.json", "pnpm-workspace.yaml", ".yarnrc.yml", "pyproject.toml", "Cargo.toml"),
    *("npm-shrinkwrap.json", "package-lock.json"),
)


def changed_files(directory: str, lockfile: str) -> list[str]:
    """The paths of all that changing a lockfile may change, whether they are there or not."""
    source = os.path.splitext(lockfile)[0] + ".in"
    return [os.path.join(directory, name) for name in (lockfile, source, *_MANIFESTS)]


class Kept:
    """The bytes of files, None for those that are not there."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._contents = {path: _read(path) for path in paths}

    def put_back(self, only: str | None = None) -> bool:
        """Write what has changed since, and remove what has come; whether there was anything. `only`: of one file."""
        changed = [p for p, data in self._contents.items() if only in (None, p) and _read(p) != data]
        for path in changed:
            data = self._contents[path]
            with suppress(OSError):  # of two errors the first is the one to be told
                if data is None:
                    os.unlink(path)
                    continue
                with open(path, "wb") as file:
                    file.write(data)
        return bool(changed)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
