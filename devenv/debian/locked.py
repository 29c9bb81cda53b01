"""What devenv.lock says of a base: its suites' state, and every package file that the project needs of it.

Values only. They travel from the resolver to the lock file, and from there to the planning of roots.
"""

from __future__ import annotations

from typing import NamedTuple


class SuiteState(NamedTuple):
    """Which edition of a suite the answer was taken from."""

    archive: str  # "debian", "debian-security"
    suite: str  # "bookworm", "bookworm-updates", "bookworm-security"
    sha256: str  # of the Release text that was signed, 64 hex digits
    date: str  # its Date field as a UTC time stamp: "2026-01-10T10:02:03Z"


class LockedDeb(NamedTuple):
    """One package file."""

    name: str  # "libgdal32"
    version: str  # "3.6.2+dfsg-1+b2"
    architecture: str  # "amd64", "i386", "all"
    path: str  # below the archive's root: "pool/main/g/gdal/libgdal32_3.6.2+dfsg-1+b2_amd64.deb"
    size: int  # bytes
    sha256: str  # 64 hex digits
    archive: str  # which archive of the base has it: "debian", "debian-security"

    @property
    def key(self) -> str:
        """`name:architecture`, unique in a base."""
        return f"{self.name}:{self.architecture}"


class LockedBase(NamedTuple):
    """One base and a set of its packages, closed under their dependencies."""

    base: str  # "debian/bookworm"
    architecture: str  # "amd64": of the programs that nothing else is said of
    suites: tuple[SuiteState, ...]
    packages: tuple[LockedDeb, ...]  # the Essential ones included, sorted by (name, architecture)
