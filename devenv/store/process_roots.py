"""The store paths that running processes use: programs, working directories, open and mapped files, environments.

Also bind mounts of store objects in any mount namespace: inside it a process knows them by other names only. And those
of views (`views`), which stand for the recipe of the same name.
See proc(5). Processes of other users are seen as far as the kernel allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from devenv.store.views import RELOCATED


def paths_in_use(store: str, views: str, proc: str = "/proc") -> Iterator[tuple[str, str]]:
    """Paths at or below objects of the store directory `store`, each with the file of `proc` that names it.

    `views` is the directory of views that processes may have mounted.
    """
    prefix = os.fsencode(store) + b"/"
    in_text = re.compile(re.escape(prefix) + rb"[0-9a-z]+[0-9a-zA-Z+\-._?=]*")
    seen = os.fsencode(views) + b"/"
    namespaces: set[str] = set()
    for name in _listed(proc):
        if not name.isdecimal():
            continue
        process = f"{proc}/{name}"
        for link in (f"{process}/exe", f"{process}/cwd", *_below(f"{process}/fd")):
            target = _target(link)
            if target.startswith(prefix):
                yield os.fsdecode(target), link
            elif target.startswith(seen):
                yield os.fsdecode(_recipe(target, seen, prefix)), link
        maps = _read(f"{process}/maps")
        for path in _mapped(maps, prefix):
            yield os.fsdecode(path), f"{process}/maps"
        for path in {_recipe(path, seen, prefix) for path in _mapped(maps, seen)}:
            yield os.fsdecode(path), f"{process}/maps"
        for path in in_text.findall(_read(f"{process}/environ")):
            yield os.fsdecode(path), f"{process}/environ"
        namespace = os.fsdecode(_target(f"{process}/ns/mnt"))
        if namespace and namespace not in namespaces:
            namespaces.add(namespace)
            mounts = _read(f"{process}/mountinfo")
            for path in (
                *_mounted(mounts, prefix, prefix),
                *_mounted(mounts, os.fsencode(views) + b"/", prefix),
                *in_text.findall(mounts),
            ):  # the latter: layers of an overlay
                yield os.fsdecode(path), f"{process}/mountinfo"


def _recipe(path: bytes, views: bytes, prefix: bytes) -> bytes:
    """The store path of the recipe of the view that a path lies in, which may be a relocated one."""
    name = path[len(views) :].split(b"/", 1)[0]
    return prefix + name.removesuffix(os.fsencode(RELOCATED))


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _below(directory: str) -> Iterator[str]:
    return (f"{directory}/{name}" for name in _listed(directory))


def _target(link: str) -> bytes:
    try:
        return os.readlink(os.fsencode(link))
    except OSError:
        return b""


def _read(name: str) -> bytes:
    try:
        with open(name, "rb", buffering=0) as file:
            return file.readall()
    except OSError:  # the process has ended, or is another user's
        return b""


def _mapped(maps: bytes, prefix: bytes) -> Iterator[bytes]:
    """The mapped files, those with " (deleted)" behind included: something else has taken their name."""
    if prefix in maps:
        for line in maps.split(b"\n"):
            fields = line.split(None, 5)
            if len(fields) == 6 and fields[5].startswith(prefix):
                yield fields[5]


def _mounted(mountinfo: bytes, place: bytes, prefix: bytes) -> Iterator[bytes]:
    """What lies in the directory `place` and is mounted somewhere by itself, under its name in the store.

    The fourth field is the path inside of the mounted file system, of which only the end is known to be that of
    the store's path: an object of another store with the same name would count, too, which does no harm.
    """
    end = place[place.rindex(b"/", 0, len(place) - 1) :]
    if end in mountinfo:
        for line in mountinfo.split(b"\n"):
            fields = line.split(b" ")
            if len(fields) > 4 and end in fields[3]:
                yield prefix + fields[3][fields[3].rindex(end) + len(end) :]
