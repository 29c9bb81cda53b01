"""What `devenv run` and `devenv fhs` leave for the next time, and what of it goes: by last use, never while it is in use.

cache/foreign/DIGEST, DIGEST-patched   unpacked archives and patched copies; used at the time of the directory
state/fhs/KEY                          a link that keeps the packages of a root; used at the time of the link
state/foreign/*/KEY                    what was decided; written when it was decided
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from devenv.errors import DevenvError
from devenv.store.layout import Layout
from devenv.store.locks import discard_lock_file, open_lock_file, try_lock
from devenv.store.process_roots import paths_in_use
from devenv.store.tree import remove

_JUST_NOW = 600.0  # seconds: somebody may be about to start it
_DECIDED = ("plans", "seen", "starts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A directory in the cache. used: when, as a time; size: bytes on the disk"""

    path: str
    used: float
    size: int


@dataclass(slots=True, kw_only=True)
class Swept:
    """What went, or would go. unpacked: directories and their sizes; roots: links; problems: what could not be removed"""

    unpacked: dict[str, int] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    problems: list[DevenvError] = field(default_factory=list)


def sweep(
    layout: Layout,
    *,
    unused_for: float,
    max_size: int | None = None,
    roots_unused_for: float | None = None,
    dry_run: bool = False,
) -> Swept:
    """Remove unpacked programs unused for so many seconds, and those longest out of use beyond `max_size` bytes in all.

    roots_unused_for: also let a collection have the roots of single programs that nobody entered for so long
    """
    done, now = Swept(), time.time()
    busy = frozenset(_names_in_use(layout))
    for each in too_many(list(unpacked(layout)), now - unused_for, max_size):
        if os.path.basename(each.path) in busy or each.used > now - _JUST_NOW:
            continue
        try:
            if dry_run or _remove(each):
                done.unpacked[each.path] = each.size
        except (DevenvError, OSError) as error:
            done.problems.append(
                error
                if isinstance(error, DevenvError)
                else DevenvError(f"removing {each.path}: {error.strerror}")
            )
    if not dry_run:
        _remove_remains(layout)
        _forget_decisions(layout, now - unused_for)
    if roots_unused_for is not None:
        done.roots = [*_old_roots(layout, now - roots_unused_for)]
        for link in () if dry_run else done.roots:
            with suppress(OSError):
                os.unlink(link)
    return done


def too_many(found: list[Unpacked], before: float, max_size: int | None) -> list[Unpacked]:
    """Those to remove, longest out of use first: last used earlier than `before`, or too many for `max_size`. Pure."""
    left = sum(each.size for each in found)
    gone = []
    for each in sorted(found, key=lambda each: (each.used, each.path)):
        if each.used < before or (max_size is not None and left > max_size):
            gone.append(each)
            left -= each.size
    return gone


def unpacked(layout: Layout) -> Iterator[Unpacked]:
    """Everything that was unpacked or patched, in no order."""
    for entry in _entries(_cache(layout)):
        if _is_finished(entry.name) and entry.is_dir(follow_symlinks=False):
            with suppress(OSError):
                yield Unpacked(
                    path=entry.path, used=entry.stat(follow_symlinks=False).st_mtime, size=_size(entry.path)
                )


def _is_finished(name: str) -> bool:
    return not name.endswith((".new", ".lock", ".gone"))


def _cache(layout: Layout) -> str:
    return os.path.join(layout.cache, "foreign")


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _size(directory: str) -> int:
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def _names_in_use(layout: Layout) -> Iterator[str]:
    """Directories that programs were started from, or work in, or have files open or mapped of."""
    place = _cache(layout)
    for path, _ in paths_in_use(place, layout.views):
        if path.startswith(f"{place}/"):
            yield path[len(place) + 1 :].split("/")[0]


def _remove(each: Unpacked) -> bool:
    """Remove it unless somebody uses it by now: whoever does that takes the lock, or sets its time (`mark_used`)."""
    lock = f"{each.path}.lock"
    descriptor = open_lock_file(lock)
    if not try_lock(descriptor, exclusive=True) or not os.fstat(descriptor).st_nlink:
        os.close(descriptor)
        return False
    try:
        gone = f"{each.path}.gone"
        remove(gone)
        os.rename(each.path, gone)
        if os.stat(gone).st_mtime != each.used:
            os.rename(gone, each.path)
            return False
    finally:
        discard_lock_file(descriptor, lock)
    remove(gone)
    return True


def _remove_remains(layout: Layout) -> None:
    """What killed processes left: half unpacked, half removed."""
    for entry in _entries(_cache(layout)):
        if not entry.name.endswith((".new", ".gone")):
            continue
        lock = f"{_cache(layout)}/{entry.name.rpartition('.')[0]}.lock"
        with suppress(OSError, DevenvError):
            descriptor = open_lock_file(lock)
            if try_lock(descriptor, exclusive=True):
                remove(entry.path)
                discard_lock_file(descriptor, lock)
            else:
                os.close(descriptor)


def _forget_decisions(layout: Layout, before: float) -> None:
    for kind in _DECIDED:
        for entry in _entries(os.path.join(layout.root, "state", "foreign", kind)):
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)


def _old_roots(layout: Layout, before: float) -> Iterator[str]:
    for entry in _entries(os.path.join(layout.root, "state", "fhs")):
        with suppress(OSError):
            if entry.is_symlink() and entry.stat(follow_symlinks=False).st_mtime < before:
                yield entry.path
