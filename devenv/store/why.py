"""Why one store object needs another: the shortest chains of references, and the files that hold them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from devenv.formats.store_path import StorePath, digest_of
from devenv.store.errors import explaining
from devenv.store.objects import Objects, shortest_chains

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Step:
    """One object of a chain. `files` are those in it that name the next object, relative to it ("" is itself)."""

    path: StorePath
    files: tuple[str, ...]


def explain(objects: Objects, start: StorePath, end: StorePath, *, limit: int = 10) -> list[tuple[Step, ...]]:
    """The shortest chains from `start` to `end`, at most `limit`; none where `start` does not need `end`.

    Reads the files of the objects on the way. Raises `StoreError`.
    """
    known: dict[tuple[StorePath, StorePath], tuple[str, ...]] = {}
    explained = []
    for chain in shortest_chains(objects, start, end, limit):
        steps = []
        for path, following in zip(chain, [*chain[1:], None], strict=True):
            if following is None:
                steps.append(Step(path, ()))
                continue
            if (path, following) not in known:
                known[path, following] = tuple(files_naming(path, following))
            steps.append(Step(path, known[path, following]))
        explained.append(tuple(steps))
    return explained


def files_naming(path: StorePath, other: StorePath) -> Iterator[str]:
    """The files, links and names in `path` that have the hash of `other` in them, in sorted order."""
    digest = digest_of(other).encode()
    top = os.fsencode(path)
    with explaining("looking for references in", path):
        for name in _entries(top):
            relative = name[len(top) + 1 :]
            if digest in os.path.basename(relative) or _holds(name, digest):
                yield os.fsdecode(relative)


def _entries(top: bytes) -> Iterator[bytes]:
    """`top` and all below it, each directory before what is in it."""
    todo = [top]
    while todo:
        name = todo.pop()
        yield name
        if stat.S_ISDIR(os.lstat(name).st_mode):
            with suppress(FileNotFoundError):
                todo.extend(sorted((os.path.join(name, entry) for entry in os.listdir(name)), reverse=True))


def _holds(name: bytes, digest: bytes) -> bool:
    mode = os.lstat(name).st_mode
    if stat.S_ISLNK(mode):
        return digest in os.readlink(name)
    if not stat.S_ISREG(mode):
        return False
    tail = b""
    with open(name, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            if digest in tail + block:
                return True
            tail = block[-len(digest) :]
    return False
