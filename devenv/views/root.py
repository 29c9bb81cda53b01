"""Roots: FHS trees (`/usr`, `/etc`, ...) made of unpacked packages, and what configuring them changed.

A root is a directory of its own among others, `views_dir/DIGEST-fhs-root`. It is called as its recipe is in the store, a
text that names the store objects which it is made of and refers to them: whoever keeps the recipe from being
collected keeps the packages and the root. It is made aside and renamed, so one that is there is whole; one that is
missing is made anew.
Files are hard links to the store's (reflinks or copies across file systems), directories are its own. It is to
be shown read-only, and nothing may write to it: that would write to the store.

What configuring changed is a store object of its own, with

    files/     what is new or different, at its place
    removed    paths that are there no more, one a line, relative; for a directory, with all in it

Two packages may have the same file if its contents are the same; otherwise that is an error that names both.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from devenv.errors import DevenvError
from devenv.events import Finished, Planned, Reporter, Started
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath
from devenv.store.locks import PathLocks
from devenv.store.tree import remove, seal
from devenv.views.operations import Tree, ViewError
from devenv.views.placed_compilers import COMPILERS_REVISION, has_ccache, place_compilers
from devenv.views.placing import Placer, is_directory

FILES, REMOVED = "files", "removed"

# Part of each name, so that a change of what is made here makes roots anew.
_REVISION = 1
_NAME = "fhs-root"

# The top directories that are links into /usr; those of foreign architectures only where there is something in them.
_LINKS = ("bin", "sbin", "lib", "lib64", "lib32", "libo32", "libx32")
_ALWAYS_LINKED = frozenset({"bin", "sbin", "lib", "lib64"})

# Where a sandbox mounts something. All exist in every root, as real directories and plain files.
MOUNT_POINTS = (
    "boot", "dev", "etc", "home", "media", "mnt", "opt", "proc", "root", "run", "run/host", "srv", "sys", "tmp",
    "usr/local", "var", "var/cache", "var/lib", "var/log", "var/tmp",
)  # fmt: skip
FILE_MOUNT_POINTS = (
    "etc/group", "etc/hostname", "etc/hosts", "etc/localtime", "etc/machine-id", "etc/passwd", "etc/resolv.conf",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRecipe:
    """What a root is made of, as a text to be in the store: `store.add_texts([(path, text, references)])`."""

    path: StorePath
    text: bytes
    references: tuple[StorePath, ...]

    @property
    def name(self) -> str:
        """What the root's directory is called."""
        return os.path.basename(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootParts:
    """What a root is composed of: its recipe, the unpacked packages, and what configuring them changed."""

    recipe: RootRecipe
    paths: tuple[str, ...]
    configured: str | None


def read_parts(path: str) -> RootParts:
    """The parts of the root whose recipe is this file of the store. Raises ViewError for what is no such recipe."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        paths, configured = tuple(document["packages"]), document["configured"]
        recipe = root_recipe(paths, configured)
    except (OSError, ValueError, KeyError, TypeError, IndexError, DevenvError) as error:
        raise ViewError(f"reading {path}: it is no recipe of a root: {error}", root=path) from error
    if recipe.path != path:
        raise ViewError(f"reading {path}: it is the recipe of a root of another version of devenv", root=path)
    return RootParts(recipe=recipe, paths=paths, configured=configured)


def root_recipe(paths: Iterable[str], configured: str | None) -> RootRecipe:
    """The recipe of the root made of these store paths, in any order. Pure. Raises FormatError for other paths."""
    packages = sorted(set(paths))
    everything = [*packages, *([configured] if configured else [])]
    store_dir = StoreDir(os.path.dirname(everything[0]))
    references = tuple(sorted(store_dir.parse(path) for path in everything))
    document = {"kind": _NAME, "revision": _REVISION, "packages": packages, "configured": configured}
    if has_ccache(packages):
        document["compilers"] = COMPILERS_REVISION
    text = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    path = store_dir.text_path(_NAME, Hash.of("sha256", text), references)
    return RootRecipe(path=path, text=text, references=references)


def compose(
    paths: Sequence[str], configured: str | None, *, views_dir: str, events: Reporter | None = None
) -> str:
    """The directory of the root made of the unpacked packages `paths`, with the object `configured` laid over it.

    Takes no time when it is there. `views_dir` is made if missing; for hard links it is on the store's file system.
    A collection leaves the root alone as long as its recipe is valid: see `root_recipe`.
    Raises ViewError for packages that contradict each other and for what the file system refuses.
    """
    root = os.path.join(views_dir, root_recipe(paths, configured).name)
    if os.path.isdir(root):
        return root
    reporter = events or Reporter()
    reporter.event(Planned(kind="view", count=1))
    reporter.event(Started(kind="view", key=f"view {root}", label=f"root of {len(paths)} packages"))
    failed = True
    try:
        os.makedirs(views_dir, exist_ok=True)
        with PathLocks([root]):
            if not os.path.isdir(root):
                _make(root, paths, configured, reporter)
        failed = False
    except OSError as error:
        raise ViewError(f"cannot compose the root {root}: {error}", root=root) from error
    finally:
        reporter.event(Finished(key=f"view {root}", failed=failed))
    return root


def _make(root: str, paths: Sequence[str], configured: str | None, reporter: Reporter) -> None:
    aside = f"{root}.new"
    remove(aside)  # what somebody left who was killed
    try:
        fill(aside, paths, configured, reporter)
        _make_file_mount_points(aside)
        place_compilers(aside, paths)
        _seal(aside)
        os.rename(aside, root)
    except BaseException:
        with suppress(DevenvError):
            remove(aside)
        raise


def fill(root: str, paths: Sequence[str], configured: str | None, reporter: Reporter) -> None:
    """Make the new directory `root` hold all of it but the files for mounts: scripts would take these for real ones.

    Raises ViewError, OSError.
    """
    os.mkdir(root, 0o755)
    trees = [Tree(source=path, dest="") for path in sorted(paths)]
    Placer(root, trees, reporter).place_trees(trees)
    if configured is not None:
        _lay_over(root, configured, reporter)
    _link_top(root)
    _make_mount_points(root)


def _lay_over(root: str, configured: str, reporter: Reporter) -> None:
    """Apply what configuring changed."""
    with open(f"{configured}/{REMOVED}", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _remove_inside(root, line.removesuffix("\n"))
    files = f"{configured}/{FILES}"
    _make_room(files, root)
    tree = Tree(source=files, dest="")
    Placer(root, [tree], reporter).place_trees([tree])


def _remove_inside(root: str, path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ViewError(f"{path!r} is to be removed from {root}, but is no plain relative path", root=root)
    if _is_real_directory(root, parts[:-1]):
        remove(f"{root}/{path}")


def _is_real_directory(root: str, parts: Sequence[str]) -> bool:
    place = root
    for part in parts:
        place = f"{place}/{part}"
        if not is_directory(place):
            return False
    return True


def _make_room(source: str, target: str) -> None:
    """Take away the files and links of `target` that lie where `source` has some, too."""
    stack = [(source, target)]
    while stack:
        source, target = stack.pop()
        with os.scandir(source) as entries:
            for entry in entries:
                below = f"{target}/{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        os.unlink(below)
                elif is_directory(below):
                    stack.append((entry.path, below))
                elif os.path.lexists(below):
                    os.unlink(below)


def _link_top(root: str) -> None:
    for name in _LINKS:
        if name in _ALWAYS_LINKED or os.path.isdir(f"{root}/usr/{name}"):
            os.makedirs(f"{root}/usr/{name}", exist_ok=True)
            if not os.path.lexists(f"{root}/{name}"):
                os.symlink(f"usr/{name}", f"{root}/{name}")


def _make_mount_points(root: str) -> None:
    """A mount point must be no link: the kernel would follow it, out of the root perhaps."""
    for path in MOUNT_POINTS:
        if not is_directory(f"{root}/{path}"):
            with suppress(FileNotFoundError):
                os.unlink(f"{root}/{path}")
            os.mkdir(f"{root}/{path}", 0o755)


def _make_file_mount_points(root: str) -> None:
    for path in FILE_MOUNT_POINTS:
        place = f"{root}/{path}"
        if not _is_plain_file(place):
            contents = _contents_inside(root, place)
            with suppress(FileNotFoundError):
                os.unlink(place)
            with open(place, "xb") as file:
                file.write(contents)


def _seal(root: str) -> None:
    """Make all directories read-only, as they are for users of a real system.

    Some programs look at the mode, not at whether the file system can be written to, before they choose between a
    place for all users and one of the user's own.
    """
    for place, _, _ in os.walk(root):
        seal(place)


def _contents_inside(root: str, place: str) -> bytes:
    """What a link to a file of the same root shows, such as the time zone that /etc/localtime names; else nothing."""
    try:
        target = os.readlink(place)
    except OSError:
        return b""
    whole = os.path.normpath(
        target if target.startswith("/") else f"{os.path.dirname(place)[len(root) :]}/{target}"
    )
    found = f"{root}/{whole.lstrip('/')}"
    if not _is_plain_file(found) or not _is_real_directory(root, whole.lstrip("/").split("/")[:-1]):
        return b""
    with open(found, "rb") as file:
        return file.read()


def _is_plain_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
