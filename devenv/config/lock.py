"""devenv.lock: what `devenv lock` found out, so that nothing later has to ask.

JSON, UTF-8, with one entry on a line and sorted keys, so that two branches merge line by line::

    {
      "version": 1,
      "requests": {NAME: REQUEST, ...},            # [packages] of devenv.toml when it was locked
      "lockfiles": {PATH: LOCKFILE, ...},
      "toolchains": [TOOLCHAIN, ...],              # by name
      "files": {QUERY KEY: [FILE, ...], ...},      # what the lockfiles do not say: adapter.Completions
      "base": BASE,                                # only where devenv.toml asks for system packages
      "crates": {"default": URL, "index": URL},    # only where crates come from cargo's default registry
      "extends": [TREE, ...],                      # only where it extends git repositories
      "overrides": {LABEL: {WHAT: TEXT, ...}, ...} # only where packages are overridden: config.overrides
    }
    LOCKFILE  = {"ecosystem", "sha256": hex, "siblings": {PATH: hex}, "omit", "extras", "groups", "system"}
    TOOLCHAIN = {"name", "request", "version", "files": {PLATFORM: FILE}}
    FILE      = {"file_name", "url", "hash": "sha512:<hex>", "size", "needs": [TEXT, ...], "system": TEXT, "crate": TEXT}
    BASE      = {"name", "architecture", "requests": [TEXT, ...], "added": [TEXT, ...], "outside": [TEXT, ...],
                 "suites": [SUITE, ...], "packages": [DEB, ...]}
    SUITE     = {"archive", "suite", "sha256", "date"}                     # debian.locked.SuiteState
    DEB       = {"name", "version", "architecture", "path", "size", "sha256", "archive"}  # debian.locked.LockedDeb
    TREE      = {"git": URL, "rev", "directory", "commit": hex, "hash": "sha256:<hex> of the NAR", "files": {PATH: TEXT}}

PATH is relative to the project, in TREE to the repository. Of LOCKFILE and FILE, what is empty or unknown is left out.
`lock_reading` reads it, `lock_writing` writes it, `lock_staleness` says whether it still fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devenv.adapter import Completions, Options, RemoteFile
from devenv.debian.locked import LockedBase
from devenv.formats.hashes import Hash

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedToolchain:
    """A toolchain as it was locked.

    `name`: "node", "npm" or "python". `request`: as in [packages] ("17"), `version`: what it means.
    `files`: by "linux-x86_64", "linux-aarch64" or "any"; empty for python, which the host supplies.
    """

    name: str
    request: str
    version: str
    files: Mapping[str, RemoteFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLockfile:
    """The state of one lockfile when it was locked.

    `sha256`: of its text, hexadecimal. `siblings`: the same of the files that its adapter read beside it,
    by path relative to the project. `options`: what devenv.toml said about it.
    """

    ecosystem: str
    sha256: str
    siblings: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTree:
    """A repository that devenv.toml extends: `rev` of `url` was `commit`, whose tree has this hash as a NAR.

    `files`: the texts of the devenv.toml of `directory` and of those that it extends in the same repository, by path.
    """

    url: str
    rev: str
    directory: str
    commit: str
    hash: Hash
    files: Mapping[str, str]

    @property
    def file(self) -> RemoteFile:
        """The tree as something to fetch."""
        name = self.url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "source"
        return RemoteFile(file_name=name, url=f"git+{self.url}#{self.commit}", hash=self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCrates:
    """cargo's default registry: its index as a Cargo.lock names it, and the sparse one that is asked in its place.

    `default` is "" where it is none of those that the project's locks name.
    """

    default: str
    index: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A devenv.lock. `lockfiles` is keyed by path relative to the project.

    `system`: the packages of `base` as [packages] asked for them when it was locked; `added`: what toolchains and the
    packages of lockfiles needed of it besides; `outside`: the keys of packages that these are not built with.
    """

    version: int = VERSION
    requests: Mapping[str, str] = field(default_factory=dict)
    lockfiles: Mapping[str, LockedLockfile] = field(default_factory=dict)
    toolchains: tuple[LockedToolchain, ...] = ()
    files: Completions = field(default_factory=dict)
    system: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    base: LockedBase | None = None
    crates: LockedCrates | None = None
    extends: tuple[LockedTree, ...] = ()
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
