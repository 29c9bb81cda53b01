"""What devenv.toml says, as values. `devenv.config.toml` makes them, so they are valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devenv.adapter import ECOSYSTEMS, Ecosystem, Options, RemoteFile, ScriptRules
from devenv.config.overrides import Override
from devenv.env.spec import Operation, PackageRef

if TYPE_CHECKING:
    from devenv.config.builds import Build, Fetch, Purify
    from devenv.views.root import RootParts


@dataclass(frozen=True, slots=True, kw_only=True)
class LockfileConfig:
    """One lockfile to use.

    `path` is relative to the project; None means: whichever is found there, none being no error.
    `omit` and `scripts` are of npm, `extras` and `groups` are of python; `groups` None means the lockfile's defaults.
    `system`, of renv: packages of the base to build with, besides those that the packages ask for.
    """

    ecosystem: Ecosystem
    path: str | None = None
    omit: frozenset[str] = frozenset()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    scripts: ScriptRules = field(default_factory=ScriptRules)
    system: tuple[str, ...] = ()

    @property
    def options(self) -> Options:
        return Options(
            omit=self.omit, extras=self.extras, groups=self.groups, scripts=self.scripts, system=self.system
        )


# What holds where [lockfiles] says nothing: each ecosystem's lockfile is used if there is one.
FOUND_BY_THEMSELVES = tuple(LockfileConfig(ecosystem=ecosystem) for ecosystem in ECOSYSTEMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """Something to extend: `path`, of a directory or a store object, or `git`, a repository's URL with `rev` and `directory`."""

    path: str | None = None
    git: str | None = None
    rev: str = "HEAD"
    directory: str = ""
    origin: str = "devenv.toml"


ParameterValue = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What an environment can be given. `type`: "text", "int" or "bool"; `default` None: it must be given."""

    type: str
    default: ParameterValue | None = None
    choices: tuple[ParameterValue, ...] = ()
    doc: str = ""
    origin: str = "devenv.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """Binary caches by URL, and public keys ("name:base64") whose signatures count."""

    substituters: tuple[str, ...] = ()
    trusted_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A user's own config.toml. `signing_key` is the name or path of a secret key."""

    caches: Caches = field(default_factory=Caches)
    signing_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A devenv.toml.

    `packages`: version requests by toolchain ("node": "20"). `base`: "debian/bookworm"; `system`: packages of it.
    `lockfiles`: at most one of an ecosystem has no path, and then it is the only one; an ecosystem without any is
    switched off. `env`: operations by variable, their origins "devenv.toml:LINE". `aliases`: argument vectors.
    `scripts`: program texts. `functions`: bodies by shell, `completions`: words by command, as a spec has them. `registries`: URLs by "npm", "pypi", "pypi-files", "crates" or by the URL prefix that
    they replace. `mirrors`: URLs by archive ("debian"). `builds`, `fetches` and `purifies` are by name.
    `parameters` are declared; `arguments` are their values, once they are known: `devenv.config.parameters`.
    `origins`: where other things were declared, "devenv.toml:LINE" by "aliases.NAME", "functions.NAME", "scripts.NAME", "packages.NAME", ...
    `members`: patterns of directories. `profiles` hold variables, aliases, functions and scripts alone; `chosen` are the names of those
    that are merged in. `overrides` are those of devenv.toml and, once they are read, of files of their own. `objects` and `trees` come with what it extends: packages of specs, repositories; `root` are the system packages of one.
    """

    name: str = "project"
    base: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    system: tuple[str, ...] = ()
    lockfiles: tuple[LockfileConfig, ...] = FOUND_BY_THEMSELVES
    env: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    completions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    registries: Mapping[str, str] = field(default_factory=dict)
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    caches: Caches = field(default_factory=Caches)
    builds: Mapping[str, Build] = field(default_factory=dict)
    fetches: Mapping[str, Fetch] = field(default_factory=dict)
    purifies: Mapping[str, Purify] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    arguments: Mapping[str, ParameterValue] = field(default_factory=dict)
    extends: tuple[Extended, ...] = ()
    members: tuple[str, ...] = ()
    profiles: Mapping[str, Config] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    objects: tuple[PackageRef, ...] = ()
    trees: tuple[RemoteFile, ...] = ()
    root: RootParts | None = None

    @property
    def uses_base(self) -> bool:
        """Whether anything is taken from the base."""
        wanted = any(override.system for override in self.overrides)
        return bool(self.system) or "r" in self.packages or wanted
