"""What configuring changed, as a store object: `files/` and `removed`, see `devenv.views.root`.

The changes are found in an overlay's upper layer, or by comparing a copy with what it was copied from. The layer's form
(Documentation/filesystems/overlayfs of the kernel): a file that is gone is a character device 0:0; a directory with
the attribute user.overlay.opaque hides what is below it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from devenv.derivations.configuring.cleaning import is_dangling_secret, is_left_out
from devenv.derivations.configuring.normalising import NORMALISED
from devenv.views.placing import equal, is_directory
from devenv.views.root import FILES, REMOVED

_OPAQUE = "user.overlay.opaque"


@dataclass(frozen=True, slots=True)
class Change:
    """At `path`, relative to the root: `kind` is "gone", "directory", "file" or "link"."""

    path: str
    kind: str


def overlay_changes(upper: str, lower: str) -> Iterator[Change]:
    """What the upper layer says, compared with `lower`; directories before what is in them, in order of names."""
    yield from _in_layer(upper, lower, "", hidden=False)


def _in_layer(upper: str, lower: str, path: str, *, hidden: bool) -> Iterator[Change]:
    """`hidden`: nothing of `lower` shows through here."""
    here, below = _join(upper, path), _join(lower, path)
    names = sorted(os.listdir(here))
    if hidden and is_directory(below):
        yield from (
            Change(_inner(path, name), "gone") for name in sorted(set(os.listdir(below)) - set(names))
        )
    for name in names:
        inner = _inner(path, name)
        place, old = f"{here}/{name}", f"{below}/{name}"
        status = os.lstat(place)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            if os.path.lexists(old):
                yield Change(inner, "gone")
        elif stat.S_ISDIR(status.st_mode):
            yield from _new_directory(old, inner)
            opaque = hidden or _is_opaque(place) or not is_directory(old)
            yield from _in_layer(upper, lower, inner, hidden=opaque)
        else:
            yield from _new_leaf(place, status, old, inner)


def copy_changes(copy: str, original: str, since: int) -> Iterator[Change]:
    """What is different in `copy`, in the same order. `since`: nothing that has an older ctime (ns) was written to."""
    yield from _in_copy(copy, original, "", since)


def _in_copy(copy: str, original: str, path: str, since: int) -> Iterator[Change]:
    here, below = _join(copy, path), _join(original, path)
    names = set(os.listdir(here))
    before = set(os.listdir(below)) if is_directory(below) else set()
    for name in sorted(names | before):
        inner = _inner(path, name)
        place, old = f"{here}/{name}", f"{below}/{name}"
        if name not in names:
            yield Change(inner, "gone")
            continue
        status = os.lstat(place)
        if stat.S_ISDIR(status.st_mode):
            yield from _new_directory(old, inner)
            yield from _in_copy(copy, original, inner, since)
        elif status.st_ctime_ns >= since:
            yield from _new_leaf(place, status, old, inner)


def _new_directory(old: str, inner: str) -> Iterator[Change]:
    if not is_directory(old):
        if os.path.lexists(old):
            yield Change(inner, "gone")
        yield Change(inner, "directory")


def _new_leaf(place: str, status: os.stat_result, old: str, inner: str) -> Iterator[Change]:
    """Of a file or link. Pipes, sockets and devices are nothing that a root could have."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)) or _is_same(place, status, old):
        return
    if is_directory(old):
        yield Change(inner, "gone")
    yield Change(inner, "file" if stat.S_ISREG(status.st_mode) else "link")


def _is_same(place: str, status: os.stat_result, old: str) -> bool:
    try:
        before = os.lstat(old)
    except OSError:
        return False
    programs = [stat.S_ISREG(each.st_mode) and each.st_mode & stat.S_IXUSR for each in (before, status)]
    return programs[0] == programs[1] and equal(place, old)


def _is_opaque(directory: str) -> bool:
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False


def _join(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _inner(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def keep(changes: Iterator[Change], changed: str, target: str) -> None:
    """Make the new directory `target` of `changes`, moving files out of the tree `changed`. Secrets are left out.

    Raises OSError.
    """
    os.makedirs(f"{target}/{FILES}")
    removed: list[str] = []
    for change in changes:
        place = f"{target}/{FILES}/{change.path}"
        if is_left_out(change.path, is_directory=change.kind == "directory"):
            continue
        if change.kind == "gone":
            # A name with a line break cannot be said; no package has one.
            removed += [change.path] if "\n" not in change.path else []
            continue
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if change.kind == "directory":
            os.makedirs(place, exist_ok=True)
        elif change.kind == "link":
            target_text = os.readlink(f"{changed}/{change.path}")
            if not is_dangling_secret(target_text):
                os.symlink(target_text, place)
        else:
            os.rename(f"{changed}/{change.path}", place)
            if change.path in NORMALISED:
                _rewrite(place, NORMALISED[change.path])
    with open(f"{target}/{REMOVED}", "x", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{path}\n" for path in removed)


def _rewrite(path: str, normalise: Callable[[bytes], bytes]) -> None:
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)
    with open(path, "xb") as file:
        file.write(normalise(data))
