"""Finding all roots of a store: links below gcroots and profiles, temporary roots, and what processes use.

The same places as Nix looks at, so that both collectors keep the same, and a little more of processes: files that
were replaced while mapped, and store objects that are mounted elsewhere, as in a sandbox.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from devenv.formats.store_path import StorePath
from devenv.store.collect import DEFAULT_POLICY, Policy, reached_from
from devenv.store.errors import explaining
from devenv.store.layout import Layout
from devenv.store.locks import discard_lock_file, try_lock
from devenv.store.objects import Objects


@dataclass(frozen=True, slots=True, order=True)
class Root:
    """`link` says what keeps `path`: a symbolic link, a file of /proc, or "{temp:PID}" of a running process."""

    path: StorePath
    link: str


class RootSearch:
    """One search for the roots of a store. `is_valid` says which paths are registered: others are no roots."""

    def __init__(self, layout: Layout, valid: Container[str]) -> None:
        self._layout = layout
        self._valid = valid
        self._prefix = f"{layout.store}/"
        self.roots: set[Root] = set()
        # Links of gcroots/auto to what does not exist any more.
        self.stale: list[str] = []

    def links(self) -> None:
        """Find the links below gcroots and profiles. Raises `StoreError`."""
        with explaining("looking for roots", self._layout.state):
            for place in (self._layout.gcroots, os.path.join(self._layout.state, "profiles")):
                for path, mode in _walk(place):
                    if stat.S_ISLNK(mode):
                        self._link(path)
                    elif stat.S_ISREG(mode):
                        self._add(self._prefix + os.path.basename(path), path)

    def _link(self, path: str) -> None:
        try:
            target = os.readlink(path)
            if target.startswith(self._prefix):
                self._add(target, path)
                return
            target = os.path.abspath(os.path.join(os.path.dirname(path), target))
            if not stat.S_ISLNK(os.lstat(target).st_mode):
                return
            self._add(os.readlink(target), target)
        except (FileNotFoundError, NotADirectoryError):
            if path.startswith(os.path.join(self._layout.gcroots, "auto") + "/"):
                self.stale.append(path)
        except OSError as error:
            # What can never be read keeps nothing; what a failing disk hides may keep something.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL):
                raise

    def _add(self, target: str, link: str) -> None:
        """`target` is a path in the store, or below one of its objects, or has nothing to do with it."""
        if target.startswith(self._prefix):
            name = target[len(self._prefix) :].split("/", 1)[0]
            path = self._prefix + name
            if path in self._valid:
                self.roots.add(Root(StorePath(path), link))

    def processes(self, proc: str = "/proc") -> None:
        """Find what running processes use, as far as this user may see. Never raises."""
        from devenv.store.process_roots import paths_in_use

        for target, link in paths_in_use(self._layout.store, self._layout.views, proc):
            self._add(target, link)

    def temporary(self, *, tidy: bool) -> Iterator[tuple[str, int]]:
        """Paths that running processes asked to keep, valid or not, with their process numbers.

        `tidy` removes the files of processes that have ended. Raises `StoreError`.
        """
        directory = self._layout.temproots
        with explaining("reading temporary roots", directory):
            for name in sorted(os.listdir(directory)):
                digits = name.partition("-")[0]
                if digits.isdecimal():
                    for path in _read_temporary(os.path.join(directory, name), tidy=tidy):
                        self._add(path, f"{{temp:{digits}}}")
                        yield path, int(digits)


def roots_of(
    objects: Objects, roots: Iterable[Root], paths: Iterable[StorePath], policy: Policy = DEFAULT_POLICY
) -> set[Root]:
    """Those of `roots` that keep one of `paths` alive."""
    users: dict[StorePath, list[StorePath]] = {}
    for path, facts in objects.items():
        for reached in reached_from(facts, policy):
            users.setdefault(reached, []).append(path)
    above: set[StorePath] = set()
    todo = list(paths)
    while todo:
        path = todo.pop()
        if path not in above:
            above.add(path)
            todo.extend(users.get(path, ()))
    return {root for root in roots if root.path in above}


def _walk(top: str) -> Iterator[tuple[str, int]]:
    """Every path below `top` that is not a directory, with its mode. What cannot be read is left out."""
    todo = [top]
    while todo:
        directory = todo.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name, reverse=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for entry in reversed(entries):
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            else:
                with suppress(FileNotFoundError):
                    yield entry.path, entry.stat(follow_symlinks=False).st_mode


def _read_temporary(name: str, *, tidy: bool) -> list[str]:
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    if try_lock(descriptor, exclusive=True):  # its process has ended
        if tidy:
            discard_lock_file(descriptor, name)
        else:
            os.close(descriptor)
        return []
    with open(descriptor, "rb") as file:
        # What follows the last NUL is not written completely: its process has not been told that it is kept.
        return [os.fsdecode(path) for path in file.read().split(b"\0")[:-1]]
