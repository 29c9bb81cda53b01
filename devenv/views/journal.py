"""The journal of a view, and the lock that lets one composition wait for another.

The journal, `ROOT/.devenv-view`, remembers what was composed, as lines of JSON:

    {"devenv-view": 1, "complete": true, "inode": number, "key": "..."}
    ["tree", dest, source, [skipped path, ...]]
    ["link", dest, target]
    ["file", dest, sha256 of the contents, executable, newest]

`inode` is that of ROOT. A journal that came with a copy, an archive or a repository does not carry the
number of the directory it lies in, and is not believed to be complete: whatever lies there is looked at.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from devenv.views.operations import (
    JOURNAL,
    LOCK,
    NEW_JOURNAL,
    File,
    ForeignTree,
    Op,
    Symlink,
    Tree,
    ViewError,
    check_operations,
)


@dataclass(frozen=True, slots=True)
class Journal:
    """What lies in a view: the operations by their lines. One that is not `complete` lies there in part."""

    key: str
    complete: bool
    ops: dict[str, Op]


def read_journal(root: str) -> Journal | None:
    """The journal, None when there is none or what there is was not written by this module."""
    try:
        descriptor = os.open(f"{root}/{JOURNAL}", os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, encoding="utf-8") as file:
            head, *rest = file.read().splitlines()
        header = json.loads(head)
        if header["devenv-view"] != 1 or not isinstance(header["complete"], bool):
            return None
        ops = {line: _parse_op(json.loads(line)) for line in rest}
        return Journal(str(header["key"]), _is_complete(header, root), ops)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ViewError):
        return None


def _parse_op(values: object) -> Op:
    """One operation of a journal; the contents of files are not in it. ValueError for anything else."""
    match values:
        case ["tree", str(dest), str(source), list(skip)]:
            op: Op = Tree(source=source, dest=dest, skip=frozenset(map(str, skip)))
        case ["link", str(dest), str(target)]:
            op = Symlink(dest=dest, target=target)
        case ["file", str(dest), str(), bool(executable), bool(newest)]:
            op = File(dest=dest, contents=b"", executable=executable, newest=newest)
        case _:
            raise ValueError("no operation")
    check_operations([op])
    return op


def write_journal(root: str, key: str, lines: Iterable[str], *, complete: bool) -> None:
    """Replace the journal, which is always whole."""
    inode = os.stat(root).st_ino
    head = json.dumps({"devenv-view": 1, "complete": complete, "inode": inode, "key": key})
    new = f"{root}/{NEW_JOURNAL}"
    with suppress(FileNotFoundError):
        os.unlink(new)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
        file.write("\n".join([head, *lines, ""]))
    os.rename(new, f"{root}/{JOURNAL}")


def is_bare(root: str) -> bool:
    """Whether nothing lies in the root but what an interrupted start of a composition leaves."""
    return all(name in (LOCK, NEW_JOURNAL) for name in os.listdir(root))


def read_key(root: str) -> str | None:
    """The key of a finished composition, from the first line alone."""
    try:
        with open(f"{root}/{JOURNAL}", "rb") as file:
            head = json.loads(file.readline(4096))
        if not isinstance(head, dict) or head.get("devenv-view") != 1 or not _is_complete(head, root):
            return None
    except (OSError, ValueError, RecursionError):
        return None
    key = head.get("key")
    return key if isinstance(key, str) else None


def _is_complete(head: Mapping[str, object], root: str) -> bool:
    """Whether a journal's head says that all was done, in this very directory."""
    return head.get("complete") is True and head.get("inode") == os.stat(root).st_ino


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Hold the root's lock, making the root if it is missing."""
    import fcntl

    while True:
        try:
            os.mkdir(root, 0o755)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(root).st_mode):
                raise ForeignTree(f"{root} is not a directory", hint="Move it away.", root=root) from None
        path = f"{root}/{LOCK}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The root may have been moved aside while another held the lock.
            if same_file(path, os.fstat(descriptor)):
                yield
                return
        finally:
            os.close(descriptor)


def same_file(path: str, status: os.stat_result) -> bool:
    """Whether `path` is the file that `status` was taken of."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)
