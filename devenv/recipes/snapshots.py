"""Directory trees taken down and put back exactly: contents, modes, times to the nanosecond, hard links.

A snapshot is a list of entries; the contents of its files lie in a `Blobs`, once for all snapshots, by their SHA-256.
What one snapshot knows of a tree (`Known`) spares the next one reading the files that have not changed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Literal

_BLOCK = 1 << 20
_FICLONE = 0x40049409  # ioctl_ficlone(2)

# The kernel stamps changes with a clock that ticks each 4 ms or so: what changed just now may change once more
# without another stamp.
_TICK_NS = 50_000_000

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

Kind = Literal["directory", "file", "link", "hard link", "pipe"]


class Damaged(Exception):
    """A snapshot that cannot be put back: `what` is wrong with it. Never leaves this package."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `path` is relative to the snapshot's root, "" the root itself.

    `data`: a file's SHA-256, a symbolic link's target, or the path that a hard link is another name of.
    """

    path: str
    kind: Kind
    mode: int
    time_ns: int
    size: int = 0
    data: str = ""


Signature = tuple[int, int, int, int, int]
# Path -> what stat(2) said of a file, and its SHA-256.
Known = dict[str, tuple[Signature, str]]


class Blobs:
    """Contents of files by their SHA-256, below one directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._made: set[str] = set()
        self._count = 0
        self.written = 0  # bytes

    def path(self, digest: str) -> str:
        return os.path.join(self.directory, digest[:2], digest[2:])

    def add(self, source: str) -> tuple[str, int]:
        """Keep the contents of a file: their digest and size. Raises OSError."""
        descriptor = os.open(source, _READ)
        try:
            size = os.fstat(descriptor).st_size
            if size <= _BLOCK:
                data = _read_all(descriptor)
                digest = hashlib.sha256(data).hexdigest()
                if not os.path.exists(self.path(digest)):
                    self._keep(digest, len(data), lambda target: _write_all(target, data))
                return digest, len(data)
            return self._add_large(descriptor)
        finally:
            os.close(descriptor)

    def _add_large(self, descriptor: int) -> tuple[str, int]:
        digest, size = _hash_of(descriptor)
        if not os.path.exists(self.path(digest)):

            def copy(target: int) -> None:
                os.lseek(descriptor, 0, os.SEEK_SET)
                found, _ = _copy(descriptor, target)
                if found != digest:
                    raise OSError(errno.EBUSY, "it changed while it was copied")

            self._keep(digest, size, copy)
        return digest, size

    def _keep(self, digest: str, size: int, write: Callable[[int], object]) -> None:
        place = self.path(digest)
        folder = os.path.dirname(place)
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        self._count += 1
        aside = os.path.join(folder, f".{os.getpid()}-{self._count}")
        target = os.open(aside, _CREATE, 0o600)
        try:
            write(target)
            os.fchmod(target, 0o400)
            os.rename(aside, place)
        except BaseException:
            os.unlink(aside)
            raise
        finally:
            os.close(target)
        self.written += size

    def restore(self, digest: str, target: str) -> None:
        """Write the contents to a new file. Raises Damaged when they are not what they were, and drops them."""
        place = self.path(digest)
        try:
            source = os.open(place, _READ)
        except OSError as error:
            raise Damaged(f"the contents of a file are gone ({error.strerror})") from error
        try:
            written = os.open(target, _CREATE, 0o600)
            try:
                found, _ = _copy(source, written)
            finally:
                os.close(written)
        finally:
            os.close(source)
        if found != digest:
            with suppress(OSError):
                os.unlink(place)
            raise Damaged("the contents of a file are not what they were")


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, _BLOCK):
        parts.append(part)
    return b"".join(parts)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _hash_of(descriptor: int) -> tuple[str, int]:
    digest = hashlib.sha256()
    size = 0
    while part := os.read(descriptor, _BLOCK):
        digest.update(part)
        size += len(part)
    return digest.hexdigest(), size


def _copy(source: int, target: int) -> tuple[str, int]:
    """Copy a file, without moving its bytes where the file system can share them; their digest and size."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        digest = hashlib.sha256()
        size = 0
        while part := os.read(source, _BLOCK):
            digest.update(part)
            _write_all(target, part)
            size += len(part)
        return digest.hexdigest(), size
    return _hash_of(target)


# Taking


def take(root: str, blobs: Blobs, known: Known, leave_out: Iterable[str] = ()) -> tuple[list[Entry], Known]:
    """The tree at `root`, and what is known of it now. A root that does not exist has no entries.

    `leave_out`: paths that are no part of it. Sockets and devices are left out. Nobody may change the tree
    meanwhile. Raises OSError.
    """
    entries: list[Entry] = []
    found: Known = {}
    links: dict[tuple[int, int], str] = {}
    fresh = time.time_ns() - _TICK_NS
    with ExitStack() as opened:
        for path, status in _walk(root, frozenset(leave_out), opened):
            full = os.path.join(root, path) if path else root
            entry = _entry(full, path, status, blobs, known, links)
            if entry is None:
                continue
            entries.append(entry)
            if entry.kind == "file" and status.st_ctime_ns < fresh:
                found[path] = signature(status), entry.data
    return entries, found


def _walk(root: str, leave_out: frozenset[str], opened: ExitStack) -> Iterator[tuple[str, os.stat_result]]:
    """Each path with its status, a directory before what is in it, siblings sorted.

    Directories that their owner may not read are readable until `opened` is closed.
    """
    try:
        status = os.lstat(root)
    except FileNotFoundError:
        return
    yield "", status
    stack = [("", status)]
    while stack:
        path, status = stack.pop()
        if not stat.S_ISDIR(status.st_mode):
            continue
        full = os.path.join(root, path) if path else root
        if status.st_mode & 0o500 != 0o500:
            mode = stat.S_IMODE(status.st_mode)
            os.chmod(full, mode | 0o500)
            opened.callback(os.chmod, full, mode)
        inside = [os.path.join(path, name) for name in sorted(os.listdir(full))]
        found = [(inner, os.lstat(os.path.join(root, inner))) for inner in inside if inner not in leave_out]
        yield from found
        stack.extend(reversed(found))


def signature(status: os.stat_result) -> Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def _entry(
    full: str,
    path: str,
    status: os.stat_result,
    blobs: Blobs,
    known: Known,
    links: dict[tuple[int, int], str],
) -> Entry | None:
    mode, moment = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        return Entry(path, "directory", mode, moment)
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", 0o777, moment, 0, os.readlink(full))
    if stat.S_ISFIFO(status.st_mode):
        return Entry(path, "pipe", mode, moment)
    if not stat.S_ISREG(status.st_mode):
        return None
    if status.st_nlink > 1:
        first = links.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            return Entry(path, "hard link", mode, moment, 0, first)
    before = known.get(path)
    if before is not None and before[0] == signature(status) and os.path.exists(blobs.path(before[1])):
        return Entry(path, "file", mode, moment, status.st_size, before[1])
    if not mode & stat.S_IRUSR:
        os.chmod(full, mode | stat.S_IRUSR)
    try:
        digest, size = blobs.add(full)
    finally:
        if not mode & stat.S_IRUSR:
            os.chmod(full, mode)
    return Entry(path, "file", mode, moment, size, digest)


# Putting back


def put_back(entries: Iterable[Entry], root: str, blobs: Blobs) -> Known:
    """Make the tree at `root`, where nothing is, and say what is known of it. Raises Damaged and OSError."""
    directories: list[Entry] = []
    made: dict[str, Entry] = {}
    for entry in entries:
        _check_place(entry, made)
        made[entry.path] = entry
        full = os.path.join(root, entry.path) if entry.path else root
        if entry.kind == "directory":
            os.mkdir(full, 0o700)
            directories.append(entry)
        else:
            _make(entry, full, root, made, blobs)
    for entry in reversed(directories):
        full = os.path.join(root, entry.path) if entry.path else root
        os.utime(full, ns=(entry.time_ns, entry.time_ns))
        os.chmod(full, entry.mode)
    return _known(root, made)


def _check_place(entry: Entry, made: Mapping[str, Entry]) -> None:
    """Refuse what would leave the root: an entry lies in a directory that came before it."""
    parent, _, name = entry.path.rpartition("/")
    if entry.path in made or name in (".", "..") or (not name and entry.path) or "\0" in entry.path:
        raise Damaged(f"it names {entry.path!r} twice, or no file at all")
    if entry.path and (parent not in made or made[parent].kind != "directory"):
        raise Damaged(f"it holds {entry.path!r} in no directory")


def _make(entry: Entry, full: str, root: str, made: Mapping[str, Entry], blobs: Blobs) -> None:
    if entry.kind == "link":
        os.symlink(entry.data, full)
        os.utime(full, ns=(entry.time_ns, entry.time_ns), follow_symlinks=False)
        return
    if entry.kind == "hard link":
        first = made.get(entry.data)
        if first is None or first.kind != "file":
            raise Damaged(f"it holds {entry.path!r} as another name of no file")
        os.link(os.path.join(root, entry.data), full)
        return
    if entry.kind == "pipe":
        os.mkfifo(full, 0o600)
    else:
        blobs.restore(entry.data, full)
    os.chmod(full, entry.mode)
    os.utime(full, ns=(entry.time_ns, entry.time_ns))


def _known(root: str, made: Mapping[str, Entry]) -> Known:
    fresh = time.time_ns() - _TICK_NS
    found: Known = {}
    for path, entry in made.items():
        if entry.kind == "file":
            try:
                status = os.lstat(os.path.join(root, path) if path else root)
            except PermissionError:
                continue  # in a directory that its owner may not enter
            if status.st_ctime_ns < fresh:
                found[path] = signature(status), entry.data
    return found
