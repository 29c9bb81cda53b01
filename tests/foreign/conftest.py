"""Programs that a real compiler makes, and the surroundings of verdicts without a network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devenv.foreign.families import Family, best
from devenv.foreign.suppliers import Suppliers
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.systems import System
from tests.support.programs import program

Compile = Callable[..., Path]


@pytest.fixture
def compile_c(tmp_path: Path) -> Compile:
    """compile_c(path, source, *options) -> the path below tmp_path that gcc wrote."""

    def compile_one(name: str, source: str, *options: str) -> Path:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = tmp_path / f"source-{len(list(tmp_path.glob('source-*')))}.c"
        text.write_text(source)
        command = [program("gcc"), "-O1", "-o", str(target), str(text), *options]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return target

    return compile_one


class Shelf(Suppliers):
    """Suppliers with a fixed list in place of an archive: soname or program -> package."""

    def __init__(self, base: str, packages: dict[str, str]) -> None:
        self.base = base
        self.problems = []
        self._packages = packages

    def __exit__(self, *error: object) -> None:
        pass

    def library(self, soname: str, architecture: str) -> str | None:
        return self._packages.get(soname)

    def newest_library(self, family: Family, architecture: str) -> str | None:
        name = best(family, self._packages)
        return None if name is None else self._packages[name]

    def program(self, name: str, architecture: str) -> str | None:
        return self._packages.get(name)

    def qualified(self, name: str, architecture: str) -> str | None:
        return name if architecture == "amd64" else f"{name}:{architecture}"


@pytest.fixture
def around(tmp_path: Path) -> Callable[..., Surroundings]:
    """around(packages, **fields): a machine of this kind with bookworm, whose archive has `packages`."""

    def make(packages: dict[str, str] | None = None, **fields: object) -> Surroundings:
        given = {
            "machine": "amd64",
            "base": "debian/bookworm",
            "home": os.path.expanduser("~"),
            "cache": str(tmp_path / "cache"),
            "suppliers": lambda base: Shelf(base, packages or {}),
            "host": System(),
            **fields,
        }
        return Surroundings(**given)  # type: ignore[arg-type]

    return make
