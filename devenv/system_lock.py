"""The system packages of a project as its devenv.lock has them: what is asked of the base, and by whom."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devenv.config.lock import Lock, LockedToolchain
from devenv.config.model import Config
from devenv.events import Reporter

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase
    from devenv.fetch.http import Client

# Toolchains that a base can bring.
_OF_BASE = ("python", "r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How archives are asked. `client` is made when it is first needed, `cache` a directory."""

    client: Callable[[], Client]
    cache: str
    reporter: Reporter
    offline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSystem:
    """The packages of a base. `outside`: keys of those that packages of lockfiles are not built with."""

    base: LockedBase
    outside: tuple[str, ...]


def lock_system(
    config: Config, asking: Asking, before: Lock, added: tuple[str, ...], *, update: bool
) -> LockedSystem | None:
    """The files of what `config` asks the base for, and of what lockfiles `added`; None where nothing is wanted.

    Where the requests are as they were nothing is asked, unless for an `update`. Raises DebianError, ProviderError.
    """
    if not config.uses_base or config.base is None:
        return None
    same = before.base is not None and before.base.base == config.base
    asked = all(before.requests.get(name) == config.packages.get(name) for name in _OF_BASE)
    as_before = set(before.system) == set(config.system) and set(before.added) == set(added)
    if before.base is not None and same and asked and as_before and not update:
        return LockedSystem(base=before.base, outside=before.outside)
    python, r = _toolchain_packages(config, asking)
    kept = before.base if same and not update else None
    base = _resolve(config.base, (*config.system, *python, *r, *_for_node(config), *added), asking, kept)
    outside: tuple[str, ...] = ()
    if r and (config.system or python):
        # Compilers that use a cache make the same of everything, so packages are built with them as well.
        cache = [name for name in config.system if name == "ccache"]
        outside = _outside(base, _resolve(config.base, (*r, *added, *cache), asking, base))
    return LockedSystem(base=base, outside=outside)


def _for_node(config: Config) -> tuple[str, ...]:
    """The libraries that Node's own builds need of a system; with another program's they would be there by chance."""
    used = "node" in config.packages or any(entry.ecosystem == "npm" for entry in config.lockfiles)
    return ("libstdc++6",) if used else ()


def _resolve(base: str, packages: tuple[str, ...], asking: Asking, kept: LockedBase | None) -> LockedBase:
    from devenv.debian.base import resolve
    from devenv.debian.family import architecture_of

    return resolve(
        base,
        packages,
        architecture=architecture_of(os.uname().machine),
        cache_dir=asking.cache,
        events=asking.reporter,
        client=asking.client(),
        offline=asking.offline,
        kept=kept,
    )


def _outside(base: LockedBase, builds: LockedBase) -> tuple[str, ...]:
    """What of `base` is not in `builds`; nothing where that has packages of its own, chosen in place of others."""
    inside, known = set(builds.packages), set(base.packages)
    return tuple(sorted(deb.key for deb in known - inside)) if inside <= known else ()


def toolchains_of_base(config: Config, base: LockedBase | None) -> dict[str, LockedToolchain]:
    """The Python and the R that the system packages bring, if they are those asked for."""
    if base is None:
        return {}
    from devenv.providers.python_base import python_of_base
    from devenv.providers.r_base import r_of_base

    found = {}
    for name, version_of in (("python", python_of_base), ("r", r_of_base)):
        request = config.packages.get(name)
        version = version_of(base, request) if request is not None else None
        if request is not None and version is not None:
            found[name] = LockedToolchain(name=name, request=request, version=version, files={})
    return found


def _toolchain_packages(config: Config, asking: Asking) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to ask the base for besides, so that it brings the Python and the R that are asked for.

    Of Python nothing where it has none such: the machine may have it. Raises ProviderError for an R that it has not.
    """
    wanted = {name: config.packages[name] for name in _OF_BASE if name in config.packages}
    if not wanted or config.base is None:
        return (), ()
    from devenv.debian.base import open_base
    from devenv.debian.family import architecture_of, parse_base
    from devenv.debian.suites import open_places
    from devenv.debian.toolchains import find_toolchain
    from devenv.providers.r_base import r_packages

    architecture = architecture_of(os.uname().machine)
    with (
        open_places(asking.client(), asking.cache, asking.reporter, offline=asking.offline) as places,
        open_base(places, parse_base(config.base), architectures=[architecture]) as opened,
    ):
        python = find_toolchain(opened, "python", wanted["python"]) if "python" in wanted else None
        r = r_packages(opened, wanted["r"]) if "r" in wanted else ()
    return python.packages[:1] if python is not None else (), r
