"""What a program and all that comes with it need of the system they run on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devenv.elf.errors import ElfError
from devenv.foreign.bundles import Bundle
from devenv.foreign.families import Family, families_of
from devenv.foreign.loading import Library, libraries
from devenv.foreign.openings import VITAL, Feature, features_of, is_libc_part
from devenv.foreign.program import Program, read_program
from devenv.foreign.systems import System

_MOST_READ = 400  # files of a bundle; larger ones repeat themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """libraries: needed by the program or a part of it, in order; optional: those that only parts need it can do without
    opened: libraries that are opened by name, perhaps; features: what these do; silent: vital features that the system lacks
    versions: all symbol versions that are wanted of the system; beside: directories with libraries that no run path leads to
    families: libraries of which any version will do
    """

    libraries: tuple[Library, ...]
    optional: frozenset[str]
    opened: tuple[str, ...]
    features: tuple[Feature, ...]
    silent: tuple[str, ...]
    versions: tuple[str, ...]
    beside: tuple[str, ...]
    families: tuple[Family, ...]


def needs_of(
    program: Program, bundle: Bundle | None, system: System, with_it: Sequence[Program] = ()
) -> Needs:
    """Raises nothing for damaged parts of a bundle: the program may do without these."""
    brought = bundle.libraries(program.architecture or "") if bundle is not None else {}
    found = {each.soname: each for each in libraries(program, system, brought)}
    required = set(found)
    parts = [program, *with_it, *_parts(brought.values(), {program.path, *(each.path for each in with_it)})]
    for part in parts[1:]:
        if part.libc in ("", program.libc) and part.architecture == program.architecture:
            wanted = libraries(part, system, brought)
            for each in wanted:
                found.setdefault(each.soname, each)
            if part.role == "program" and part in with_it:
                required.update(each.soname for each in wanted)
    names = {name for part in parts for opening in part.openings for name in opening.sonames}
    opened = tuple(sorted(name for name in names if name not in brought and name not in found))
    mentioned = {*names, *(name for name, each in found.items() if each.where in ("system", "missing"))}
    features = features_of(mentioned) if program.libc != "musl" else ()
    return Needs(
        libraries=tuple(found.values()),
        optional=frozenset(found) - required,
        opened=opened,
        features=features,
        silent=_silent(features, program, system, brought),
        versions=_versions(parts, brought),
        beside=_beside(found.values()),
        families=families_of(bundle),
    )


def _parts(paths: Iterable[str], known: set[str]) -> list[Program]:
    parts = []
    for path in list(paths)[:_MOST_READ]:
        if path not in known:
            try:
                parts.append(read_program(path))
            except ElfError:
                continue
    return parts


def _silent(
    features: Iterable[Feature], program: Program, system: System, brought: dict[str, str]
) -> tuple[str, ...]:
    """Vital features of which the system has no library: the program would start, and show nothing."""
    architecture = program.architecture or ""
    return tuple(
        feature.name
        for feature in features
        if feature.name in VITAL
        and not any(name in brought or system.find(name, architecture) for name in feature.any_of)
    )


def _versions(parts: Iterable[Program], brought: dict[str, str]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            version
            for part in parts
            for library, versions in part.versions.items()
            if library not in brought or is_libc_part(library)
            for version in versions
        )
    )


def _beside(found: Iterable[Library]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(os.path.dirname(each.path) for each in found if each.where == "beside" and each.path)
    )
