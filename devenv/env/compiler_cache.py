"""ccache in a root of packages: shells and the builds of recipes use one cache, so neither compiles what the other did.

A root has it where ccache is among its packages. An object is known there by a hash of everything that made it: source,
headers, options, and the compiler. The last ccache knows by size and time of the compiler's program unless it is told
otherwise, and in a store all times are equal; so it is told the root's name, which stands for all packages of it.

Variables as in ccache(1), section CONFIGURATION OPTIONS. Only light modules are imported here: entering is quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

# Programs with the names of compilers, which ccache's package makes for those that are there.
COMPILERS = "/usr/lib/ccache"
# Where a sandbox has the cache.
INSIDE = "/ccache"
_DEFAULT = "/.devenv/state/ccache"
_PACKAGES = "/.devenv/state/ccache-packages"
# Of each package: what is older makes room.
_PACKAGE_SIZE = "1G"


def is_in(root: str) -> bool:
    """Whether the composed root `root` has ccache."""
    return os.path.exists(f"{root}/usr/bin/ccache")


def identity(root: str) -> dict[str, str]:
    """What keeps the compilers of one root apart from those of another, whatever cache is used."""
    if not is_in(root):
        return {}
    return {
        "CCACHE_COMPILERCHECK": f"string:{os.path.basename(root)}",
        # Messages may come in the language of whoever compiled first.
        "CCACHE_SLOPPINESS": "locale",
    }


def directory(project: str, environ: Mapping[str, str]) -> str:
    """Where the cache of a project is: in its state, unless the user has one for all their projects (CCACHE_DIR).

    A build that lays something wrong into the first harms this project only.
    """
    own = environ.get("CCACHE_DIR", "")
    # One that a shell of another project set is none of the user's.
    return own if own and not own.endswith(_DEFAULT) else project + _DEFAULT


def packages_directory(project: str) -> str:
    """Where a project has the caches of the packages of its lockfiles, a directory for each package."""
    return project + _PACKAGES


def shell_variables(root: str, project: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What a shell in `root` has in addition to `environ`, {} where there is no ccache.

    Paths of the project count as relative ones, as those in the build directory of a build do.
    """
    if not is_in(root):
        return {}
    found = {**identity(root), "CCACHE_BASEDIR": project, "CCACHE_DIR": directory(project, environ)}
    if found["CCACHE_DIR"] == project + _DEFAULT:
        # Not in the cache: what a build can write must not say which programs run here.
        found["CCACHE_CONFIGPATH"] = f"{found['CCACHE_DIR']}.conf"
    return found


def search_path(path: str) -> str:
    """PATH with ccache's compilers before the others."""
    return ":".join([COMPILERS, *(each for each in path.split(":") if each and each != COMPILERS)])


def build_variables(root: str) -> dict[str, str]:
    """What a builder in `root` finds where a cache is mounted at INSIDE."""
    return {**identity(root), "CCACHE_DIR": INSIDE, "CCACHE_CONFIGPATH": os.devnull}


def package_variables() -> dict[str, str]:
    """What the builder of a package always has, so that nothing depends on whether a cache is there.

    The paths of sources are left as they are: objects are to the byte what the compiler alone makes of them.
    """
    return {
        "CCACHE_DIR": "/tmp/ccache",  # noqa: S108 - inside the sandbox
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_MAXSIZE": _PACKAGE_SIZE,
    }
