"""`builtin:devenv-patch`: a tree of programs made to run from where it is, with libraries and loaders of other store objects.

env: `src` the tree; `libraries` a JSON object, architecture -> soname -> path of the library in the store;
`loaders` architecture -> path of the loader; `interpreters` path of a script in the tree -> path of its interpreter there.

The libraries of an architecture are linked into one directory of the tree. Programs look there by DT_RPATH, which, unlike
DT_RUNPATH, also serves what their libraries need and open. A library that has a run path of its own would switch that off
for what it needs: it is copied, and its run path replaced.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from devenv.derivations.builders.job import Job
from devenv.derivations.builders.tree import open_up
from devenv.derivations.errors import BuildError
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.elf.machines import architecture_of
from devenv.elf.redirecting import redirect
from devenv.store.tree import canonicalise, copy_tree

PLACE = ".devenv/lib"  # in the tree; a directory for each architecture


@dataclass(frozen=True, slots=True)
class _File:
    """A dynamic ELF file of the tree: its path there, what it needs, and whether it names a loader."""

    path: str
    architecture: str
    needed: tuple[str, ...]
    is_program: bool


def build(job: Job) -> tuple[str, ...]:
    """Copy and patch. Raises BuildError for a file that cannot be patched; damaged ones are left as they are, and told."""
    libraries: dict[str, dict[str, str]] = json.loads(job.env["libraries"])
    loaders: dict[str, str] = json.loads(job.env["loaders"])
    copy_tree(job.env["src"], job.target)
    open_up(job.target)
    notices: list[str] = []
    files = list(_dynamic_files(job.target, loaders, notices))
    homes = {each: bundled(file for file in files if file.architecture == each) for each in loaders}
    try:
        for architecture, found in libraries.items():
            _collect(f"{job.target}/{PLACE}/{architecture}", found)
        for file in files:
            _patch(job.target, file, homes[file.architecture], files, loaders[file.architecture])
        for script, interpreter in json.loads(job.env["interpreters"]).items():
            _set_interpreter(f"{job.target}/{script}", f"{job.env['out']}/{interpreter}")
    except (ElfError, OSError) as error:
        raise BuildError(f"cannot patch {job.label}: {error}", package=job.label) from error
    canonicalise(job.target)
    return tuple(notices)


def _dynamic_files(root: str, loaders: Mapping[str, str], notices: list[str]) -> Iterator[_File]:
    for place, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = f"{place}/{name}"
            if os.path.islink(path) or not _is_elf(path):
                continue
            try:
                with Elf.open(path) as elf:
                    architecture = architecture_of(elf)
                    if (
                        architecture is not None
                        and architecture in loaders
                        and elf.has_dynamic
                        and _is_glibcs(elf)
                    ):
                        program = elf.interpreter is not None
                        yield _File(os.path.relpath(path, root), architecture, tuple(elf.needed), program)
            except ElfError as error:
                notices.append(f"{os.path.relpath(path, root)} is left as it is: {error}")


def _is_elf(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _is_glibcs(elf: Elf) -> bool:
    """Other C libraries have other loaders, which must stay."""
    loader = os.path.basename(elf.interpreter or "ld-linux")
    return loader.startswith(("ld-linux", "ld64.so", "ld.so", "ld-lsb")) and not any(
        name.startswith("libc.musl-") or name == "libc.so" for name in elf.needed
    )


def bundled(files: Iterable[_File]) -> dict[str, str]:
    """Name of a library -> directory in the tree, those nearest to the top first."""
    found: dict[str, str] = {}
    for file in sorted(files, key=lambda each: (each.path.count("/"), each.path)):
        name = os.path.basename(file.path)
        if ".so" in name:
            found.setdefault(name, os.path.dirname(file.path))
    return found


def _collect(directory: str, libraries: Mapping[str, str]) -> None:
    """Links to libraries, or patched copies where links would not do."""
    os.makedirs(directory)
    for soname, path in sorted(libraries.items()):
        target = f"{directory}/{soname}"
        with Elf.open(path) as elf:
            has_own_path = elf.has_dynamic and (elf.runpath or elf.rpath)
        if not has_own_path:
            os.symlink(path, target)
            continue
        shutil.copyfile(path, target)
        os.chmod(target, 0o755)  # noqa: S103
        redirect(target, loader=None, run_path="$ORIGIN")


def _patch(root: str, file: _File, homes: Mapping[str, str], files: Iterable[_File], loader: str) -> None:
    needed = file.needed
    if file.is_program:  # its run path serves all that it loads
        needed = tuple(
            name for each in files if each.architecture == file.architecture for name in each.needed
        )
    here = os.path.dirname(file.path)
    own = dict.fromkeys(_origin(here, homes[name]) for name in needed if name in homes)
    added = _origin(here, f"{PLACE}/{file.architecture}")
    with Elf.open(f"{root}/{file.path}") as elf:
        kept = [part for part in (elf.runpath or elf.rpath or "").split(":") if "ORIGIN" in part]
    # A loader and its C library belong together, whatever else a bundle brings.
    order = [added, *kept, *own] if "libc.so.6" in homes else [*kept, *own, added]
    redirect(
        f"{root}/{file.path}",
        loader=loader if file.is_program else None,
        run_path=":".join(dict.fromkeys(order)),
    )


def _origin(start: str, directory: str) -> str:
    relative = os.path.relpath(directory or ".", start or ".")
    return "$ORIGIN" if relative == "." else f"$ORIGIN/{relative}"


def _set_interpreter(path: str, interpreter: str) -> None:
    with open(path, "rb") as file:
        first, end, rest = file.read().partition(b"\n")
    words = first[2:].split(None, 1)
    line = b" ".join([b"#!" + os.fsencode(interpreter), *words[1:]])
    with open(path, "wb") as file:
        file.write(line + end + rest)
