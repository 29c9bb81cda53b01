"""Where a store and its state lie, as one value.

Everything has its place beside the store directory: `parent(store)/state`, `/log`, `/tmp`, `/cache`. The path is
physical, because Nix refuses a store directory with a symbolic link anywhere in it. This module is on the way
of every command, so it imports next to nothing.
"""

from __future__ import annotations

import os

from devenv.store.errors import StoreError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from devenv.formats.store_path import StoreDir


class Layout:
    """The places of one store. `root` holds them all; `store` is `root/store` unless told otherwise."""

    __slots__ = ("root", "store")

    def __init__(self, root: str, store: str | None = None) -> None:
        self.root = root
        self.store = os.path.join(root, "store") if store is None else store

    @classmethod
    def find(cls, store_dir: str | None, environ: Mapping[str, str]) -> Layout:
        """The store that the option, DEVENV_STORE_DIR or the user's data directory names, in this order.

        The path need not exist. Raises `StoreError` for one that cannot be a store's.
        """
        store = _physical(_chosen(store_dir, environ))
        _check(store)
        return cls(os.path.dirname(store), store)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return (self.root, self.store) == (other.root, other.store)

    def __hash__(self) -> int:
        return hash((self.root, self.store))

    def __repr__(self) -> str:
        return f"Layout(root={self.root!r}, store={self.store!r})"

    @property
    def store_dir(self) -> StoreDir:
        """The store directory as the value that store paths are made with."""
        from devenv.formats.store_path import StoreDir

        return StoreDir(self.store)

    @property
    def state(self) -> str:
        """What NIX_STATE_DIR names."""
        return os.path.join(self.root, "state")

    @property
    def database(self) -> str:
        return os.path.join(self.root, "state", "db", "db.sqlite")

    @property
    def gcroots(self) -> str:
        return os.path.join(self.root, "state", "gcroots")

    @property
    def views(self) -> str:
        """Views that belong to no project: roots, each called as the recipe in the store that it is made by."""
        return os.path.join(self.root, "state", "views")

    @property
    def temproots(self) -> str:
        return os.path.join(self.root, "state", "temproots")

    @property
    def gc_lock(self) -> str:
        return os.path.join(self.root, "state", "gc.lock")

    @property
    def gc_turn(self) -> str:
        """Locked by a collector that waits for gc.lock; nobody takes that before it then. Nix does not know it."""
        return os.path.join(self.root, "state", "gc-turn.lock")

    @property
    def tmp(self) -> str:
        """Unfinished trees: on the store's file system, but never in the store directory."""
        return os.path.join(self.root, "tmp")

    @property
    def downloads(self) -> str:
        """Partial downloads, kept when their process ends."""
        return os.path.join(self.root, "tmp", "downloads")

    @property
    def log(self) -> str:
        """What NIX_LOG_DIR names."""
        return os.path.join(self.root, "log")

    @property
    def cache(self) -> str:
        return os.path.join(self.root, "cache")

    @property
    def configuration(self) -> str:
        """What NIX_CONF_DIR names."""
        return os.path.join(self.root, "etc")


def _chosen(store_dir: str | None, environ: Mapping[str, str]) -> str:
    if store_dir:
        return os.path.abspath(store_dir)
    named = environ.get("DEVENV_STORE_DIR")
    if named:
        if not os.path.isabs(named):
            raise StoreError(
                f"DEVENV_STORE_DIR is {shown(named)!r}, which is a different place in each directory",
                hint="Set it to an absolute path.",
                path=named,
            )
        return named
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # the XDG base directory specification: relative paths are to be ignored
        data = os.path.join(_home(environ), ".local", "share")
    return os.path.join(data, "devenv", "store")


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise StoreError(
            f"no place for the store: HOME is not set and user {os.getuid()} has no account",
            hint="Set HOME, or name a directory with --store-dir or DEVENV_STORE_DIR.",
        ) from None


def _physical(path: str) -> str:
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError) as error:  # NUL bytes, names that are too long
        raise StoreError(
            f"{shown(path)} cannot be the store directory: {error}",
            hint="Name another directory with --store-dir or DEVENV_STORE_DIR.",
            path=path,
        ) from error
    return "/" + real.lstrip("/")  # POSIX keeps two leading slashes apart from one; Nix does not


def _check(store: str) -> None:
    """Refuse what breaks the formats that a store path is written to, or the lists of paths it goes into."""
    odd = [c for c in store if c < " " or c in ":\x7f" or "\ud800" <= c <= "\udfff"]
    if store == "/":
        found = "the root directory"
    elif odd:
        found = f"a path with the character {shown(odd[0])!r} in it"
    else:
        return
    raise StoreError(
        f"{shown(store)} cannot be the store directory: it is {found}",
        hint="Name another directory with --store-dir or DEVENV_STORE_DIR.",
        path=store,
    )
