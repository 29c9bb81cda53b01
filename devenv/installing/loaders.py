"""Placing a loader where programs look for one, and what keeps the packages that it uses.

state/loaders/KEY/root   keeps them from being collected; KEY is of the place
state/loaders/KEY/path   the place
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from devenv.errors import DevenvError
from devenv.installing.shim import is_shim, shim
from devenv.installing.writing import write
from devenv.store.layout import Layout
from devenv.store.roots import add_indirect_root
from devenv.store.tree import remove

# What nearly every program of others wants: the C, C++ and Fortran runtimes, compression, what Python and Node bring bindings for.
USUAL = (
    *("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libatomic.so.1", "libgomp.so.1", "libz.so.1"),
    *("libbz2.so.1.0", "liblzma.so.5", "libzstd.so.1", "libssl.so.3", "libcrypt.so.1", "libexpat.so.1"),
    *("libffi.so.8", "libuuid.so.1", "libcurl.so.4", "libxml2.so.2"),
)
_HEAD = 1 << 15


def architecture_of(path: str) -> str:
    """For which programs a loader of this name is: those of 32 bits by the names that their C libraries use."""
    return "i386" if os.path.basename(path) in ("ld-linux.so.2", "ld-musl-i386.so.1") else "amd64"


def check_place(path: str) -> str:
    """The place as an absolute path. Raises DevenvError where something else is there, or nothing can be made."""
    place = os.path.abspath(path)
    if os.uname().machine != "x86_64":
        raise DevenvError(
            f"installing a loader at {place}: it is made for x86-64 and its 32-bit programs, this is {os.uname().machine}"
        )
    if os.path.isdir(place):
        raise DevenvError(
            f"installing a loader at {place}: it is a directory",
            hint="Name the file: .../ld-linux-x86-64.so.2",
        )
    if os.path.lexists(place) and not _is_ours(place):
        raise DevenvError(
            f"installing a loader at {place}: another is there already",
            hint="A machine with a loader of its own needs no other: programs run as they are, or with `devenv run`.",
        )
    return place


def _is_ours(place: str) -> bool:
    try:
        with open(place, "rb") as file:
            return is_shim(file.read(_HEAD))
    except OSError:
        return False


def place_loader(place: str, loader: str, libraries: Sequence[str], architecture: str = "amd64") -> None:
    """Write it: the old file or the new one. Raises DevenvError."""
    try:
        data = shim(loader, libraries, architecture)
    except ValueError as error:
        raise DevenvError(f"installing a loader at {place}: {error}") from error
    write(
        place, data, 0o755, hint="Whoever may write there can do it; in a container's root, before it starts."
    )


def keep_root(layout: Layout, place: str, root: str) -> None:
    """Note the loader at `place`, and keep the packages of `root` until it is taken away."""
    own = _own(layout, place)
    write(f"{own}/path", os.fsencode(place), 0o644)
    if root:
        add_indirect_root(
            layout, f"{own}/root", layout.store_dir.parse(f"{layout.store}/{os.path.basename(root)}")
        )
    else:
        with suppress(FileNotFoundError):
            os.unlink(f"{own}/root")


def _own(layout: Layout, place: str) -> str:
    return os.path.join(layout.root, "state", "loaders", sha256(os.fsencode(place)).hexdigest()[:32])


def installed_loaders(layout: Layout) -> list[str]:
    """Where loaders were placed."""
    found = []
    top = os.path.join(layout.root, "state", "loaders")
    for name in os.listdir(top) if os.path.isdir(top) else ():
        with (
            suppress(OSError),
            open(f"{top}/{name}/path", encoding="utf-8", errors="surrogateescape") as file,
        ):
            found.append(file.read())
    return sorted(found)


def remove_loader(layout: Layout, path: str) -> None:
    """Take a loader away; its packages go with the next collection. Raises DevenvError."""
    place = os.path.abspath(path)
    if not os.path.exists(_own(layout, place)):
        known = ", ".join(installed_loaders(layout)) or "none"
        raise DevenvError(
            f"removing the loader at {place}: none was installed there", hint=f"Installed: {known}."
        )
    try:
        if _is_ours(place):
            os.unlink(place)
    except OSError as error:
        raise DevenvError(f"removing the loader at {place}: {error.strerror}") from error
    remove(_own(layout, place))
