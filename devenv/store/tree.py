"""File trees on disk and NAR streams, in both directions, in one pass and with little memory.

A tree in the store is canonical: files have mode 0444 or, when their owner may execute them, 0555, directories
0555, and everything was modified one second after 1970 began. Trees are written so to begin with: a second pass
costs more than the first.

The work is done on bytes, since file names are bytes, with four system calls for a small file. Errors are
`StoreError`; what exists only half is left for the owner of the temporary directory to remove.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from devenv.formats import nar
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.nar_unpack import unpack
from devenv.formats.store_path import StorePath
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.references import ReferenceScanner

_CHUNK = 256 * 1024  # NAR bytes gathered before they are hashed: a call costs as much as some kilobytes
_OVERHEAD = 300  # bytes that a file's node has beside contents, more or less
_CLOSE_FILE = nar.CLOSE + nar.CLOSE  # the node and its entry
_PADDING = tuple(nar.padding(-missing) for missing in range(8))
_BLOCK = 1024 * 1024  # files up to this are read at once, larger ones in pieces of it

# O_NONBLOCK keeps a pipe that has taken a file's place from blocking us for ever.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

_DIRECTORY, _FILE, _PROGRAM = 0o555, 0o444, 0o555  # modes
_EPOCH = (1, 1)  # access and modification time, seconds
_MODIFIED_NS = 1_000_000_000

# Attributes that a file system puts on every file by itself, or that only root may remove.
_KEPT_ATTRIBUTES = frozenset({"security.selinux", "security.csm", "system.nfs4_acl"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What one pass over a tree found. `nar_size` is in bytes, `references` are sorted."""

    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...]


def scan(path: str, candidates: Collection[StorePath]) -> Scanned:
    """The SHA-256 and size of a tree's NAR, and which of `candidates` occur in it."""
    return _measure(dump(path), candidates)


def dump(path: str) -> Iterator[bytes]:
    """The NAR of a file, link or directory, in chunks of some 256 KiB."""
    with explaining("reading", path):
        yield from _chunks(os.fsencode(path), None)


def copy_and_scan(source: str, target: str, candidates: Collection[StorePath]) -> Scanned:
    """Copy a tree, canonical, and scan just those bytes that are written. `target` must not exist."""
    with explaining("copying", source):
        return _measure(_chunks(os.fsencode(source), os.fsencode(target)), candidates)


def copy_tree(source: str, target: str) -> None:
    """Copy a tree, canonical. `target` must not exist."""
    with explaining("copying", source):
        for _ in _chunks(os.fsencode(source), os.fsencode(target)):
            pass


def _measure(chunks: Iterable[bytes], candidates: Collection[StorePath]) -> Scanned:
    digest = hashlib.sha256()
    scanner = ReferenceScanner(candidates)
    size = 0
    for chunk in chunks:
        digest.update(chunk)
        scanner.feed(chunk)
        size += len(chunk)
    return Scanned(nar_hash=Hash("sha256", digest.digest()), nar_size=size, references=scanner.found)


def _chunks(source: bytes, copy: bytes | None) -> Iterator[bytes]:
    """The NAR of `source` in chunks of some 256 KiB, copying it to `copy` on the way where that is given.

    Directories are on an explicit stack: trees may be deeper than Python's own stack. Trees of many small files spend
    their time here, so what is done for each of these is written out: no generator hands on a piece of a file.
    """
    mode = os.lstat(source).st_mode
    if not stat.S_ISDIR(mode):
        yield nar.MAGIC
        yield from _leaf(source, copy, mode)
        return
    parts, size = [nar.MAGIC, nar.DIRECTORY], 0
    stack = [_enter(source, copy)]
    while stack:
        entries, copied = stack[-1]
        for entry in entries:
            name = entry.name
            parts += (nar.ENTRY, len(name).to_bytes(8, "little"), name, _PADDING[-len(name) % 8], nar.NODE)
            target = None if copied is None else copied + b"/" + name
            if entry.is_dir(follow_symlinks=False):
                parts.append(nar.DIRECTORY)
                stack.append(_enter(entry.path, target))
                break
            file = _small(entry.path) if entry.is_file(follow_symlinks=False) else None
            if file is None:
                yield b"".join(parts)
                yield from _leaf(entry.path, target, os.lstat(entry.path).st_mode)
                parts, size = [nar.CLOSE], 0
                continue
            executable, data = file
            if target is not None:
                write_file(target, data, executable=executable)
            length = len(data)
            head = nar.EXECUTABLE if executable else nar.FILE
            parts += (head, length.to_bytes(8, "little"), data, _PADDING[-length % 8], _CLOSE_FILE)
            size += length + _OVERHEAD
            if size >= _CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
        else:
            stack.pop()
            if copied is not None:
                seal(copied)
            parts.append(nar.CLOSE + nar.CLOSE if stack else nar.CLOSE)
    yield b"".join(parts)


def _enter(directory: bytes, copy: bytes | None) -> tuple[Iterator[os.DirEntry[bytes]], bytes | None]:
    if copy is not None:
        os.mkdir(copy, 0o700)
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return iter(entries), copy


def make_writable(directory: str | bytes) -> None:
    """Let entries of a canonical directory be replaced, and itself be moved. Raises OSError."""
    os.chmod(directory, 0o700)


def seal(directory: str | bytes) -> None:
    """Make a directory canonical; its entries are not looked at. Raises OSError."""
    os.chmod(directory, _DIRECTORY)
    os.utime(directory, _EPOCH)


def _leaf(path: bytes, copy: bytes | None, mode: int) -> Iterable[bytes]:
    """The node of a file or link."""
    if stat.S_ISREG(mode):
        return _large(path, copy)
    if stat.S_ISLNK(mode):
        target = os.readlink(path)
        if copy is not None:
            os.symlink(target, copy)
            os.utime(copy, _EPOCH, follow_symlinks=False)
        return (b"".join((nar.SYMLINK, nar.frame(target), nar.CLOSE)),)
    raise _unsupported(path, mode)


def _unsupported(path: bytes, mode: int) -> StoreError:
    kinds = (
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
    )
    kind = next((name for test, name in kinds if test(mode)), "of an unknown kind")
    return StoreError(
        f"{shown(path)} is {kind}: the store holds files, directories and symbolic links only",
        hint="Remove it, or leave it out of what goes into the store.",
        path=os.fsdecode(path),
    )


def _small(path: bytes) -> tuple[bool, bytes] | None:
    """Whether a file may be executed, and its contents; None for one that is better read in pieces."""
    descriptor = os.open(path, _READ)
    try:
        status = os.fstat(descriptor)
        mode, size = status.st_mode, status.st_size
        if not stat.S_ISREG(mode):
            raise _unsupported(path, mode)
        if size > _BLOCK:
            return None
        data = os.read(descriptor, size)
        if len(data) < size:
            data += _read(descriptor, size - len(data), path)
        return bool(mode & stat.S_IXUSR), data
    finally:
        os.close(descriptor)


def _file_head(size: int, executable: bool) -> bytes:
    return (nar.EXECUTABLE if executable else nar.FILE) + nar.frame_size(size)


def _examine(descriptor: int, path: bytes) -> tuple[bool, int]:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _unsupported(path, status.st_mode)
    return bool(status.st_mode & stat.S_IXUSR), status.st_size


def _read(descriptor: int, size: int, path: bytes) -> bytes:
    """Exactly `size` bytes: the NAR has announced that many."""
    data = os.read(descriptor, size) if size else b""
    while len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            raise StoreError(
                f"{shown(path)} became shorter while it was read",
                hint="Wait for the program that writes it, then try again.",
                path=os.fsdecode(path),
            )
        data += more
    return data


def _large(path: bytes, copy: bytes | None) -> Iterator[bytes]:
    descriptor = os.open(path, _READ)
    written = -1
    try:
        executable, size = _examine(descriptor, path)
        if copy is not None:
            written = os.open(copy, _WRITE, 0o600)
        yield _file_head(size, executable)
        blocks = _blocks(descriptor, size, path)
        yield from blocks if written < 0 else _written_meanwhile(written, blocks)
        if written >= 0:
            _finish(written, executable)
        yield nar.padding(size) + nar.CLOSE
    finally:
        os.close(descriptor)
        if written >= 0:
            os.close(written)


def _blocks(descriptor: int, size: int, path: bytes) -> Iterator[bytes]:
    left = size
    while left:
        block = _read(descriptor, min(left, _BLOCK), path)
        left -= len(block)
        yield block


def _written_meanwhile(descriptor: int, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Give `blocks` on while a thread writes them: who takes them hashes them, and neither needs the interpreter."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        for block in blocks:
            writing = thread.submit(_write, descriptor, block)
            yield block
            writing.result()


def write_file(path: str | bytes, data: bytes, *, executable: bool = False) -> None:
    """Write a new canonical file. Raises OSError."""
    descriptor = os.open(path, _WRITE, 0o600)
    try:
        _write(descriptor, data)
        _finish(descriptor, executable)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data) if data else 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _finish(descriptor: int, executable: bool) -> None:
    # Not left to the mode given to open(2): the umask would take bits away.
    os.fchmod(descriptor, _PROGRAM if executable else _FILE)
    os.utime(descriptor, _EPOCH)


def file_nar(data: bytes) -> Scanned:
    """What `scan` would say about a file with these contents, without looking for references."""
    size = len(data)
    parts = (nar.MAGIC, _file_head(size, False), data, nar.padding(size), nar.CLOSE)
    return _measure((b"".join(parts),), ())


def restore(stream: Iterable[bytes], target: str) -> None:
    """Write the tree of a NAR, however its bytes are cut, canonical. `target` must not exist. Raises StoreError."""
    with explaining("restoring", target):
        try:
            unpack(stream, _TreeWriter(os.fsencode(target)))
        except FormatError as error:
            raise StoreError(f"restoring {shown(target)}: {error}", hint=error.hint, path=target) from error


class _TreeWriter:
    """A `Sink` that writes to disk.

    Names are checked and unlike each other, and every directory is new: nothing leads out of `target`.
    """

    def __init__(self, target: bytes) -> None:
        self._place = target  # what an entry's name is put behind
        self._above: list[bytes] = []
        # Whether a mode given to open(2) is not what the file gets. Found out for directories only, where it saves
        # a call for each file.
        self._masked = True

    def file(self, name: bytes, executable: bool, data: bytes) -> None:
        mode = _PROGRAM if executable else _FILE
        descriptor = os.open(self._place + name, _WRITE, mode)
        try:
            if data and os.write(descriptor, data) != len(data):
                os.lseek(descriptor, 0, os.SEEK_SET)
                _write(descriptor, data)
            if self._masked:
                os.fchmod(descriptor, mode)
            os.utime(descriptor, _EPOCH)
        finally:
            os.close(descriptor)

    def large_file(self, name: bytes, executable: bool, pieces: Iterator[bytes]) -> None:
        descriptor = os.open(self._place + name, _WRITE, 0o600)
        try:
            for piece in pieces:
                _write(descriptor, piece)
            _finish(descriptor, executable)
        finally:
            os.close(descriptor)

    def symlink(self, name: bytes, target: bytes) -> None:
        os.symlink(target, self._place + name)
        os.utime(self._place + name, _EPOCH, follow_symlinks=False)

    def enter(self, name: bytes) -> None:
        path = self._place + name
        os.mkdir(path, 0o700)
        if not self._above:
            self._masked = bool(_umask() & 0o555)
        self._above.append(self._place)
        self._place = path + b"/"

    def leave(self) -> None:
        seal(self._place)
        self._place = self._above.pop()


def make_ordinary(path: str) -> None:
    """Give a tree outside of a store the modes that new files get, and the present time."""
    masked = _umask() & 0o777
    with explaining("setting permissions", path):
        pending = [os.fsencode(path)]
        while pending:
            name = pending.pop()
            mode = os.lstat(name).st_mode
            if stat.S_ISDIR(mode):
                make_writable(name)
                with os.scandir(name) as entries:
                    pending.extend(entry.path for entry in entries)
            if not stat.S_ISLNK(mode):
                os.chmod(name, (0o777 if mode & stat.S_IXUSR else 0o666) & ~masked)
            os.utime(name, follow_symlinks=False)


def _umask() -> int:
    """The process's umask, without the moment in which os.umask() changes it for all threads."""
    try:
        with open("/proc/self/status", "rb") as file:
            found = next(line for line in file if line.startswith(b"Umask:"))
        return int(found.split()[1], 8)
    except (OSError, StopIteration, ValueError, IndexError):
        return 0o777  # not known: every mode is set


def canonicalise(path: str) -> None:
    """Make a tree canonical in place. Files of other kinds than the store's three are `StoreError`."""
    with explaining("preparing for the store", path):
        pending = [os.fsencode(path)]
        while pending:
            name = pending.pop()
            if _canonicalise_one(name):
                with os.scandir(name) as entries:
                    pending.extend(entry.path for entry in entries)


def _canonicalise_one(name: bytes) -> bool:
    """Whether it is a directory."""
    status = os.lstat(name)
    mode = status.st_mode
    directory = stat.S_ISDIR(mode)
    if directory or stat.S_ISREG(mode):
        _remove_attributes(name, mode)
        wanted = _DIRECTORY if directory else _PROGRAM if mode & stat.S_IXUSR else _FILE
        if stat.S_IMODE(mode) != wanted:
            os.chmod(name, wanted)
    elif not stat.S_ISLNK(mode):
        raise _unsupported(name, mode)
    if status.st_mtime_ns != _MODIFIED_NS:
        os.utime(name, _EPOCH, follow_symlinks=False)
    return directory


def _remove_attributes(name: bytes, mode: int) -> None:
    try:
        found = os.listxattr(name, follow_symlinks=False)
    except OSError:
        return  # a file system without any
    removed = [attribute for attribute in found if attribute not in _KEPT_ATTRIBUTES]
    if removed:
        os.chmod(name, stat.S_IMODE(mode) | stat.S_IWUSR)
        for attribute in removed:
            os.removexattr(name, attribute, follow_symlinks=False)
        os.chmod(name, stat.S_IMODE(mode))


def remove(path: str) -> None:
    """Delete a tree, read-only or not. Nothing there is as good."""
    with explaining("removing", path):
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                return
        except FileNotFoundError:
            return
        try:
            _remove_directory(os.fsencode(path))
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            _flatten(os.fsencode(path))
            _remove_directory(os.fsencode(path))


def _remove_directory(path: bytes) -> None:
    directories = [path]
    for directory in directories:  # grows meanwhile
        os.chmod(directory, 0o700)
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                else:
                    os.unlink(entry.path)
    for directory in reversed(directories):
        os.rmdir(directory)


def _flatten(top: bytes) -> None:
    """Move all directories in `top` directly into it: some are too deep to be named.

    Programs may make such trees, by names relative to where they are.
    """
    directories = [top]
    for directory in directories:  # grows meanwhile
        os.chmod(directory, 0o700)
        with os.scandir(directory) as entries:
            inside = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for path in inside:
            os.chmod(path, 0o700)
            place = os.path.join(top, os.urandom(12).hex().encode())
            os.rename(path, place)
            directories.append(place)


def move(source: str, target: str) -> None:
    """Rename a canonical tree to another directory of the file system. Raises OSError.

    The owner of a read-only directory may not move it elsewhere, as its ".." changes: it is made writable
    for that moment.
    """
    if not stat.S_ISDIR(os.lstat(source).st_mode):
        os.rename(source, target)
        return
    os.chmod(source, 0o700)
    os.rename(source, target)
    seal(target)
