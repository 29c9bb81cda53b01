"""Which versions of Python, Node.js, R, compilers and other toolchains a base has, and by which packages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from devenv.debian.base import OpenBase
from devenv.formats.debian_version import version_key


class BaseToolchain(NamedTuple):
    """A toolchain of a base. `version` is the upstream one: "3.13.5". `packages` are what to ask for."""

    name: str
    version: str
    packages: tuple[str, ...]


# Toolchain -> (SQL GLOB of names, what exactly they are, the packages that make it up; {} is the name).
_TOOLCHAINS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "python": ("python3.*", r"python3\.\d+", ("{}", "{}-venv", "{}-dev")),
    "node": ("nodejs", "nodejs", ("{}", "npm")),
    "r": ("r-base-core", "r-base-core", ("{}", "r-base-dev")),
    "gcc": ("gcc-*", r"gcc-\d+", ("{}",)),
    "g++": ("g++-*", r"g\+\+-\d+", ("{}",)),
    "clang": ("clang-*", r"clang-\d+", ("{}",)),
    "gfortran": ("gfortran-*", r"gfortran-\d+", ("{}",)),
    "rust": ("rustc", "rustc", ("{}", "cargo")),
    "go": ("golang-*-go", r"golang-\d+\.\d+-go", ("{}",)),
    "java": ("openjdk-*-jdk", r"openjdk-\d+-jdk", ("{}",)),
    "ruby": ("ruby[0-9]*", r"ruby\d+\.\d+", ("{}", "{}-dev")),
    "php": ("php*-cli", r"php\d+\.\d+-cli", ("{}",)),
    "perl": ("perl", "perl", ("{}",)),
    "git": ("git", "git", ("{}",)),
    "postgresql": ("postgresql-[0-9]*", r"postgresql-\d+", ("{}",)),
}


def toolchains(opened: OpenBase, names: Iterable[str] = _TOOLCHAINS) -> list[BaseToolchain]:
    """The toolchains that a base has, by name, the latest version of each first."""
    return [each for name in names for each in _versions(opened, name)]


def find_toolchain(opened: OpenBase, name: str, request: str) -> BaseToolchain | None:
    """The latest whose version begins with `request` ("3.13", "20"), None where the base has none such."""
    for each in _versions(opened, name):
        if each.version == request or each.version.startswith(request + "."):
            return each
    return None


def _versions(opened: OpenBase, name: str) -> list[BaseToolchain]:
    pattern, exact, packages = _TOOLCHAINS[name]
    best: dict[str, str] = {}
    there: set[str] = set()
    for origin, index in zip(opened.origins, opened.indices, strict=True):
        if not origin.automatic:
            continue
        for package, version in index.versions_like(pattern):
            there.add(package)
            if re.fullmatch(exact, package):
                known = best.get(package)
                if known is None or version_key(version) > version_key(known):
                    best[package] = version
    found = []
    for package, version in best.items():
        # What has a name of its own is part of every base that has the toolchain at all.
        asked = tuple(
            each.format(package) for each in packages if "{}" not in each or each.format(package) in there
        )
        found.append((version_key(version), BaseToolchain(name, upstream(version), asked)))
    return [each for _, each in sorted(found, key=lambda item: item[0], reverse=True)]


def upstream(version: str) -> str:
    """The version that the program itself has: "1:3.11.2-1+b1" -> "3.11.2", "20.19.2+dfsg-1" -> "20.19.2"."""
    plain = version.partition(":")[2] or version
    plain = plain.rpartition("-")[0] or plain
    found = re.match(r"\d+(?:\.\d+)*", plain)
    return found[0] if found else plain
