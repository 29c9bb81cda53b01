"""The R that is among a project's system packages: R itself, and what packages are compiled with."""

from __future__ import annotations

from devenv.debian.base import OpenBase
from devenv.debian.locked import LockedBase
from devenv.debian.toolchains import find_toolchain, toolchains, upstream
from devenv.providers.errors import ProviderError

_PACKAGE = "r-base-core"
_PLATFORMS = {"amd64": "x86_64-pc-linux-gnu", "i386": "i686-pc-linux-gnu"}
_MACHINES = {"arm64": "aarch64", "riscv64": "riscv64", "ppc64el": "powerpc64le", "s390x": "s390x"}


def r_packages(opened: OpenBase, request: str) -> tuple[str, ...]:
    """What to ask a base for so that it brings the R `request` ("4", "4.5", "4.5.0").

    Raises `ProviderError` for one that it does not have.
    """
    found = find_toolchain(opened, "r", request)
    if found is None:
        known = ", ".join(each.version for each in toolchains(opened, ["r"]))
        raise ProviderError(
            f"{opened.base} has no R {request}" + (f", only {known}" if known else ""),
            tool="r",
            request=request,
            hint="Every release of a distribution has one version of R: ask for that, or choose another base.",
        )
    return found.packages


def r_of_base(base: LockedBase, request: str) -> str | None:
    """The version of the base's R if it fulfils `request`, any if that is empty; None without one."""
    for deb in base.packages:
        version = upstream(deb.version)
        if deb.name == _PACKAGE and (not request or version == request or version.startswith(f"{request}.")):
            return version
    return None


def library_directory(base: LockedBase, version: str) -> str:
    """Where R and renv look for packages below a library's root: "R-4.5/x86_64-pc-linux-gnu". See ?renv::paths."""
    minor = ".".join(version.split(".")[:2])
    machine = _MACHINES.get(base.architecture, base.architecture)
    return f"R-{minor}/{_PLATFORMS.get(base.architecture, f'{machine}-unknown-linux-gnu')}"
