"""Composing a view: one directory tree made of store objects, links and small files.

A view is described by operations, which say what lies where. Composing makes the directory hold exactly
that, and what the user put there besides: files are hard links to the store's, so that a tree of tens of
thousands of files costs one pass of link(2) and no space; where the file system refuses, reflinks, else
copies. Directories are real and the user's own.

Before anything is touched, the journal is replaced by one that is not complete and lists the old operations
and the new ones; after everything is done, by a complete one with the new ones. So the next composition
knows what an interrupted one may have left, and only does what differs from a finished one.

Where two operations give the same path, a link or file counts more than a tree's; between trees the files
must be equal.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from devenv.events import Finished, Planned, Reporter, Started
from devenv.views.journal import Journal, is_bare, locked, read_journal, read_key, write_journal
from devenv.views.operations import (
    JOURNAL,
    LOCK,
    NEW_JOURNAL,
    File,
    ForeignTree,
    Op,
    Provided,
    Symlink,
    Tree,
    ViewError,
    check_operations,
)
from devenv.views.placing import Placer, Remover, rename_free

__all__ = [
    "File",
    "ForeignTree",
    "Op",
    "Symlink",
    "Tree",
    "ViewError",
    "compose",
    "composed_key",
    "decompose",
    "distrust",
    "set_aside",
]


def compose(
    root: str,
    ops: Sequence[Op],
    *,
    key: str,
    reporter: Reporter | None = None,
    repair: bool = False,
) -> None:
    """Make the directory `root` hold what `ops` say, doing only what is not done yet.

    `key` names the recipe and can be read back with `composed_key`. `repair` looks at every file even
    where the journal says that all is done. The directory above `root` must exist; two calls for one root
    wait for each other.

    Raises `ForeignTree` when something lies there that devenv did not make, `ViewError` for operations that
    contradict each other and for what the file system refuses.
    """
    root = os.path.abspath(root)
    check_operations(ops)
    reporter = reporter or Reporter()
    try:
        with locked(root):
            journal = read_journal(root)
            if journal is None and not is_bare(root):
                raise ForeignTree(
                    f"{root} was not made by devenv", hint="Move it away or remove it.", root=root
                )
            old = journal or Journal("", False, {})
            lines = {op.line: op for op in ops}
            if old.complete and old.key == key and old.ops.keys() == lines.keys() and not repair:
                return
            reporter.event(Planned(kind="view", count=1))
            with _reported(root, reporter):
                _recompose(root, old, lines, key, repair or not old.complete, reporter)
    except OSError as error:
        raise ViewError(f"cannot compose {root}: {error}", root=root) from error


def composed_key(root: str) -> str | None:
    """The key of the finished composition at `root`, None for one that is missing or was interrupted."""
    return read_key(root)


def set_aside(root: str, into_directory: str) -> str:
    """Move what lies at `root` into another directory, under a name that is free there; returns its path.

    On another file system it stays beside `root`, under such a name. Raises `ViewError`.
    """
    name = os.path.basename(os.path.abspath(root))
    try:
        os.makedirs(into_directory, exist_ok=True)
        try:
            return rename_free(root, f"{into_directory}/{name}")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return rename_free(root, f"{os.path.abspath(root)}.aside")
    except OSError as error:
        raise ViewError(f"cannot move {root} away: {error}", root=root) from error


def distrust(root: str) -> None:
    """Have the next composition of `root` look at every file, because the store objects were replaced.

    Does nothing where devenv composed nothing. Raises `ViewError`.
    """
    if read_journal(root) is None:
        return
    try:
        with locked(root):
            journal = read_journal(root)
            if journal is not None:
                write_journal(root, "", journal.ops, complete=False)
    except OSError as error:
        raise ViewError(f"cannot mark {root} as damaged: {error}", root=root) from error


def decompose(root: str, *, reporter: Reporter | None = None) -> None:
    """Take away what was composed at `root`, and the directory if nothing else lies in it.

    Does nothing where devenv composed nothing. Raises `ViewError`.
    """
    if read_journal(root) is None:
        return
    compose(root, (), key="", reporter=reporter)
    try:
        with locked(root):
            for name in (NEW_JOURNAL, JOURNAL, LOCK):
                with suppress(FileNotFoundError):
                    os.unlink(f"{root}/{name}")
            with suppress(OSError):
                os.rmdir(root)
    except OSError as error:
        raise ViewError(f"cannot remove {root}: {error}", root=root) from error


@contextmanager
def _reported(root: str, reporter: Reporter) -> Iterator[None]:
    reporter.event(Started(kind="view", key=f"view {root}", label=os.path.basename(root)))
    failed = True
    try:
        yield
        failed = False
    finally:
        reporter.event(Finished(key=f"view {root}", failed=failed))


def _recompose(
    root: str, old: Journal, new: dict[str, Op], key: str, repair: bool, reporter: Reporter
) -> None:
    """From what `old` says to what `new` says; with `repair` nothing of `old` is taken to be there."""
    removed = [op for line, op in old.ops.items() if line not in new]
    kept = {} if repair else {line: op for line, op in new.items() if line in old.ops}
    for line in _uncovered(kept, removed, new):
        del kept[line]
    write_journal(root, "", [*old.ops, *(line for line in new if line not in old.ops)], complete=False)
    remover = Remover(root, Provided(kept.values()))
    for op in removed:
        remover.remove(op)
    placer = Placer(root, list(new.values()), reporter)
    missing = [op for line, op in new.items() if line not in kept]
    placer.place_trees([op for op in missing if isinstance(op, Tree)])
    for op in missing:
        if not isinstance(op, Tree):
            remover.uncover(op.dest)
            placer.place(op)
    write_journal(root, key, new, complete=True)
    # After the journal, whose renaming made the root's own directory younger.
    for op in new.values():
        if isinstance(op, File) and op.newest:
            os.utime(f"{root}/{op.dest}", follow_symlinks=False)


def _uncovered(kept: Mapping[str, Op], removed: Iterable[Op], new: Mapping[str, Op]) -> set[str]:
    """The lines of trees that get back a path which a link or file had taken from them."""
    single = {op.dest for op in new.values() if not isinstance(op, Tree)}
    provided = Provided(kept.values())
    gone = (op.dest for op in removed if not isinstance(op, Tree) and op.dest not in single)
    return {tree.line for dest in gone for tree, _ in provided.givers(dest)}
