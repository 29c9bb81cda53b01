"""Which libraries the loader would find for a program, without running anything. After ld.so(8).

Searched in order: DT_RPATH of the file and of whatever loaded it, unless it has a DT_RUNPATH; its DT_RUNPATH; the
system's cache and directories. A library that is loaded under a name once serves everybody who asks for that name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from devenv.elf.errors import ElfError
from devenv.foreign.program import TRIPLETS, Program, read_program
from devenv.foreign.systems import System, is_for

_MOST = 4096  # files that one program may load


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that is needed.

    where: "bundled" (found by the run path), "beside" (in the bundle, but only a launcher's LD_LIBRARY_PATH leads there),
    "system", "missing"; path: where, None if missing; by: the files that need it, the program first
    lacking: symbol versions that are wanted of it and that it does not define
    """

    soname: str
    where: str
    path: str | None
    by: tuple[str, ...]
    lacking: tuple[str, ...] = ()


@dataclass(slots=True)
class _Wanted:
    where: str
    path: str | None
    by: list[str] = field(default_factory=list)
    versions: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Loaded:
    program: Program
    chain: tuple[str, ...]  # directories of DT_RPATH in force for what it needs


def libraries(program: Program, system: System, bundle: Mapping[str, str]) -> list[Library]:
    """All libraries that `program` needs, directly or through bundled ones, in the order of loading.

    `bundle`: name -> path of the libraries that came with it, wherever they lie. Libraries of the system are taken for
    complete: whoever installed them installed what they need.
    """
    found: dict[str, _Wanted] = {}
    queue = [_Loaded(program, ())]
    for each in queue:
        chain = _chain(each)
        for name in each.program.needed:
            wanted = found.get(name)
            if wanted is None:
                wanted = found[name] = _search(name, each.program, chain, system, bundle)
                if wanted.where in ("bundled", "beside") and wanted.path and len(queue) < _MOST:
                    inner = _read(wanted.path)
                    if inner is not None:
                        queue.append(_Loaded(inner, chain))
            wanted.by.append(each.program.path)
            wanted.versions.update(dict.fromkeys(each.program.versions.get(name, ())))
    return [_library(name, wanted, system) for name, wanted in found.items()]


def _chain(each: _Loaded) -> tuple[str, ...]:
    own = each.program
    if own.run_path and not own.inherited:
        return ()  # a DT_RUNPATH switches every DT_RPATH off
    return (*(expanded(own) if own.inherited else ()), *each.chain)


def expanded(program: Program) -> tuple[str, ...]:
    """The run path with $ORIGIN and $LIB put in."""
    origin = os.path.dirname(os.path.realpath(program.path))
    library = f"lib/{TRIPLETS.get(program.architecture or '', '')}"
    return tuple(_expand(part, origin, library) for part in program.run_path)


def _expand(part: str, origin: str, library: str) -> str:
    for name, value in (("ORIGIN", origin), ("LIB", library)):
        part = part.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return os.path.normpath(part)


def _search(
    name: str, by: Program, chain: tuple[str, ...], system: System, bundle: Mapping[str, str]
) -> _Wanted:
    architecture = by.architecture or ""
    if "/" in name:
        there = is_for(name, architecture)
        return _Wanted("bundled" if there else "missing", name if there else None)
    for directory in (*chain, *(() if by.inherited else expanded(by))):
        path = f"{directory}/{name}"
        if is_for(path, architecture):
            return _Wanted("system" if _is_systems(directory, system, by) else "bundled", path)
    path_in_system = system.find(name, architecture, by.libc or "glibc")
    beside = bundle.get(name)
    if beside is not None and is_for(beside, architecture):
        # A bundle that brings a library means its own; the system's of that name may be another version.
        return _Wanted("beside", beside) if path_in_system is None else _Wanted("system", path_in_system)
    return _Wanted("system" if path_in_system else "missing", path_in_system)


def _is_systems(directory: str, system: System, by: Program) -> bool:
    return directory in system.directories(by.architecture or "", by.libc or "glibc")


def _library(name: str, wanted: _Wanted, system: System) -> Library:
    lacking: tuple[str, ...] = ()
    if wanted.where == "system" and wanted.path is not None and wanted.versions:
        there = system.versions(wanted.path)
        lacking = tuple(version for version in wanted.versions if there and version not in there)
    return Library(
        soname=name, where=wanted.where, path=wanted.path, by=tuple(dict.fromkeys(wanted.by)), lacking=lacking
    )


@lru_cache(maxsize=4096)
def _read(path: str) -> Program | None:
    try:
        return read_program(path, guess=False)
    except ElfError:
        return None


def wanted_versions(programs: Iterator[Program]) -> dict[str, tuple[str, ...]]:
    """Library -> all symbol versions that any of the files wants of it."""
    found: dict[str, dict[str, None]] = {}
    for program in programs:
        for name, versions in program.versions.items():
            found.setdefault(name, {}).update(dict.fromkeys(versions))
    return {name: tuple(versions) for name, versions in found.items()}
