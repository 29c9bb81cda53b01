"""Editable wheels of directories of a project: made where these are, and kept beside them (PEP 660).

An editable wheel says where the project lies, so it belongs to one checkout and not to the store. Its backend runs in the sandbox
that builds of wheels have, which here also shows the project, to be written: compiled modules go beside their sources, as with
`pip install --editable`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace

from devenv.derivations.build_root import make_in_writable
from devenv.derivations.builders.wheel import unpack_wheel
from devenv.derivations.graph import Node
from devenv.derivations.process import BuildOptions, Processes, prepare
from devenv.sandbox.spec import Bind
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.store.tree import remove
from devenv.values import replaced


def build_in_place(
    node: Node,
    store: Store,
    target: str,
    *,
    shown: tuple[str, ...],
    show: Callable[[str], None],
    copied: tuple[str, ...] = (),
) -> None:
    """Run `node`, of `in_place_node`, and unpack the wheel it makes to the new directory `target`.

    shown: directories that it may write. copied: directories of which it may write a copy, in their place; it goes with the
    build. `target` is empty when the backend makes no editable wheels. `show` is given what
    the backend prints, by lines. Raises BuildError, ArchiveError, StoreError.
    """
    with store.temporary_directory() as directory:
        options = BuildOptions()
        processes = Processes(store, directory, options)
        try:
            room = prepare(node, store, os.path.join(directory, "room"), options)
            with explaining("preparing a build in", room.scratch.path):
                for path in (*shown, *copied):
                    make_in_writable(room.scratch, path)
                copies = [_copy(path, os.path.join(directory, f"copy{n}")) for n, path in enumerate(copied)]
            binds = [*zip(shown, shown, strict=True), *zip(copies, copied, strict=True)]
            mounts = (*room.sandbox.mounts, *(Bind(here, path, writable=True) for here, path in binds))
            room = replace(room, sandbox=replaced(room.sandbox, mounts=mounts))
            processes.run(node, room, show)
            _unpack(os.path.join(room.scratch.store, os.path.basename(node.out)), target)
        finally:
            processes.close()


def _copy(source: str, target: str) -> str:
    return shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git", ".devenv"))


def _unpack(made: str, target: str) -> None:
    aside = f"{target}.{os.getpid()}"
    with explaining("unpacking an editable wheel to", target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        remove(aside)
        wheels = os.listdir(made)
        if wheels:
            unpack_wheel(os.path.join(made, wheels[0]), aside)
        else:
            os.mkdir(aside)
        os.rename(aside, target)
