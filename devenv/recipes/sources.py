"""The files of a project that a recipe is made from, as one store object: NAME-source.

It holds the named paths where they lie in the project. Left out are version control, what devenv makes in a
project, and what the recipe excludes; of all else nothing, whether it is committed or not. The object is addressed
by its contents, so a file that changes back gives the same object.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from devenv.formats import nar
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, sanitize_name
from devenv.recipes.errors import RecipeError
from devenv.store.local import Store
from devenv.store.tree import restore

_BLOCK = 1 << 20
_NEVER = frozenset({b".git", b".hg", b".svn", b".devenv"})
_DEEPEST = 100  # directories in a path that a recipe names
_VIEW_MARK = b".devenv-view"  # in each directory that devenv composes in a project


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """Paths of a project, relative to it, "." for all. `exclude` are patterns of names or of paths."""

    project: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    recipe: str = ""


def source_hash(tree: SourceTree) -> Hash:
    """The SHA-256 of the NAR. Raises RecipeError for what is not there or cannot be in a store."""
    return _hash(nar.write(events(tree)))


def source_path(tree: SourceTree, store_dir: StoreDir) -> StorePath:
    """Where the object is, or would be. Nothing is written."""
    return store_dir.source_path(_name(tree), source_hash(tree))


def add_source(tree: SourceTree, store: Store) -> StorePath:
    """Copy the files into the store, unless they are there."""
    path = source_path(tree, store.store_dir)
    if store.is_valid(path):
        store.add_temp_roots([path])
        return path
    with store.temporary_directory() as aside:
        copy = os.path.join(aside, "source")
        restore(nar.write(events(tree)), copy)
        return store.adopt_tree(_name(tree), copy, ())


def file_events(tree: SourceTree, path: str) -> Iterator[nar.Event]:
    """One file of the project, as an object by itself."""
    full = os.fsencode(os.path.join(tree.project, path))
    try:
        real = os.path.realpath(full)
        status = os.stat(real)
        inside = os.path.commonpath((real, os.path.realpath(os.fsencode(tree.project))))
        if not stat.S_ISREG(status.st_mode) or inside != os.path.realpath(os.fsencode(tree.project)):
            raise _refuse(tree, f"{path} is no file of the project")
        for event in _leaf(tree, real, os.fsencode(path), status):
            yield nar.File(b"", False, event.size) if isinstance(event, nar.File) else event
    except OSError as error:
        raise _refuse(tree, f"reading {path}: {error.strerror}") from error


def file_path(tree: SourceTree, path: str, store_dir: StoreDir) -> StorePath:
    """Where the object of one file is, or would be. Nothing is written."""
    return store_dir.source_path(_file_name(path), _hash(nar.write(file_events(tree, path))))


def add_file(tree: SourceTree, path: str, store: Store) -> StorePath:
    """Copy one file into the store, unless it is there."""
    found = file_path(tree, path, store.store_dir)
    if store.is_valid(found):
        store.add_temp_roots([found])
        return found
    with store.temporary_directory() as aside:
        copy = os.path.join(aside, "file")
        restore(nar.write(file_events(tree, path)), copy)
        return store.adopt_tree(_file_name(path), copy, ())


def _file_name(path: str) -> str:
    return sanitize_name(path.rpartition("/")[2])


def _name(tree: SourceTree) -> str:
    return sanitize_name(f"{tree.recipe}-source")


def _hash(chunks: Iterable[bytes]) -> Hash:
    import hashlib

    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return Hash("sha256", digest.digest())


def events(tree: SourceTree) -> Iterator[nar.Event]:
    """The tree as the events of a NAR. A file that changes while it is read is an error."""
    wanted = _nested(tree)
    yield from _wanted(tree, os.fsencode(tree.project), b"", wanted)


# Directory -> what is wanted of it; None for all of it.
_Wanted = dict[bytes, "_Wanted | None"]


def _nested(tree: SourceTree) -> _Wanted | None:
    found: _Wanted = {}
    for path in tree.paths:
        if path == ".":
            return None
        parts = os.fsencode(path).split(b"/")
        if len(parts) > _DEEPEST:
            raise _refuse(tree, f"a path of {len(parts)} directories is named")
        _place(found, parts)
    return found


def _place(found: _Wanted, parts: Sequence[bytes]) -> None:
    for part in parts[:-1]:
        inner = found.setdefault(part, {})
        if inner is None:  # all of it is wanted anyway
            return
        found = inner
    found[parts[-1]] = None


def _wanted(tree: SourceTree, project: bytes, path: bytes, wanted: _Wanted | None) -> Iterator[nar.Event]:
    """The node at `path`, with only what is wanted of it."""
    name = path.rpartition(b"/")[2]
    if wanted is None:
        yield from _everything(tree, project, path)
        return
    if path and not stat.S_ISDIR(os.lstat(os.path.join(project, path)).st_mode):
        # What lies behind a link need not be the project's.
        raise _refuse(tree, f"{os.fsdecode(path)} is no directory of the project")
    yield nar.Directory(name)
    for part in sorted(wanted):
        inner = path + b"/" + part if path else part
        if not os.path.lexists(os.path.join(project, inner)):
            raise _refuse(tree, f"there is no {os.fsdecode(inner)} in the project")
        yield from _wanted(tree, project, inner, wanted[part])
    yield nar.Leave()


def _everything(tree: SourceTree, project: bytes, top: bytes) -> Iterator[nar.Event]:
    """Directories are on a stack of our own: trees may be deeper than Python's."""
    stack: list[bytes | None] = [top]
    while stack:
        path = stack.pop()
        if path is None:
            yield nar.Leave()
            continue
        full = os.path.join(project, path)
        try:
            status = os.lstat(full)
            if stat.S_ISDIR(status.st_mode):
                yield nar.Directory(path.rpartition(b"/")[2])
                stack.append(None)
                stack.extend(
                    path + b"/" + name if path else name
                    for name in sorted(os.listdir(full), reverse=True)
                    if _is_kept(tree, project, path, name)
                )
            else:
                yield from _leaf(tree, full, path, status)
        except OSError as error:
            raise _refuse(tree, f"reading {os.fsdecode(full)}: {error.strerror}") from error


def _is_kept(tree: SourceTree, project: bytes, directory: bytes, name: bytes) -> bool:
    if name in _NEVER or os.path.lexists(os.path.join(project, directory, name, _VIEW_MARK)):
        return False
    path = os.fsdecode(directory + b"/" + name if directory else name)
    return not any(
        fnmatchcase(path, pattern) or fnmatchcase(os.fsdecode(name), pattern) for pattern in tree.exclude
    )


def _leaf(tree: SourceTree, full: bytes, path: bytes, status: os.stat_result) -> Iterator[nar.Event]:
    name = path.rpartition(b"/")[2]
    if stat.S_ISLNK(status.st_mode):
        yield nar.Symlink(name, os.readlink(full))
        return
    if not stat.S_ISREG(status.st_mode):
        raise _refuse(
            tree,
            f"{os.fsdecode(path)} is neither file, directory nor symbolic link",
            hint=f'leave it out: exclude = ["{os.fsdecode(name)}"]',
        )
    with open(full, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        yield nar.File(name, bool(status.st_mode & stat.S_IXUSR), size)
        left = size
        while left:
            data = file.read(min(left, _BLOCK))
            if not data:
                raise _refuse(tree, f"{os.fsdecode(path)} became shorter while it was read")
            left -= len(data)
            yield nar.Chunk(data)


def _refuse(tree: SourceTree, what: str, hint: str | None = None) -> RecipeError:
    return RecipeError(f"the sources of {tree.recipe}: {what}", recipe=tree.recipe, hint=hint)
