"""ccache in a root of packages: shells, recipes' builds and packages' builds do not compile what another did.

A root has it where ccache is among its packages. An object is known there by a hash of everything that made it: source,
headers, options, and the compiler. The last ccache knows by size and time of the compiler's program unless it is told
otherwise, and in a store all times are equal; so it is told a name for the packages that compilers consist of
(`devenv.views.placed_compilers`).

Below `.devenv/state` of a project, and who may write there and who reads it:

    ccache              shells and builds of recipes        the same
    ccache-shell        shells: what they compiled          builds of packages
    ccache-packages/X   builds of the package X             the same
    ccache-built        devenv: links to what is in those   shells

A package's build takes what its own earlier builds and the user's shells compiled, and nothing that any other build could
have written: ccache puts into `ccache-shell` what it compiled and not what it found elsewhere (`reshare` is off), and
packages' builds find an object by the text that the preprocessor makes (CCACHE_NODIRECT) and not by the lists of headers
(manifests) in which ccache does mix what is its own with what it found.

Variables as in ccache(1), section CONFIGURATION OPTIONS. Only light modules are imported here: entering is quick.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

# Programs with the names of compilers, which ccache's package makes for those that are there.
COMPILERS = "/usr/lib/ccache"
# The same for shells and packages' builds: see `devenv.views.placed_compilers`. In it, the name of this root's compilers.
PLACED = "/usr/lib/ccache-placed"
IDENTITY = "identity"
# Where a sandbox has the cache, and what the project's shells compiled.
INSIDE, INSIDE_SHELL = "/ccache", "/ccache-shell"
# What is in a package's own directory, beside ccache's statistics.
RESULTS = "results"
_DEFAULT = "/.devenv/state/ccache"
_SHELL = "/.devenv/state/ccache-shell"
_BUILT = "/.devenv/state/ccache-built"
_PACKAGES = "/.devenv/state/ccache-packages"


def is_in(root: str) -> bool:
    """Whether the composed root `root` has ccache."""
    return os.path.exists(f"{root}/usr/bin/ccache")


def identity(root: str) -> dict[str, str]:
    """What keeps the compilers of one root apart from those of another, whatever cache is used."""
    if not is_in(root):
        return {}
    with open(f"{root}{PLACED}/{IDENTITY}", encoding="ascii") as file:
        name = file.read().strip()
    return {
        "CCACHE_COMPILERCHECK": f"string:{name}",
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


def shell_directory(project: str) -> str:
    """Where there is what a project's shells compiled, for the builds of packages."""
    return project + _SHELL


def built_directory(project: str) -> str:
    """Where there is what packages' builds compiled, for the project's shells."""
    return project + _BUILT


def shell_variables(root: str, project: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What a shell in `root` has in addition to `environ`, {} where there is no ccache.

    Paths of the project count as relative ones, as those in the build directory of a build do.
    """
    if not is_in(root):
        return {}
    shared = [_storage(project + _SHELL), _storage(project + _BUILT, read_only=True)]
    # What the user has themselves, and not what the shell of another project or of this one left.
    theirs = [each for each in environ.get("CCACHE_REMOTE_STORAGE", "").split() if "/.devenv/" not in each]
    found = {
        **identity(root),
        "CCACHE_BASEDIR": project,
        "CCACHE_DIR": directory(project, environ),
        "CCACHE_REMOTE_STORAGE": " ".join([*shared, *theirs]),
        "CCACHE_NORESHARE": "1",
    }
    if found["CCACHE_DIR"] == project + _DEFAULT:
        # Not in the cache: what a build can write must not say which programs run here.
        found["CCACHE_CONFIGPATH"] = f"{found['CCACHE_DIR']}.conf"
    return found


def _storage(directory: str, *, read_only: bool = False) -> str:
    """A directory as ccache's `remote_storage` names it. What is used is known by its time, for `compiled_objects`."""
    from urllib.parse import quote

    return f"file:{quote(directory)}|{'read-only' if read_only else 'update-mtime=true'}"


def search_path(path: str) -> str:
    """PATH with ccache's compilers before the others."""
    return ":".join([PLACED, *(each for each in path.split(":") if each and each != PLACED)])


def build_variables(root: str) -> dict[str, str]:
    """What the builder of a recipe in `root` finds where a cache is mounted at INSIDE."""
    return {**identity(root), "CCACHE_DIR": INSIDE, "CCACHE_CONFIGPATH": os.devnull}


def package_build_variables(root: str) -> dict[str, str]:
    """What the builder of a package in `root` finds where its cache is mounted at INSIDE."""
    own, shell = _storage(f"{INSIDE}/{RESULTS}"), _storage(INSIDE_SHELL, read_only=True)
    return {
        **build_variables(root),
        "CCACHE_REMOTE_STORAGE": f"{own} {shell}",
        "CCACHE_REMOTE_ONLY": "1",
    }


def package_variables() -> dict[str, str]:
    """What the builder of a package always has, so that nothing depends on whether a cache is there."""
    return {
        "CCACHE_DIR": "/tmp/ccache",  # noqa: S108 - inside the sandbox
        "CCACHE_CONFIGPATH": os.devnull,
        "CCACHE_NODIRECT": "1",
    }
