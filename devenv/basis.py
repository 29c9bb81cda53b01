"""What a project's packages are chosen and built for: this machine, and what is locked of Node, Python and the system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devenv.adapter import Target
from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.config.lock import Lock, LockedToolchain
    from devenv.debian.locked import LockedBase
    from devenv.providers.python_host import HostPython


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """`target` is what adapters are told of it. `python` and `base` are what builds of packages run with."""

    target: Target
    python: HostPython | None = None
    base: LockedBase | None = None

    @classmethod
    def of(cls, lock: Lock, environ: Mapping[str, str]) -> Basis:
        """The basis that a lock fixes, its Python looked for. Raises DevenvError where there is no such Python."""
        python = find_locked_python(lock, environ)
        return cls(target=make_target(python, lock.toolchains), python=python, base=lock.base)


def platform_name() -> str:
    return f"linux-{os.uname().machine}"


def host_libc() -> str:
    """The C library of the programs here, by the way its loader is named."""
    machine = os.uname().machine
    return "musl" if os.path.exists(f"/lib/ld-musl-{machine}.so.1") and not _has_glibc() else "glibc"


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


def make_target(python: HostPython | None, toolchains: tuple[LockedToolchain, ...]) -> Target:
    node = next((tool.version for tool in toolchains if tool.name == "node"), None)
    return Target(
        machine=os.uname().machine,
        libc=host_libc(),
        node_version=node,
        python=python.target if python is not None else None,
    )


def find_locked_python(lock: Lock, environ: Mapping[str, str]) -> HostPython | None:
    """The interpreter of the locked Python: that of the system packages, if they have it, else one of the host's.

    Of the host's the exact version if it is here, else the same minor one.
    """
    from devenv.providers.python_host import find_python, minor_version

    tool = next((tool for tool in lock.toolchains if tool.name == "python"), None)
    if tool is None:
        return None
    if lock.base is not None:
        from devenv.providers.python_base import interpreter_of_base, python_of_base

        if python_of_base(lock.base, tool.version) is not None:
            return interpreter_of_base(lock.base, tool.version)
    try:
        return find_python(tool.version, environ)
    except DevenvError:
        return find_python(minor_version(tool.version), environ)
