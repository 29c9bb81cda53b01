"""The store: adds objects, says what is there, and keeps it safe from everybody else who uses it.

While a `Store` is open it holds gc.lock shared, so no collector runs, ours or Nix's; those who add paths are not
held up. What it registers is complete at that moment, whatever happens before or after: trees are made in
`layout.tmp`, renamed to their path under that path's lock, then registered in one transaction. An object that
is on disk but not registered is what a killed process left; it is replaced.

All methods may be called from any thread, and raise `StoreError`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from types import TracebackType
from typing import Self

from devenv.events import Notice, Reporter
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath, name_of
from devenv.store import tree as trees
from devenv.store.database import Database, PathInfo
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.layout import Layout
from devenv.store.locks import PathLocks, lock, open_lock_file
from devenv.store.objects import Objects
from devenv.store.roots import TemporaryRoots
from devenv.store.temporary import TemporaryDirectories, remove_stale

__all__ = ["PathInfo", "Store", "StoreError"]

# What is registered in one transaction. Each holds a lock meanwhile: an open file, of which 1024 are usual.
_PATHS_AT_ONCE = 256
_DERIVATION_LIMIT = 256 * 1024 * 1024  # bytes

Text = tuple[StorePath, bytes, Iterable[StorePath]]


class Store:
    """An open store. Use it as a context manager, or call `close`."""

    def __init__(
        self, layout: Layout, database: Database, temporary_roots: TemporaryRoots, held: ExitStack
    ) -> None:
        """For `open`. `held` releases everything, in the right order."""
        self.layout = layout
        self.store_dir = layout.store_dir
        self._database = database
        self._temporary_roots = temporary_roots
        self._temporary = TemporaryDirectories(layout.tmp)
        self._held = held
        held.callback(self._temporary.close)

    @classmethod
    def open(cls, layout: Layout, *, reporter: Reporter | None = None) -> Store:
        """Open the store, made where there is none. Waits for a running collector, and says so."""
        with explaining("opening the store", layout.store), ExitStack() as held:
            _make_directories(layout)
            held.callback(os.close, _lock_out_collectors(layout, reporter or Reporter()))
            database = held.enter_context(closing(Database(layout.database)))
            remove_stale(layout.tmp)
            temporary_roots = held.enter_context(closing(TemporaryRoots(layout.temproots)))
            return cls(layout, database, temporary_roots, held.pop_all())

    def close(self) -> None:
        """Release everything. Temporary directories and roots of this process are gone afterwards."""
        with explaining("closing the store", self.layout.store):
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def is_valid(self, path: StorePath) -> bool:
        """Whether `path` is registered, and there."""
        return bool(self.valid_paths((path,)))

    def valid_paths(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Which of `paths` are registered, and there: a user may have deleted some by hand."""
        return {path for path in self._database.valid_paths(paths) if os.path.lexists(path)}

    def info(self, path: StorePath) -> PathInfo | None:
        """What is registered about `path`."""
        return self._database.info(path)

    def objects(self) -> Objects:
        """Everything that is registered."""
        return self._database.objects()

    def database_complaints(self) -> list[str]:
        """What is wrong with the database itself, as sentences."""
        return self._database.complaints()

    def forget(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """Unregister damaged paths and delete their files; those that a path not given refers to stay.

        For repairs: a collector makes sure that nobody uses what it deletes, this does not.
        """
        with explaining("removing from the store", self.layout.store):
            gone = self._database.unregister(paths)
            for path in sorted(gone):
                with PathLocks([path]):
                    trees.remove(path)
        return gone

    def set_aside(self, path: StorePath) -> None:
        """Take a damaged object out of the store directory, so that it is made again. It stays registered."""
        with explaining("taking out of the store", path), PathLocks([path]):
            trees.remove(path)

    def closure(self, paths: Iterable[StorePath]) -> set[StorePath]:
        """`paths` and all that they refer to, directly or not. Each must be registered.

        Raises StoreError where one is not valid.
        """
        wanted = set(paths)
        found = self._database.closure(wanted)
        missing = sorted(wanted - found)
        if missing:
            raise StoreError(
                f"following references: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in the store",
                path=missing[0],
            )
        return found

    def add_temp_roots(self, paths: Iterable[StorePath]) -> None:
        """Keep `paths`, valid or still to come, from collectors until this store is closed."""
        with explaining("writing temporary roots", self.layout.temproots):
            self._temporary_roots.add(paths)

    def temporary_directory(self) -> AbstractContextManager[str]:
        """A new directory inside `layout.tmp`, removed at the end or, after a kill, when a store is opened."""
        return self._temporary.directory()

    def new_name(self) -> str:
        """A path inside `layout.tmp` at which nothing exists, in a directory that goes with this store."""
        return self._temporary.name()

    def add_text(self, name: str, contents: bytes, references: Iterable[StorePath] = ()) -> StorePath:
        """Add a text, addressed by its contents. `references` are taken as they are, not looked for."""
        known = tuple(references)
        path = self.store_dir.text_path(name, Hash.of("sha256", contents), known)
        self.add_texts(((path, contents, known),))
        return path

    def add_texts(self, items: Iterable[Text]) -> None:
        """Add many texts: path, contents, references of each. References must be valid, or come before.

        For .drv files their outputs are recorded, too; without that, Nix cannot build them.
        """
        texts = {path: (contents, tuple(references)) for path, contents, references in items}
        self.add_temp_roots(texts)
        valid = self.valid_paths(texts)
        missing = [path for path in texts if path not in valid]
        with explaining("adding texts to the store", self.layout.store):
            for start in range(0, len(missing), _PATHS_AT_ONCE):
                batch = missing[start : start + _PATHS_AT_ONCE]
                with PathLocks(batch):
                    self._write_texts({path: texts[path] for path in batch})

    def _write_texts(self, texts: dict[StorePath, tuple[bytes, tuple[StorePath, ...]]]) -> None:
        infos = []
        outputs = {}
        for path, (contents, references) in texts.items():
            infos.append(self._text_info(path, contents, references))
            if path.endswith(".drv"):
                outputs[path] = self._derivation_outputs(path, contents)
            aside = self._temporary.name()
            trees.write_file(aside, contents)
            if os.path.lexists(path):
                trees.remove(path)
            os.rename(aside, path)
        self._database.register(infos, outputs)

    def _text_info(self, path: StorePath, contents: bytes, references: tuple[StorePath, ...]) -> PathInfo:
        digest = Hash.of("sha256", contents)
        expected = self.store_dir.text_path(name_of(path), digest, references)
        if path != expected:
            raise StoreError(f"adding {path}: by its contents and references it is {expected}", path=path)
        measured = trees.file_nar(contents)
        return PathInfo(
            path=path,
            nar_hash=measured.nar_hash,
            nar_size=measured.nar_size,
            references=references,
            content_address=f"text:{digest.typed_nix32}",
        )

    def _derivation_outputs(self, path: StorePath, contents: bytes) -> dict[str, str]:
        from devenv.formats.derivation import parse_outputs

        try:
            outputs = parse_outputs(contents, name_of(path).removesuffix(".drv"), self.store_dir)
        except FormatError as error:
            raise StoreError(f"adding {path}: {error}", hint=error.hint, path=path) from error
        return {name: output.path for name, output in outputs.items() if output.path}

    def add_tree(self, name: str, source: str, references: Iterable[StorePath] = ()) -> StorePath:
        """Copy a tree from disk into the store, addressed by its contents.

        Those of `references` that occur in it become its references. The tree may change meanwhile: what is
        added is what was read.
        """
        with explaining("adding a tree to the store", source):
            copy = self._temporary.name()
            try:
                measured = trees.copy_and_scan(source, copy, tuple(references))
                return self._add_measured(name, copy, measured)
            finally:
                trees.remove(copy)

    def adopt_tree(self, name: str, tree: str, candidates: Collection[StorePath]) -> StorePath:
        """Move a tree in `layout.tmp` into the store, addressed by its contents, like `add_tree`."""
        trees.canonicalise(tree)
        return self._add_measured(name, tree, trees.scan(tree, candidates))

    def _add_measured(self, name: str, tree: str, measured: trees.Scanned) -> StorePath:
        path = self.store_dir.source_path(name, measured.nar_hash, measured.references)
        self.register_output(
            None,
            path,
            tree,
            nar_hash=measured.nar_hash,
            nar_size=measured.nar_size,
            references=measured.references,
            content_address=f"fixed:r:{measured.nar_hash.typed_nix32}",
        )
        return path

    def register_output(
        self,
        drv: StorePath | None,
        path: StorePath,
        tree: str,
        *,
        nar_hash: Hash,
        nar_size: int,
        references: Iterable[StorePath],
        content_address: str | None,
    ) -> None:
        """Move `tree`, finished and canonical inside `layout.tmp`, to `path` and register it.

        `drv` is the derivation that it was built from here. Where `path` has become valid meanwhile, `tree` is
        dropped. The values given must be those of `tree`; the references must be valid, or `path` itself.
        """
        info = PathInfo(
            path=path,
            nar_hash=nar_hash,
            nar_size=nar_size,
            references=tuple(sorted(set(references))),
            deriver=drv,
            content_address=content_address,
            ultimate=drv is not None,
        )
        self.register_outputs(((info, tree),))

    def register_outputs(
        self, outputs: Iterable[tuple[PathInfo, str]], *, held: Collection[StorePath] = ()
    ) -> None:
        """Like `register_output` for many at once, which is several times faster. What one refers to comes before it.

        `held` are paths whose `PathLocks` the caller has.
        After an error some may be registered; trying each by itself shows which one is to blame.
        """
        found = {info.path: (info, tree) for info, tree in outputs}
        self.add_temp_roots(found)
        paths = list(found)
        for start in range(0, len(paths), _PATHS_AT_ONCE):
            batch = paths[start : start + _PATHS_AT_ONCE]
            free = [path for path in batch if path not in held]
            with explaining("adding to the store", batch[0]), PathLocks(free):
                self._move_in({path: found[path] for path in batch})

    def _move_in(self, outputs: dict[StorePath, tuple[PathInfo, str]]) -> None:
        valid = self.valid_paths(outputs)
        moved = []
        derivation_outputs = {}
        try:
            for path, (info, tree) in outputs.items():
                if path.endswith(".drv") and path not in valid:
                    derivation_outputs[path] = self._outputs_of_tree(path, tree)
                trees.remove(tree if path in valid else path)
                if path not in valid:
                    trees.move(tree, path)
                    moved.append(info)
        finally:
            if moved:
                found = {info.path: derivation_outputs.get(info.path, {}) for info in moved}
                self._database.register(moved, found)

    def _outputs_of_tree(self, path: StorePath, tree: str) -> dict[str, str]:
        status = os.lstat(tree)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _DERIVATION_LIMIT:
            raise StoreError(f"adding {path}: it is not the derivation that its name says", path=path)
        with open(tree, "rb") as file:
            return self._derivation_outputs(path, file.read())


def _make_directories(layout: Layout) -> None:
    """What Nix expects, and tmp. Raises `StoreError` for a place that cannot be a store."""
    profiles = os.path.join(layout.state, "profiles")
    if not os.path.lexists(os.path.join(layout.gcroots, "profiles")):
        automatic = os.path.join(layout.gcroots, "auto")
        for directory in (layout.store, layout.temproots, profiles, automatic, layout.tmp, layout.log):
            os.makedirs(directory, exist_ok=True)
        with suppress(FileExistsError):  # another process is just as far
            os.symlink(profiles, os.path.join(layout.gcroots, "profiles"))
    os.makedirs(layout.store, exist_ok=True)
    real = os.path.realpath(layout.store)
    if real != layout.store:
        raise StoreError(
            f"opening the store {shown(layout.store)}: it or a directory above is a symbolic link, it really is "
            f"{shown(real)}; Nix refuses such a store, as its path is part of every object",
            hint=f"Name the real directory: --store-dir {shown(real)}",
            path=layout.store,
        )
    if not os.access(layout.store, os.W_OK | os.X_OK):
        read_only = os.statvfs(layout.store).f_flag & os.ST_RDONLY
        code = errno.EROFS if read_only else errno.EACCES
        raise OSError(code, os.strerror(code), layout.store)


def _lock_out_collectors(layout: Layout, reporter: Reporter) -> int:
    turn = open_lock_file(layout.gc_turn)
    try:
        lock(turn, exclusive=False)  # after a collector that waits already, which takes seconds at most
    finally:
        os.close(turn)
    descriptor = open_lock_file(layout.gc_lock)
    try:
        waits = Notice(text="Waiting for a garbage collection to end ...")
        lock(descriptor, exclusive=False, waiting=lambda: reporter.event(waits))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
