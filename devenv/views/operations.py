"""What a view is made of: operations that say what lies where, and the errors about them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from devenv.errors import DevenvError

# Names in a view's root that belong to composing itself.
JOURNAL = ".devenv-view"
LOCK = ".devenv-view.lock"
NEW_JOURNAL = ".devenv-view.new"
DISPLACED = ".devenv-displaced"
OWN_NAMES = frozenset({JOURNAL, LOCK, NEW_JOURNAL, DISPLACED})


class ViewError(DevenvError):
    """A view cannot be composed. `root` is its directory, if one is to blame."""

    def __init__(self, message: str, *, hint: str | None = None, root: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.root = root


class ForeignTree(ViewError):
    """Where the view belongs lies something that devenv did not make: see `set_aside`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """All that is in the directory `source` lies at `dest`.

    source: absolute, usually a store path; a single file may be given as well
    dest: relative POSIX path, "" for the root
    skip: paths relative to `source` that are left out with all below them
    """

    source: str
    dest: str
    skip: frozenset[str] = frozenset()

    @property
    def line(self) -> str:
        return _line(["tree", self.dest, self.source, sorted(self.skip)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Symlink:
    """A symbolic link at `dest` holding `target` as it is."""

    dest: str
    target: str

    @property
    def line(self) -> str:
        return _line(["link", self.dest, self.target])


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A small file of its own, that programs may change. `newest`: nothing in the view is younger."""

    dest: str
    contents: bytes
    executable: bool = False
    newest: bool = False

    @property
    def line(self) -> str:
        return _line(["file", self.dest, sha256(self.contents).hexdigest(), self.executable, self.newest])


Op = Tree | Symlink | File


def _line(values: list[object]) -> str:
    return json.dumps(values, separators=(",", ":"))


def check_operations(ops: Collection[Op]) -> None:
    """Refuse paths that leave the root, and operations of which no two can both hold: `ViewError`."""
    single: dict[str, Op] = {}
    for op in ops:
        if not _is_plain(op.dest) and not (isinstance(op, Tree) and op.dest == ""):
            raise ViewError(f"{op.dest!r} is not a plain relative path")
        if not isinstance(op, Tree) and single.setdefault(op.dest, op) != op:
            raise ViewError(f"two different things should lie at {op.dest}")
    for op in ops:
        higher = (op.dest, *above(op.dest)) if isinstance(op, Tree) else above(op.dest)
        for path in higher:
            if path in single:
                raise ViewError(f"{op.dest} cannot lie inside {path}, which is no directory")


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return parts[0] not in OWN_NAMES and "\0" not in path and not any(p in ("", ".", "..") for p in parts)


def above(path: str) -> Iterator[str]:
    """The relative paths above one, nearest first, without the root."""
    above = path.rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]


class Provided:
    """Which of some operations give a path."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self.trees: dict[str, list[Tree]] = {}
        self.single: set[str] = set()
        self.directories: set[str] = set()  # above any operation
        for op in ops:
            self.directories.update(above(op.dest))
            if isinstance(op, Tree):
                self.trees.setdefault(op.dest, []).append(op)
            else:
                self.single.add(op.dest)

    def givers(self, path: str) -> Iterator[tuple[Tree, str]]:
        """The trees that have `path`, each with the path of that in its source."""
        for dest in (path, *above(path), ""):
            for tree in self.trees.get(dest, ()):
                inner = path[len(dest) :].lstrip("/")
                source = f"{tree.source}/{inner}" if inner else tree.source
                if not is_skipped(tree, inner) and os.path.lexists(source):
                    yield tree, source

    def gives(self, path: str) -> bool:
        """Whether `path` is there because of an operation, not only as a directory above one."""
        return path in self.single or next(self.givers(path), None) is not None

    def touches(self, dest: str) -> bool:
        """Whether anything of these operations may lie in or above `dest`."""
        return (
            dest == ""
            or dest in self.directories
            or dest in self.single
            or any(place in self.trees for place in (dest, *above(dest), ""))
        )


def is_skipped(tree: Tree, inner: str) -> bool:
    """Whether the tree leaves out `inner`, a path in its source."""
    return bool(tree.skip) and any(path in tree.skip for path in (inner, *above(inner)))
