"""The overrides of a project: those of devenv.toml, and a file of its own for each of the others.

devenv.d/KIND/NAME.toml     NAME may hold one "/" (@scope/name) and end in "@VERSION"
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from devenv.adapter import Patch
from devenv.config.overrides import DIRECTORY, KINDS, Override, OverrideError, split_name
from devenv.config.toml import MAX_SIZE, parse_override
from devenv.errors import DevenvError, raise_problems

SUFFIX = ".toml"
_LARGEST_PATCH = 64 << 20


def with_files(root: str, declared: Iterable[Override]) -> tuple[Override, ...]:
    """The overrides of the project in `root`, of which devenv.toml has `declared`, with their patches read.

    Raises OverrideError, ConfigError, or Problems of them.
    """
    found: dict[str, Override] = {}
    problems: list[DevenvError] = []
    for override in (*declared, *_drop_ins(root, problems)):
        before = found.setdefault(override.label, override)
        if before is not override:
            problems.append(
                OverrideError(
                    override.origin,
                    f"{override.label} is overridden in {before.origin} as well",
                    "keep one of them",
                )
            )
    whole = []
    for override in found.values():
        try:
            whole.append(_with_patches(root, override))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return tuple(sorted(whole, key=lambda each: each.label))


def file_of(kind: str, name: str) -> str:
    """The path of an override's file, relative to the project. `name` with "@VERSION" or without."""
    return f"{DIRECTORY}/{kind}/{name}{SUFFIX}"


def watched(overrides: Iterable[Override]) -> list[str]:
    """What, relative to the project, changes when overrides do: files, and directories for those that come."""
    names = [DIRECTORY, *(f"{DIRECTORY}/{kind}" for kind in KINDS)]
    names += [os.path.dirname(each) for each in files(overrides) if each.startswith(f"{DIRECTORY}/npm/@")]
    return list(dict.fromkeys([*names, *files(overrides)]))


def files(overrides: Iterable[Override]) -> list[str]:
    """The files that overrides are read from, devenv.toml left out, relative to the project."""
    found: list[str] = []
    for override in overrides:
        if override.origin.startswith(f"{DIRECTORY}/"):
            found.append(override.origin)
        found += [patch.name for patch in override.changes.patches]
    return list(dict.fromkeys(found))


def _drop_ins(root: str, problems: list[DevenvError]) -> Iterator[Override]:
    top = os.path.join(root, DIRECTORY)
    if not os.path.isdir(top):
        return
    for kind in KINDS:
        for name in _names(os.path.join(top, kind)):
            try:
                yield _drop_in(root, kind, name)
            except DevenvError as error:
                problems.append(error)
    for kind in _entries(top):
        if kind not in KINDS and not kind.startswith("."):
            known = ", ".join(f"{DIRECTORY}/{each}" for each in KINDS)
            problems.append(OverrideError(f"{DIRECTORY}/{kind}", "no kind of package", f"known are {known}"))


def _names(folder: str) -> Iterator[str]:
    """The files of a kind, without their suffix; others, such as editors leave, are passed over."""
    for entry in _entries(folder):
        if entry.startswith("@") and os.path.isdir(os.path.join(folder, entry)):
            yield from (f"{entry}/{name}" for name in _names(os.path.join(folder, entry)))
        elif entry.endswith(SUFFIX) and not entry.startswith("."):
            yield entry.removesuffix(SUFFIX)


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _drop_in(root: str, kind: str, name: str) -> Override:
    path = file_of(kind, name)
    try:
        split_name(kind, name)
    except ValueError as error:
        raise OverrideError(path, f"{name!r} {error}", "the file is called after its package") from None
    data = _read(root, path, path, MAX_SIZE)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OverrideError(path, f"it is not UTF-8 text (byte {error.start})") from None
    return parse_override(kind, name, text, path)


def _with_patches(root: str, override: Override) -> Override:
    if not override.changes.patches:
        return override
    patches, problems = [], []
    for patch in override.changes.patches:
        try:
            data = _read(root, patch.name, override.origin, _LARGEST_PATCH)
            patches.append(Patch(name=patch.name, text=data.decode("utf-8", "surrogateescape")))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return replace(override, changes=replace(override.changes, patches=tuple(patches)))


def _read(root: str, name: str, origin: str, most: int) -> bytes:
    try:
        with open(os.path.join(root, name), "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise OverrideError(
            origin, f"cannot read {name}: {error.strerror}", "paths are relative to the project"
        ) from None
    if len(data) > most:
        raise OverrideError(origin, f"{name} is larger than {most >> 20} MiB")
    return data
