"""Putting operations of a view in place, and taking away what earlier ones placed.

Nothing is written through a symbolic link: each directory on the way is seen to be a real one first. Files
of the store are never written to; what is in the way is unlinked.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from devenv.events import Notice, Reporter
from devenv.views.journal import same_file
from devenv.views.operations import (
    DISPLACED,
    OWN_NAMES,
    File,
    Op,
    Provided,
    Symlink,
    Tree,
    ViewError,
    above,
    is_skipped,
)

# What files of a store object have as modification time: Nix makes it one second after the epoch.
_STORE_TIME = 1
_FICLONE = 0x40049409  # ioctl_ficlone(2)


# More than this make links no faster: they wait for the file system's journal.
_THREADS = min(4, len(os.sched_getaffinity(0)))
# What is looked at before helpers are started: where links are cheap, threads would wait for the interpreter only.
_TRIAL = 256  # entries
_DEAR = 20e-6  # seconds of a processor for an entry

Directory = tuple[Tree, str, str]  # of this tree, its path in the store, and its path in the view
# Places what lies directly in one; gives the directories in it and how many other entries it has.
PlaceDirectory = Callable[[Tree, str, str], tuple[list[Directory], int]]


class Directories:
    """Directories to place, each of which may lead to more, shared out among threads."""

    def __init__(self, place: PlaceDirectory) -> None:
        self._place = place
        self._left: list[Directory] = []
        self._under_way = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._failure: BaseException | None = None

    def add(self, directory: Directory) -> None:
        """One more to do. To be called before `run`."""
        self._left.append(directory)

    def run(self, threads: int) -> None:
        """Place everything, and what that leads to. Raises the first error of placing, when all have stopped."""
        helpers: list[threading.Thread] = []
        if threads > 1 and self._is_dear():
            helpers += [threading.Thread(target=self._work) for _ in range(threads - 1)]
        for helper in helpers:
            helper.start()
        try:
            self._work()
        finally:
            self._stop(None)
            for helper in helpers:
                helper.join()
        if self._failure is not None:
            raise self._failure

    def _is_dear(self) -> bool:
        """Whether the rest is work for several, judging by the first of it."""
        begun, entries = time.thread_time(), 0
        while self._left and entries < _TRIAL:
            found, count = self._place(*self._left.pop())
            self._left += found
            entries += count
        return bool(self._left) and time.thread_time() - begun > entries * _DEAR

    def _work(self) -> None:
        try:
            while (directory := self._next()) is not None:
                self._done(self._place(*directory)[0])
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            self._stop(error)

    def _next(self) -> Directory | None:
        """The next directory. Waits while there is none but another thread may find some; None at the end."""
        with self._changed:
            while not self._left and self._under_way and not self._stopped:
                self._changed.wait()
            if self._stopped or not self._left:
                return None
            self._under_way += 1
            return self._left.pop()

    def _done(self, found: list[Directory]) -> None:
        with self._changed:
            self._under_way -= 1
            self._left += found
            self._changed.notify_all()

    def _stop(self, error: BaseException | None) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._stopped = True
            self._failure = self._failure or error
            self._changed.notify_all()


def rename_free(path: str, wanted: str) -> str:
    """Rename to `wanted`, or to `wanted`-2, -3 ... where that is taken."""
    for number in range(1, 10_000):
        target = wanted if number == 1 else f"{wanted}-{number}"
        if not os.path.lexists(target):
            os.rename(path, target)
            return target
    raise OSError(errno.EEXIST, "all names are taken", wanted)


class Remover:
    """Takes away what operations of an earlier composition placed, and nothing else."""

    def __init__(self, root: str, kept: Provided) -> None:
        self.root = root
        self.kept = kept

    def remove(self, op: Op) -> None:
        """Remove what `op` placed, unless what is kept gives it too, and the directories left empty."""
        path = f"{self.root}/{op.dest}" if op.dest else self.root
        if not _is_real_below(self.root, op.dest):
            return  # the user put a link in place of a directory; what it leads to is not ours
        if isinstance(op, Tree):
            self._remove_tree(op, path)
        elif isinstance(op, Symlink):
            if _link_target(path) == op.target and op.dest not in self.kept.single:
                os.unlink(path)
        elif op.dest not in self.kept.single:
            _unlink_file(path)
        self._prune(op.dest)

    def uncover(self, dest: str) -> None:
        """Remove what kept trees have below `dest`, where a link or file is to lie from now on."""
        for tree, source in list(self.kept.givers(dest)):
            if is_directory(source) and _is_real_below(self.root, dest):
                self._remove_entries(tree, source, dest, f"{self.root}/{dest}", shared=False)

    def _remove_tree(self, op: Tree, path: str) -> None:
        shared = self.kept.touches(op.dest)
        if os.path.lexists(op.source):
            self._remove_entries(op, op.source, op.dest, path, shared)
        else:
            self._remove_orphans(op.dest, path)

    def _remove_entries(self, op: Tree, source: str, dest: str, path: str, shared: bool) -> None:
        """Remove what is in `source` from `path`, then `path` itself if that leaves it empty."""
        if not is_directory(source):
            if not (shared and self.kept.gives(dest)):
                _unlink_file(path)
            return
        if not is_directory(path):
            return
        with os.scandir(source) as entries:
            for entry in entries:
                inner = f"{dest}/{entry.name}" if dest else entry.name
                if is_skipped(op, inner[len(op.dest) + 1 :] if op.dest else inner) or inner in OWN_NAMES:
                    continue
                below = f"{path}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    self._remove_entries(op, entry.path, inner, below, shared)
                elif not (shared and self.kept.gives(inner)):
                    _unlink_file(below)
        if dest and not (shared and self.kept.gives(dest)):
            _rmdir(path)

    def _remove_orphans(self, dest: str, path: str) -> None:
        """The store object is gone: its files are those that still carry a store's modification time."""
        if not is_directory(path):
            if _has_store_time(path) and not self.kept.gives(dest):
                _unlink_file(path)
            return
        for name in os.listdir(path):
            inner = f"{dest}/{name}" if dest else name
            if inner not in OWN_NAMES:
                self._remove_orphans(inner, f"{path}/{name}")
        if dest and not self.kept.gives(dest):
            _rmdir(path)

    def _prune(self, dest: str) -> None:
        """Remove the directories above `dest` that are empty now."""
        for higher in above(dest):
            path = f"{self.root}/{higher}"
            if self.kept.gives(higher) or not (_rmdir(path) or not os.path.lexists(path)):
                return


class Placer:
    """Puts operations in place, taking over what is there already and right.

    Trees are placed by several threads, a directory at a time: making links is the kernel's work, which does not need the
    interpreter. What is in the way is dealt with by one of them at a time.
    """

    def __init__(self, root: str, ops: Sequence[Op], reporter: Reporter) -> None:
        self.root = root
        self._in_the_way = threading.Lock()
        self.provided = Provided(ops)
        self.single = {f"{root}/{dest}" for dest in self.provided.single}
        self.reporter = reporter
        self.real = {root}  # directories that were seen not to be links
        self.can_link = True

    def place_trees(self, ops: Sequence[Tree]) -> None:
        """Put trees in place. Raises `ViewError` where two of them contradict each other."""
        work = Directories(self._place_directory)
        for op in ops:
            path = self._at(op)
            if not os.path.lexists(op.source):
                raise ViewError(f"{op.source} is missing, which belongs at {path}", root=self.root)
            if is_directory(op.source):
                work.add((op, op.source, path))
            else:
                self._place_file(op, op.source, path)
        work.run(_THREADS)

    def _at(self, op: Op) -> str:
        """Where an operation's thing belongs; the directories above it are made."""
        for higher in reversed(list(above(op.dest))):
            self._make_directory(f"{self.root}/{higher}")
        return f"{self.root}/{op.dest}" if op.dest else self.root

    def place(self, op: Symlink | File) -> None:
        """Put one link or file in place."""
        path = self._at(op)
        if isinstance(op, Symlink):
            if _link_target(path) != op.target:
                self._clear(path)
                os.symlink(op.target, path)
        else:
            self._clear(path)
            mode = 0o755 if op.executable else 0o644
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(op.contents)

    def _make_directory(self, path: str) -> None:
        """A real directory at `path`; a link or file there gives way if no operation placed it."""
        if path in self.real:
            return
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            with self._in_the_way:
                if not is_directory(path):
                    givers = self.provided.givers(path[len(self.root) + 1 :])
                    if any(not is_directory(source) for _, source in givers):
                        raise self._both_kinds(path) from None
                    os.unlink(path)
                    os.mkdir(path, 0o755)
        self.real.add(path)

    def _place_directory(self, op: Tree, source: str, target: str) -> tuple[list[Directory], int]:
        """As `PlaceDirectory`. Trees have tens of thousands of files, so what is done for each is written out."""
        self._make_directory(target)
        inside: list[Directory] = []
        skip, single, link, count = op.skip, self.single, os.link, 0
        cut, own = len(op.source) + 1, OWN_NAMES if target == self.root else ()
        with os.scandir(source) as entries:
            for entry in entries:
                below = f"{target}/{entry.name}"
                # What lies in a directory that is left out is never come to.
                if below in single or (skip and entry.path[cut:] in skip) or entry.name in own:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inside.append((op, entry.path, below))
                    continue
                count += 1
                if self.can_link and not entry.is_symlink():
                    try:
                        link(entry.path, below)
                        continue
                    except OSError:
                        pass  # tried again with a look at what is wrong
                self._place_file(op, entry.path, below)
        return inside, count

    def _place_file(self, op: Tree, source: str, path: str) -> None:
        """A file or symbolic link of the store at `path`, whatever lies there now."""
        try:
            self._put(source, path)
            return
        except FileExistsError:
            pass
        with self._in_the_way:
            while not self._is_right(op, source, path):
                self._clear(path)
                # Another thread may have put the same file there meanwhile.
                with suppress(FileExistsError):
                    self._put(source, path)
                    return

    def _put(self, source: str, path: str) -> None:
        """Link, reflink or copy to a path that must be free; `FileExistsError` if it is not."""
        status = os.lstat(source)
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(source), path)
            os.utime(path, (_STORE_TIME, _STORE_TIME), follow_symlinks=False)
            return
        if not stat.S_ISREG(status.st_mode):
            raise ViewError(f"{source} is neither file, directory nor symbolic link", root=self.root)
        if self.can_link:
            try:
                os.link(source, path)
                return
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP):
                    self.can_link = False  # so it will be for all others
                elif error.errno != errno.EMLINK:
                    raise
        _copy(source, path, 0o755 if status.st_mode & 0o100 else 0o644)

    def _is_right(self, op: Tree, source: str, path: str) -> bool:
        """Whether the thing at `path` may stay: it is the same file, or another tree gives an equal one."""
        wanted = os.lstat(source)
        if same_file(path, wanted):
            return True
        if stat.S_ISLNK(wanted.st_mode) and _link_target(path) == os.readlink(source):
            return True
        relative = path[len(self.root) + 1 :]
        if relative in self.provided.directories:
            raise self._both_kinds(path)
        others = [(tree, other) for tree, other in self.provided.givers(relative) if other != source]
        for tree, other in others:
            if not equal(source, other):
                raise ViewError(
                    f"{relative} differs between {op.source} and {tree.source}, which both have it",
                    hint="Only one of the two can be in one environment.",
                    root=self.root,
                )
        return bool(others) and equal(source, path)

    def _both_kinds(self, path: str) -> ViewError:
        relative = path[len(self.root) + 1 :]
        places = {
            is_directory(source): f"in {tree.source}" for tree, source in self.provided.givers(relative)
        }
        return ViewError(
            f"{relative} is a file {places.get(False, 'elsewhere')} and a directory {places.get(True, 'elsewhere')}",
            hint="Only one of the two can be in one environment.",
            root=self.root,
        )

    def _clear(self, path: str) -> None:
        """Make `path` free. A directory of the user's is kept, under another name."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM) or not is_directory(path):
                raise
            if _rmdir(path):
                return
            kept = f"{self.root}/{DISPLACED}"
            os.makedirs(kept, exist_ok=True)
            moved = rename_free(path, f"{kept}/{os.path.basename(path)}")
            self.reporter.event(Notice(text=f"{path} was in the way and is now {moved}"))


def _copy(source: str, path: str, mode: int) -> None:
    """A file of its own with the contents of `source`: shares blocks where the file system can."""
    import fcntl

    with open(source, "rb") as reader:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as writer:
            try:
                fcntl.ioctl(descriptor, _FICLONE, reader.fileno())
            except OSError:
                while os.sendfile(descriptor, reader.fileno(), None, 1 << 30):
                    pass
            os.utime(writer.fileno(), (_STORE_TIME, _STORE_TIME))


def equal(one: str, other: str) -> bool:
    """Whether two files or links are the same, contents and kind."""
    first, second = os.lstat(one), os.lstat(other)
    if stat.S_IFMT(first.st_mode) != stat.S_IFMT(second.st_mode):
        return False
    if stat.S_ISLNK(first.st_mode):
        return os.readlink(one) == os.readlink(other)
    if first.st_size != second.st_size or not stat.S_ISREG(first.st_mode):
        return False
    with open(one, "rb") as left, open(other, "rb") as right:
        while block := left.read(1 << 20):
            if block != right.read(1 << 20):
                return False
    return True


def _is_real_below(root: str, dest: str) -> bool:
    """Whether each directory above `dest` is a real one, as far as they are there."""
    paths = (f"{root}/{higher}" for higher in above(dest))
    return all(is_directory(path) or not os.path.lexists(path) for path in paths)


def is_directory(path: str) -> bool:
    """Whether there is a directory itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _has_store_time(path: str) -> bool:
    try:
        return int(os.lstat(path).st_mtime) == _STORE_TIME
    except OSError:
        return False


def _link_target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _unlink_file(path: str) -> None:
    """Remove what is not a directory; one that the user put there stays."""
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            os.unlink(path)
        except IsADirectoryError:
            return


def _rmdir(path: str) -> bool:
    """Remove a directory if it is empty."""
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True
