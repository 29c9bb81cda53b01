"""The order in which a root is put together. Pure: mounts in, operations out.

The root is a directory in memory. Operations are plain tuples, since they go to a small process that imports next
to nothing; paths in them are relative to the root ("" is the root itself):

    operation = ("directory", path, mode)           made, or found there
              | ("file", path, contents, mode)
              | ("symlink", path, points to)
              | ("overlay", "", directory)          the root: directory/lower, with changes in directory/upper
              | ("bind", path, source)              with the mounts in it, writable as far as the source is
              | ("tmpfs", path, options)
              | ("proc", path) | ("terminals", path)
              | ("lock", path, recursive)           read-only from here on
              | ("unlock", path)                    writable again, without the mounts in it

Nothing is ever made inside a directory of the machine: what is mounted there needs a mount point that exists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile

from devenv.sandbox.errors import SandboxError
from devenv.sandbox.spec import (
    Bind,
    Directory,
    File,
    Mount,
    Overlay,
    Proc,
    ReadOnly,
    Symlink,
    Terminals,
    Tmpfs,
)

Operation = tuple[object, ...]
# Whether a path of the machine is a directory; None when there is nothing.
IsDirectory = Callable[[str], bool | None]


def operations(mounts: Iterable[Mount], is_directory: IsDirectory) -> tuple[Operation, ...]:
    """What to do, in order, for exactly `mounts`. Raises SandboxError for what cannot be."""
    return tuple(_Root(normalise(mounts, is_directory), is_directory).build())


def normalise(mounts: Iterable[Mount], is_directory: IsDirectory) -> tuple[Mount, ...]:
    """`mounts` by path, each before what is in it, without doubles and what is shown anyway.

    Of two for one place the later counts. Optional sources that do not exist are gone.
    """
    latest: dict[str, Mount] = {}
    for mount in mounts:
        _check_path(mount.target)
        latest[mount.target] = mount
    kept: list[Mount] = []
    around: list[Mount] = []
    for mount in sorted(latest.values(), key=lambda mount: _parts(mount.target)):
        if isinstance(mount, Bind) and not _is_there(mount, is_directory):
            continue
        while around and not is_inside(mount.target, around[-1].target):
            around.pop()
        if around and _is_shown_by(around[-1], mount):
            continue
        kept.append(mount)
        around.append(mount)
    return tuple(kept)


def is_inside(path: str, directory: str) -> bool:
    """Whether `path` is below `directory`. Both absolute and normal."""
    return path.startswith(directory if directory == "/" else directory + "/") and path != directory


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _check_path(path: str) -> None:
    if not path.startswith("/") or os.path.normpath(path) != path or path.startswith("//") or "\0" in path:
        raise SandboxError(
            f"{path!r} cannot be a place in a sandbox: it must be an absolute path without '.', '..' or doubled "
            "slashes",
            path=path,
        )


def _is_there(mount: Bind, is_directory: IsDirectory) -> bool:
    return not mount.optional or is_directory(mount.source) is not None


def _is_shown_by(outer: Mount, mount: Mount) -> bool:
    if not isinstance(outer, Bind) or not isinstance(mount, Bind):
        return False
    below = mount.target[len(outer.target.rstrip("/")) :]
    return mount.source == outer.source.rstrip("/") + below and mount.writable == outer.writable


class _Root:
    """A root being put together from normal mounts."""

    def __init__(self, mounts: Sequence[Mount], is_directory: IsDirectory) -> None:
        self._mounts = mounts
        self._is_directory = is_directory
        self._made = {"/"}  # directories in memory
        # What the next mounts may be inside of, outermost first.
        self._around: list[Mount] = [Tmpfs("/", writable=False)]
        self._groups = _groups(mounts)
        self._grouped = {target for inside in self._groups.values() for target in inside}

    def build(self) -> Iterator[Operation]:
        for mount in self._mounts:
            while not is_inside(mount.target, self._around[-1].target) and len(self._around) > 1:
                self._around.pop()
            yield from self._one(mount)
            if mount.target != "/":
                self._around.append(mount)
        yield from self._locks()

    def _one(self, mount: Mount) -> Iterator[Operation]:
        outer = self._around[-1]
        path = mount.target[1:]
        if mount.target == "/":
            yield from self._whole(mount)
            return
        in_memory = isinstance(outer, Tmpfs | Directory)
        if isinstance(mount, Overlay):
            raise SandboxError(f"an overlay can only be the root of a sandbox, not {mount.target}")
        if not in_memory and not isinstance(outer, Bind | Overlay | Proc):
            raise SandboxError(f"{mount.target} cannot be inside of {outer.target}, a {_KINDS[type(outer)]}")
        if in_memory:
            yield from self._parents(mount.target)
        elif isinstance(mount, Directory | File | Symlink):
            raise SandboxError(
                f"{mount.target} cannot be made inside of {outer.target}, which is the machine's",
                path=mount.target,
            )
        match mount:
            case Directory():
                self._made.add(mount.target)
                yield ("directory", path, mount.mode)
            case File():
                yield ("file", path, mount.contents, mount.mode)
            case Symlink():
                yield ("symlink", path, mount.points_to)
            case Bind():
                yield from self._bind(mount, in_memory)
            case ReadOnly():
                yield ("bind", path, None)
                yield from self._lock(mount)
            case Tmpfs():
                self._made.add(mount.target)
                yield from self._mount_point(mount.target, in_memory)
                yield ("tmpfs", path, _options(mount))
            case Proc() | Terminals():
                yield from self._mount_point(mount.target, in_memory)
                yield ("proc" if isinstance(mount, Proc) else "terminals", path)

    def _whole(self, mount: Mount) -> Iterator[Operation]:
        """A mount that takes the place of the root in memory."""
        if isinstance(mount, Overlay):
            self._around = [mount]
            yield ("overlay", "", mount.directory)
            return
        if not isinstance(mount, Bind):
            raise SandboxError(f"the root cannot be a {_KINDS[type(mount)]}", path="/")
        self._around = [mount]
        yield ("bind", "", mount.source)
        yield from self._lock(mount)

    def _parents(self, target: str) -> Iterator[Operation]:
        missing = []
        parent = os.path.dirname(target)
        while parent not in self._made:
            missing.append(parent)
            parent = os.path.dirname(parent)
        for path in reversed(missing):
            self._made.add(path)
            yield ("directory", path[1:], 0o755)

    def _mount_point(self, target: str, in_memory: bool) -> Iterator[Operation]:
        if in_memory:
            yield ("directory", target[1:], 0o755)

    def _bind(self, mount: Bind, in_memory: bool) -> Iterator[Operation]:
        path = mount.target[1:]
        if in_memory:
            directory = self._is_directory(mount.source)
            if directory is None:
                raise SandboxError(
                    f"{mount.source} does not exist, so it cannot be shown in a sandbox", path=mount.target
                )
            yield ("directory", path, 0o755) if directory else ("file", path, b"", 0o644)
        yield ("bind", path, mount.source)
        yield from self._lock(mount)

    def _lock(self, mount: Bind | ReadOnly) -> Iterator[Operation]:
        """At once, so that what is mounted in it later may be writable."""
        if _is_read_only(mount) and mount.target not in self._grouped:
            yield ("lock", mount.target[1:], True)

    def _locks(self) -> Iterator[Operation]:
        """Read-only where things had to be made before, and the groups."""
        for mount in self._mounts:
            if mount.target in self._groups:
                yield ("lock", mount.target[1:], True)
                yield ("unlock", mount.target[1:])
            elif isinstance(mount, Tmpfs) and not mount.writable and mount.target not in self._grouped:
                yield ("lock", mount.target[1:], False)
        if not (self._mounts and self._mounts[0].target == "/"):
            yield ("lock", "", False)


def _groups(mounts: Sequence[Mount]) -> dict[str, tuple[str, ...]]:
    """Writable directories of the machine with nothing but read-only mounts in them, as a build's store.

    They are locked as a whole and then unlocked by themselves: two calls, however many mounts there are.
    """
    found: dict[str, tuple[str, ...]] = {}
    for position, outer in enumerate(mounts, 1):
        if isinstance(outer, Bind) and outer.writable:
            inside = _following(mounts[position:], outer.target)
            targets = [mount.target if _is_read_only(mount) else "" for mount in inside]
            if targets and all(targets):
                found[outer.target] = tuple(targets)
    return found


def _following(mounts: Sequence[Mount], directory: str) -> Iterator[Mount]:
    """Those inside of `directory`: in normal order they come right after it."""
    return takewhile(lambda mount: is_inside(mount.target, directory), mounts)


def _is_read_only(mount: Mount) -> bool:
    return isinstance(mount, ReadOnly) or (isinstance(mount, Bind | Tmpfs) and not mount.writable)


def _options(mount: Tmpfs) -> str:
    size = f",size={mount.size}" if mount.size is not None else ""
    return f"mode={mount.mode:o}{size}"


_KINDS: dict[type, str] = {
    Overlay: "directory with changes kept apart",
    Tmpfs: "directory in memory",
    Proc: "view of processes",
    Terminals: "set of terminals",
    Directory: "directory",
    File: "file",
    Symlink: "symbolic link",
    ReadOnly: "read-only part of another",
}


def describe(operation: Operation) -> str:
    """An operation in one line."""
    name, path, *rest = operation
    place = f"/{path}"
    match name:
        case "directory":
            return f"make the directory {place}"
        case "file":
            return f"make the file {place}"
        case "symlink":
            return f"link {place} to {rest[0]}"
        case "bind":
            return f"mount {rest[0] or place} at {place}"
        case "overlay":
            return f"mount {rest[0]}/lower at {place}, with changes in {rest[0]}/upper"
        case "lock":
            return f"make {place} read-only"
        case "unlock":
            return f"make {place} writable"
        case _:
            return f"mount {name} at {place}"
