"""The stage that asks the network what to use, and writes every answer to devenv.lock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from devenv.adapter import CargoSources, Crate, RemoteFile, SitePackages, Target
from devenv.basis import Basis, find_locked_python, make_target, platform_name
from devenv.completion import complete
from devenv.config.lock import Lock, LockedCrates, LockedLockfile, LockedToolchain
from devenv.config.lock_writing import dump_lock
from devenv.config.overrides import OverrideError
from devenv.environment.planned import PlannedLockfile
from devenv.errors import DevenvError, raise_problems
from devenv.lock_changes import changes
from devenv.lockfiles import Lockfile
from devenv.project import CONFIG_NAME, LOCK_NAME, Project
from devenv.system_lock import Asking, lock_system, toolchains_of_base

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What `devenv lock` did: `changes` are lines for people, `written` whether the file changed."""

    changes: tuple[str, ...]
    written: bool
    notices: tuple[str, ...]


def lock_project(project: Project, *, update: bool = False) -> Locked:
    """Write devenv.lock. Pins of unchanged requests stay, unless `update` asks for the newest again.

    Raises ConfigError, OverrideError, FetchError or another DevenvError, as Problems for several.
    """
    before = _lock_to_replace(project)
    pins = project.pin_anew(before, update=update)
    known = {} if update else dict(before.files)
    added, sources = _needed_of_base(project, known)
    known |= sources
    system = lock_system(project.config, _asking(project), before, added, update=update)
    base = system.base if system is not None else None
    toolchains = _toolchains(project, Lock() if update else before, base)
    basis = Basis.of(Lock(toolchains=toolchains, base=base), project.settings.environ)
    plans, files = complete(project, project.lockfiles, basis, known)
    _check_overrides(project, basis.target, files)
    crates = _default_crates(project, plans, base)
    _ask_crate_registries(project, plans)
    lock = Lock(
        system=project.config.system,
        added=added,
        outside=system.outside if system is not None else (),
        base=base,
        crates=crates,
        requests=dict(project.config.packages),
        lockfiles=_locked_lockfiles(project),
        toolchains=toolchains,
        files=files,
        extends=tuple(pins.found.values()),
        overrides={each.label: each.facts() for each in project.config.overrides if each.facts()},
    )
    written = _write_if_changed(os.path.join(project.root, LOCK_NAME), dump_lock(lock))
    project.adopt(lock)
    return Locked(changes=tuple(changes(before, lock)), written=written, notices=_notices(project, plans))


def _notices(project: Project, plans: list[PlannedLockfile]) -> tuple[str, ...]:
    overridden = (each for each in project.config.overrides if each.facts())
    return (
        *(notice for entry in plans for notice in entry.plan.notices),
        *(f"{each.label} is overridden in {each.origin}" for each in overridden),
    )


def _toolchains(project: Project, before: Lock, base: LockedBase | None) -> tuple[LockedToolchain, ...]:
    """What [packages] asks for, by name: of the base, as `before` has it, or as registries have it now."""
    from devenv.providers.toolchains import lock_toolchains

    chosen = _kept_toolchains(project, before, base) | toolchains_of_base(project.config, base)
    wanted = {name: request for name, request in project.config.packages.items() if name not in chosen}
    place = project.workplace
    found: tuple[LockedToolchain, ...] = ()
    if wanted:
        found = lock_toolchains(
            wanted,
            client=place.client,
            endpoints=place.endpoints,
            reporter=project.settings.reporter,
            environ=project.settings.environ,
        )
    chosen = {tool.name: tool for tool in found} | chosen
    return tuple(sorted(chosen.values(), key=lambda tool: tool.name))


def _default_crates(
    project: Project, plans: list[PlannedLockfile], base: LockedBase | None
) -> LockedCrates | None:
    """cargo's default registry, where a Cargo.lock has crates of registries: asked here, and by nobody later."""
    views = [entry.plan.view for entry in plans if isinstance(entry.plan.view, CargoSources)]
    origins = [each for view in views for each in view.sources.values()]
    origins += dict.fromkeys(each.origin for each in _crates_of_builds(plans))
    sources = [each for each in origins if each.kind == "registry"]
    if not sources:
        return None
    from devenv.providers.cargo_base import default_registry

    place = project.workplace
    found = default_registry(
        [each.url.removeprefix("registry+") for each in sources],
        base,
        client=place.client,
        layout=place.layout,
        reporter=project.settings.reporter,
    )
    crates = LockedCrates(default=found.locked, index=found.sparse)
    place.assume_crates(crates)
    return crates


def _check_overrides(project: Project, target: Target, files: Mapping[str, tuple[RemoteFile, ...]]) -> None:
    """Raises OverrideError, or Problems of them, for overrides of what no lockfile has."""
    if not project.config.overrides:
        return
    from devenv.overrides.choice import known_packages, missing

    plans = [lockfile.plan_as_locked(target, files) for lockfile in project.lockfiles]
    raise_problems(missing(project.config.overrides, known_packages(plans)))


def _ask_crate_registries(project: Project, plans: list[PlannedLockfile]) -> None:
    """Where they keep their files is not in a Cargo.lock; asked now, so that nothing later has to."""
    packages = [package for entry in plans for package in entry.plan.packages]
    packages += [each.package for each in _crates_of_builds(plans)]
    urls = {
        package.file.url.partition(":")[0]: package.file.url
        for package in packages
        if package.format == "crate"
    }
    for url in urls.values():
        project.workplace.endpoints.absolute(url)


def _crates_of_builds(plans: list[PlannedLockfile]) -> list[Crate]:
    """The crates that Python packages are compiled of."""
    views = [entry.plan.view for entry in plans if isinstance(entry.plan.view, SitePackages)]
    builds = [each.build for view in views for each in view.every_package]
    builds += [each.build for view in views for each in view.editables]
    return [crate for build in builds if build is not None for crate in build.crates]


def _needed_of_base(
    project: Project, known: Mapping[str, tuple[RemoteFile, ...]]
) -> tuple[tuple[str, ...], dict[str, tuple[RemoteFile, ...]]]:
    """What the packages of lockfiles need of the base, and the answers that it took to know that.

    Overrides say so, and R packages; what these are does not depend on any target.
    """
    lockfiles = tuple(each for each in project.lockfiles if each.ecosystem == "r")
    wanted = {name for override in project.config.overrides for name in override.system}
    if wanted and project.config.base is None:
        override = next(each for each in project.config.overrides if each.system)
        raise OverrideError(
            override.origin,
            f"build.system asks for {', '.join(override.system)}, and there is no `base` to take them from",
            f'say which distribution they are from: base = "debian/bookworm" at the top of {CONFIG_NAME}',
        )
    if not lockfiles:
        return tuple(sorted(wanted)), {}
    if "r" not in project.config.packages:
        raise DevenvError(
            f"{lockfiles[0].path} needs R and {CONFIG_NAME} names none",
            hint='add `base = "debian/trixie"` at the top and `r = "4.5"` to [packages], or the versions you need',
        )
    plans, answers = complete(project, lockfiles, Basis(target=make_target(None, ())), known)
    wanted |= {name for entry in plans for name in entry.plan.system}
    return tuple(sorted(wanted)), answers


def _asking(project: Project) -> Asking:
    place = project.workplace
    return Asking(
        client=lambda: place.client,
        cache=place.layout.cache,
        reporter=project.settings.reporter,
        offline=project.settings.offline,
    )


def _lock_to_replace(project: Project) -> Lock:
    """The present devenv.lock, or an empty one where it is missing or damaged: it is about to be written anew."""
    from devenv.config.errors import LockError

    try:
        return project.lock or Lock()
    except LockError:
        return Lock()


def _kept_toolchains(project: Project, before: Lock, base: LockedBase | None) -> dict[str, LockedToolchain]:
    """Toolchains whose request is as it was and which this machine can still use."""
    kept = {}
    wanted = project.config.packages
    for tool in before.toolchains:
        # npm comes along with node when nobody asks for it, and stays as long as node does.
        source = tool.name if tool.name in wanted or tool.name != "npm" else "node"
        same = before.requests.get(source) == wanted.get(source) and source in wanted
        if (
            same
            and tool.name != "r"
            and (tool.name == "python" or platform_name() in tool.files or "any" in tool.files)
        ):
            kept[tool.name] = tool
    if "node" not in kept and "npm" not in wanted:
        kept.pop("npm", None)
    python = kept.get("python")
    if python is not None:
        try:
            find_locked_python(Lock(toolchains=(python,), base=base), project.settings.environ)
        except DevenvError:
            kept.pop("python")
    return kept


def _locked_lockfiles(project: Project) -> dict[str, LockedLockfile]:
    return {
        lockfile.path: LockedLockfile(
            ecosystem=lockfile.ecosystem,
            sha256=hashes.pop(lockfile.path),
            siblings=_locked_siblings(lockfile, hashes),
            options=lockfile.options,
        )
        for lockfile in project.lockfiles
        for hashes in (lockfile.hashes(),)
    }


def _locked_siblings(lockfile: Lockfile, hashes: Mapping[str, str]) -> dict[str, str]:
    """Siblings whose change makes the lock stale: other lock texts. Manifests change for many other reasons."""
    manifests = ("pyproject.toml", "package.json", "setup.cfg", "setup.py", "*.in")
    return {
        name: digest
        for name, digest in hashes.items()
        if not any(fnmatchcase(os.path.basename(name), pattern) for pattern in manifests)
    }


def _write_if_changed(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except (OSError, UnicodeDecodeError):
        pass
    aside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(aside, path)
    except OSError as error:
        if os.path.exists(aside):
            os.unlink(aside)
        raise DevenvError(f"writing {path}: {error.strerror}") from error
    return True
