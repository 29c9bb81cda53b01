"""Environments that a project had before: numbered roots, as the profiles of Nix.

    state/profiles/per-project/<hash of the project's path>-<its name>/
        project -> the project's directory
        profile -> profile-7-link           the newest
        profile-7-link -> an environment spec in the store; its own time is when the environment came into use
        profile-7-sources -> the configuration and lockfiles that it was made from, in the store

Each link keeps its environment from collectors, ours and Nix's. An environment has one generation: where a project
comes back to it, it becomes the newest again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from devenv.formats.store_path import StorePath, sanitize_name
from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.roots import automatic_name, point

_LINK = re.compile(r"profile-([1-9][0-9]{0,17})-link")
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One environment. `link` keeps `target`; `created` and `replaced` are seconds since 1970.

    replaced: when the next generation came, None for the newest; sources: None where they were not kept
    """

    link: str
    number: int
    target: str
    created: float
    replaced: float | None
    sources: str | None = None

    @property
    def links(self) -> tuple[str, str]:
        """Every link that keeps something for it."""
        return self.link, f"{self.link.removesuffix('link')}sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The generations of one project, oldest first. `current`: the name of the link that `profile` leads to."""

    directory: str
    project: str
    current: str
    generations: tuple[Generation, ...]

    @property
    def has_vanished(self) -> bool:
        """The project's directory is gone, or nothing in it has to do with devenv any more."""
        traces = (os.path.join(self.project, name) for name in ("devenv.toml", ".devenv/env"))
        return not any(map(os.path.lexists, traces))


def record_generation(
    layout: Layout,
    project: str,
    target: StorePath,
    sources: StorePath | None = None,
    *,
    current: bool = True,
) -> None:
    """Make `target` the newest environment of the project directory. The store is open. Raises `StoreError`.

    current: whether it is the one that the project is in; the first is in any case
    """
    directory = profile_directory(layout, project)
    with explaining("recording the environment", directory):
        found = list(_generations(directory))
        if current and _current_target(directory) == target:
            return  # though a newer one may have been made meanwhile, for one time
        if not found or found[-1].target != target:
            os.makedirs(directory, exist_ok=True)
            point(os.path.join(directory, "project"), project)
            number = found[-1].number + 1 if found else 1
            if sources is not None:
                point(_sources_link(directory, number), sources)
            point(os.path.join(directory, f"profile-{number}-link"), target)
            for old in found:
                if old.target == target:
                    _unlink(old)
        else:
            number = found[-1].number
        if current or not os.path.lexists(os.path.join(directory, "profile")):
            point(os.path.join(directory, "profile"), f"profile-{number}-link")


def _current_target(directory: str) -> str | None:
    try:
        return os.readlink(os.path.join(directory, os.readlink(os.path.join(directory, "profile"))))
    except OSError:
        return None


def select_generation(layout: Layout, project: str, number: int) -> None:
    """Have an earlier generation be the current one. The numbers stay. Raises `StoreError`."""
    directory = profile_directory(layout, project)
    with explaining("going back to an environment", directory):
        os.lstat(os.path.join(directory, f"profile-{number}-link"))
        point(os.path.join(directory, "profile"), f"profile-{number}-link")


def find_profile(layout: Layout, project: str) -> Profile | None:
    """The generations of one project directory, None where it has none."""
    wanted = profile_directory(layout, project)
    with explaining("reading the generations of a project", wanted):
        return _profile(wanted)


def _profile(directory: str) -> Profile | None:
    try:
        return Profile(
            directory=directory,
            project=os.readlink(os.path.join(directory, "project")),
            current=os.readlink(os.path.join(directory, "profile")),
            generations=tuple(_generations(directory)),
        )
    except OSError:  # not one of ours
        return None


def _sources_link(directory: str, number: int) -> str:
    return os.path.join(directory, f"profile-{number}-sources")


def _unlink(generation: Generation) -> None:
    for link in generation.links:
        with suppress(FileNotFoundError):
            os.unlink(link)


def profile_directory(layout: Layout, project: str) -> str:
    """Where the generations of a project directory are."""
    project = os.path.abspath(project)
    name = sanitize_name(os.path.basename(project))[:_NAME_LENGTH]
    return os.path.join(layout.state, "profiles", "per-project", f"{automatic_name(project)}-{name}")


def find_profiles(layout: Layout) -> list[Profile]:
    """The profiles of all projects that used this store."""
    place = os.path.join(layout.state, "profiles", "per-project")
    with explaining("reading the generations of projects", place):
        found = (_profile(os.path.join(place, name)) for name in _names(place))
        return [profile for profile in found if profile is not None]


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _generations(directory: str) -> Iterator[Generation]:
    found = []
    for name in _names(directory):
        match = _LINK.fullmatch(name)
        if match:
            link = os.path.join(directory, name)
            with suppress(OSError):  # gone meanwhile, or no link
                target = os.readlink(link)
                found.append((int(match[1]), link, target, os.lstat(link).st_mtime))
    found.sort()
    following = [*(created for *_, created in found[1:]), None]
    for (number, link, target, created), replaced in zip(found, following, strict=False):
        sources = None
        with suppress(OSError):
            sources = os.readlink(_sources_link(directory, number))
        yield Generation(
            link=link, number=number, target=target, created=created, replaced=replaced, sources=sources
        )


def expired(profiles: Iterable[Profile], *, before: float | None, keep: int | None) -> list[Generation]:
    """The generations that have had their day; the newest of a project that exists never has, nor the current one.

    before: those that were replaced before this moment; keep: but, or only, those beyond the `keep` newest ones
    of a project. All generations of a project that has vanished have expired.
    """
    found: list[Generation] = []
    for profile in profiles:
        if profile.has_vanished:
            found += profile.generations
        elif before is not None or keep is not None:
            found += [
                generation
                for generation in profile.generations[: -max(keep or 1, 1)]
                if os.path.basename(generation.link) != profile.current
                and (before is None or (generation.replaced is not None and generation.replaced < before))
            ]
    return found


def remove_generations(profiles: Iterable[Profile], gone: Iterable[Generation]) -> None:
    """Remove links, and the directories of vanished projects. Raises `StoreError`."""
    for generation in gone:
        with explaining("removing a generation", generation.link):
            _unlink(generation)
    for profile in profiles:
        if profile.has_vanished and not any(_generations(profile.directory)):
            with suppress(OSError):  # something else lies in it
                for name in ("profile", "project"):
                    os.unlink(os.path.join(profile.directory, name))
                os.rmdir(profile.directory)
