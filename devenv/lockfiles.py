"""The lockfiles of one project: which there are, what they say, what they mean as plans."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from devenv.adapter import Adapter, Completions, Ecosystem, Options, Plan, Target
from devenv.config.detect import UNSUPPORTED
from devenv.config.lockfile_names import found_by_themselves
from devenv.config.model import Config, LockfileConfig
from devenv.config.overrides import Override
from devenv.errors import DevenvError, raise_problems
from devenv.formats.npm_places import lock_directory

# No lockfile of a real project comes near this; reading one whole must not exhaust memory.
_MAX_BYTES = 256 * 1024 * 1024


class LockfileError(DevenvError):
    """A lockfile cannot be found, read or recognised. `path` says which."""

    def __init__(self, path: str, problem: str, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem}", hint=hint)
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Lockfile:
    """One lockfile with its text and what its adapter wants to see beside it.

    `path` and the keys of `siblings` are relative to `root`, the project or the lockfile's directory. `overrides` are those
    of packages of its ecosystem.
    """

    root: str
    path: str
    adapter: Adapter
    options: Options
    text: str
    siblings: Mapping[str, str]
    overrides: tuple[Override, ...] = ()

    @property
    def ecosystem(self) -> Ecosystem:
        return self.adapter.ecosystem

    @property
    def directory(self) -> str:
        """What the lockfile's paths count from, relative to `root`, "" for the root itself."""
        return lock_directory(self.path)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that was read, relative to `root`."""
        return (self.path, *self.siblings)

    def hashes(self) -> dict[str, str]:
        """SHA-256 in hexadecimal of the lockfile and of what is beside it, by path relative to `root`."""
        return {
            self.path: _sha256(self.text),
            **{name: _sha256(text) for name, text in self.siblings.items()},
        }

    def plan(self, target: Target, completions: Completions) -> Plan:
        """What the adapter makes of it, as overrides have it. Raises the adapter's errors, and OverrideError."""
        if not self.overrides:
            return self.plan_as_locked(target, completions)
        from devenv.overrides.applying import overridden

        return overridden(
            lambda known: self.plan_as_locked(target, known), self.overrides, completions, target
        )

    def plan_as_locked(self, target: Target, completions: Completions) -> Plan:
        """What the adapter makes of it. Raises its errors."""
        # As absolute paths, because relpath would ask for the current directory.
        base = f"/{self.directory}"
        return self.adapter.plan(
            self.text,
            path=self.path,
            target=target,
            options=self.options,
            completions=completions,
            siblings={os.path.relpath(f"/{name}", base): text for name, text in self.siblings.items()},
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def locate(root: str, config: Config) -> Config:
    """`config` with the lockfiles that it leaves open found in the project's top directory."""
    from dataclasses import replace

    found = []
    for entry in config.lockfiles:
        path = entry.path if entry.path is not None else _first_existing(root, entry.ecosystem)
        if path is not None:
            found.append(replace(entry, path=path))
    return replace(config, lockfiles=tuple(found))


def _first_existing(root: str, ecosystem: Ecosystem) -> str | None:
    names = found_by_themselves(ecosystem)
    return next((name for name in names if os.path.isfile(os.path.join(root, name))), None)


def read_all(
    root: str, entries: Iterable[LockfileConfig], adapters: Mapping[str, Adapter]
) -> tuple[Lockfile, ...]:
    """Read every lockfile of a located configuration; all that cannot be read are reported together."""
    found, problems = [], []
    for entry in entries:
        try:
            found.append(read(root, str(entry.path), entry.options, adapters))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return tuple(found)


def read(root: str, path: str, options: Options, adapters: Mapping[str, Adapter]) -> Lockfile:
    """Read one lockfile and its siblings. Raises `LockfileError`."""
    adapter = recognise(path, adapters)
    text = _read_text(root, path)
    directory = lock_directory(path)
    siblings = {}
    for pattern in adapter.sibling_names:
        base = os.path.join(root, directory)
        for match in sorted(glob.glob(pattern, root_dir=base)):
            name = os.path.join(directory, match)
            if name != path and os.path.isfile(os.path.join(root, name)):
                siblings[name] = _read_text(root, name)
    siblings |= _included(root, path, text, adapter)
    return Lockfile(root=root, path=path, adapter=adapter, options=options, text=text, siblings=siblings)


def _included(root: str, path: str, text: str, adapter: Adapter) -> dict[str, str]:
    """The files that a lockfile includes, and those that they include; what is not in the project is left out."""
    included_names = getattr(adapter, "included_names", None)
    if included_names is None:
        return {}
    found: dict[str, str] = {}
    waiting = [(path, text)]
    while waiting:
        name, contents = waiting.pop()
        for place in _expanded(root, included_names(contents, name)):
            known = place == path or place in found
            inside = not os.path.isabs(place) and place.split("/")[0] != ".."
            if inside and not known and os.path.isfile(os.path.join(root, place)):
                found[place] = _read_text(root, place)
                waiting.append((place, found[place]))
    return found


def _expanded(root: str, places: Iterable[str]) -> Iterator[str]:
    """The places with those that are patterns replaced by what fits them; links are followed nowhere."""
    for place in places:
        if not any(mark in place for mark in "*?["):
            yield place
        elif not os.path.isabs(place) and place.split("/")[0] != "..":
            yield from sorted(glob.glob(place, root_dir=root))


def recognise(path: str, adapters: Mapping[str, Adapter]) -> Adapter:
    """The adapter for a file of this name. Raises `LockfileError` listing what is known."""
    name = os.path.basename(path)
    for adapter in adapters.values():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in adapter.patterns):
            return adapter
    # requirements files have any name; a lockfile that is named explicitly may be one.
    if name.endswith((".txt", ".in")) and "requirements" in adapters:
        return adapters["requirements"]
    known = ", ".join(pattern for adapter in adapters.values() for pattern in adapter.patterns)
    raise LockfileError(
        path,
        UNSUPPORTED.get(name, "no adapter knows this kind of lockfile"),
        f"known are {known}; docs/adapters.md says how to write an adapter, as a package of your own",
    )


def _read_text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise LockfileError(path, "there is no such file", "[lockfiles] of devenv.toml names it") from None
    except OSError as error:
        raise LockfileError(path, f"cannot read it: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise LockfileError(path, f"it is larger than {_MAX_BYTES >> 20} MiB, which no lockfile is")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LockfileError(path, f"it is not UTF-8 text (byte {error.start})") from None
