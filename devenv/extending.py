"""What a project's devenv.toml extends, and the members of a repository: read, moved to their places, merged.

Three kinds of things can be extended: the devenv.toml of another directory, one in a git repository, whose commit and text
devenv.lock pins, and the environment spec of an object in the store.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from devenv.config.lock import LockedTree
from devenv.config.merging import merge_configs, moved
from devenv.config.model import Config, Extended
from devenv.config.toml import MAX_SIZE, parse_config
from devenv.env.spec import Operation, PackageRef, Spec
from devenv.errors import DevenvError
from devenv.lockfiles import locate

NAME = "devenv.toml"
OUTSIDE = ".devenv-outside.json"  # among kept sources: files that do not lie in the project, by path
_DEEPEST = 20


class ExtendsError(DevenvError):
    """Something that devenv.toml extends, or names as a member, cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a devenv.toml lies: a directory relative to the project, or inside of a repository's pinned tree."""

    directory: str
    tree: LockedTree | None = None

    @property
    def shown(self) -> str:
        """The file, for origins."""
        name = posixpath.normpath(posixpath.join(self.directory, NAME))
        return name if self.tree is None else f"{self.tree.url}#{self.tree.commit[:12]}:{name}"


@dataclass(slots=True, kw_only=True)
class Extending:
    """Reads what one project extends.

    `sources` is where the project's files are read, `root` where it is. `store`: the store's directory. `pinned` gives what
    devenv.lock pins of a repository, or makes it so; `tree_path` the store object of such a tree. `files` are the files
    that were read, relative to the project.
    """

    root: str
    sources: str
    store: str
    pinned: Callable[[Extended], LockedTree]
    tree_path: Callable[[LockedTree], str]
    files: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def resolve(self, config: Config) -> Config:
        """The project's own configuration, its lockfiles found, with all that it extends. Raises DevenvError."""
        here = Place(directory="")
        self._seen.add(self._identity(here))
        found = self._extended(config, here, ())
        for member in self._members(config):
            found += self._read(Place(directory=member), (), member=True)
        return merge_configs([*found, locate(self.sources, config)])

    def _members(self, config: Config) -> list[str]:
        members = []
        for pattern in config.members:
            matches = sorted(glob.glob(pattern, root_dir=self.sources))
            places = [each for each in matches if os.path.isfile(os.path.join(self.sources, each, NAME))]
            if not places:
                raise ExtendsError(
                    f"members ({config.origins.get('members', NAME)}): no directory {pattern} has a {NAME}",
                    hint="`devenv init` writes one for what a directory holds",
                )
            members += [posixpath.normpath(each) for each in places]
        return list(dict.fromkeys(members))

    def _extended(self, config: Config, place: Place, way: tuple[str, ...]) -> list[Config]:
        if len(way) > _DEEPEST:
            raise ExtendsError(f"{' extends '.join(way[:4])} and so on: more than {_DEEPEST} deep")
        found: list[Config] = []
        for each in config.extends:
            if each.git is not None:
                tree = self.pinned(each)
                found += self._read(Place(directory=each.directory, tree=tree), way)
            else:
                found += self._of_path(each, place, way)
        return found

    def _of_path(self, extended: Extended, place: Place, way: tuple[str, ...]) -> list[Config]:
        directory = posixpath.normpath(posixpath.join(place.directory, extended.path or "."))
        if place.tree is not None:
            if directory.startswith(("/", "..")):
                raise ExtendsError(f"{extended.origin}: {extended.path} leads out of the repository")
            return self._read(Place(directory=directory, tree=place.tree), way)
        real = os.path.realpath(os.path.join(self.root, directory))
        if os.path.dirname(real) == self.store or (
            os.path.isfile(os.path.join(real, "env.json")) and not os.path.isfile(os.path.join(real, NAME))
        ):
            return [self._of_store(extended, real)]
        return self._read(Place(directory=directory), way, extended.origin)

    def _identity(self, place: Place) -> tuple[str, str]:
        if place.tree is not None:
            return f"{place.tree.url}#{place.tree.commit}", posixpath.normpath(place.directory or ".")
        return "", os.path.realpath(os.path.join(self.root, place.directory))

    def _read(
        self, place: Place, way: tuple[str, ...], origin: str = "", *, member: bool = False
    ) -> list[Config]:
        """A file with what it extends before it; nothing where it was read already, on another way."""
        if place.shown in way:
            raise ExtendsError(" extends ".join([*way[way.index(place.shown) :], place.shown]) + ": a circle")
        identity = self._identity(place)
        if identity in self._seen:
            return []
        self._seen.add(identity)
        config = parse_config(self._text(place, origin), place.shown, origin=place.shown)
        before = self._extended(config, place, (*way, place.shown))
        if member:
            config = locate(os.path.join(self.sources, place.directory), config)
        else:
            config = replace(config, lockfiles=(), overrides=())
        if place.tree is None:
            return [*before, moved(config, place.directory)]
        path = self.tree_path(place.tree)
        name = posixpath.basename(place.tree.url.rstrip("/")).removesuffix(".git") or "source"
        here = PackageRef(name=name, version=place.tree.commit[:12], path=path, origin=origin or place.shown)
        there = moved(config, posixpath.join(path, place.directory))
        return [*before, replace(there, objects=(here,), trees=(place.tree.file,))]

    def _text(self, place: Place, origin: str) -> str:
        name = posixpath.normpath(posixpath.join(place.directory, NAME))
        if place.tree is not None:
            if name not in place.tree.files:
                raise ExtendsError(f"{place.shown}: devenv.lock has no such file", hint="run `devenv lock`")
            return place.tree.files[name]
        self.files.append(name)
        kept = self._outside().get(name)
        if kept is not None:
            return kept
        inside = not name.startswith(("/", "../"))
        path = os.path.join(self.sources if inside else self.root, name)
        try:
            return _read_plain(path)
        except FileNotFoundError:
            raise ExtendsError(
                f"{origin or NAME} extends {os.path.dirname(path)}, where there is no {NAME}",
                hint="a path counts from the directory of the file that says it",
            ) from None
        except OSError as error:
            raise ExtendsError(f"reading {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ExtendsError(f"reading {path}: it is not UTF-8 text (byte {error.start})") from None

    def _outside(self) -> Mapping[str, str]:
        if self.sources == self.root:
            return {}
        try:
            with open(os.path.join(self.sources, OUTSIDE), encoding="utf-8") as file:
                found: dict[str, str] = json.load(file)
                return found
        except FileNotFoundError:
            return {}

    def _of_store(self, extended: Extended, path: str) -> Config:
        """The environment of another project, or none's: all but packages of lockfiles, which lie in its directory."""
        if os.path.dirname(path) != self.store:
            raise ExtendsError(f"{extended.origin}: {path} is not in the store {self.store}")
        try:
            with open(os.path.join(path, "env.json"), encoding="utf-8") as file:
                spec = Spec.from_json(file.read())
        except (OSError, UnicodeDecodeError) as error:
            raise ExtendsError(
                f"{extended.origin}: {path} is no environment that is here",
                hint="an environment is an object NAME-env-spec; `devenv cache pull` can bring one",
            ) from error
        # What others write into their repositories is seldom this, and these take time to import.
        from devenv.environment.variables import without_views
        from devenv.views.root import read_parts

        here = PackageRef(name=spec.name, version="", path=path, origin=extended.origin)
        return Config(
            name=spec.name,
            lockfiles=(),
            env={
                name: tuple(_from(spec.name, each) for each in found)
                for name, found in without_views(spec.variables).items()
            },
            aliases=spec.aliases,
            scripts=spec.scripts,
            functions=spec.functions,
            completions=spec.completions,
            origins={key: f"{spec.name}, {origin}" for key, origin in spec.origins.items()}
            | {"root": extended.origin},
            objects=(*spec.packages, here),
            root=read_parts(spec.root) if spec.root is not None else None,
        )


def _read_plain(path: str) -> str:
    """The text of a regular file, cut off beyond what `parse_config` refuses. A pipe or device would never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(4 * MAX_SIZE + 1).decode("utf-8")


def _from(name: str, operation: Operation) -> Operation:
    return replace(operation, origin=f"{name}, {operation.origin}")


def outside_files(root: str, files: Iterable[str]) -> dict[str, str]:
    """The texts of those files that do not lie in the project."""
    found = {}
    for name in files:
        if name.startswith(("/", "../")):
            found[name] = _read_plain(os.path.join(root, name))
    return found
