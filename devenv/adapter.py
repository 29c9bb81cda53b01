"""What an adapter is, and the values it makes. The only door of core that `adapters/` uses.

An adapter turns one kind of lockfile into a `Plan`: the files to fetch, the packages to unpack from
them, and how the packages lie together in a view. It is pure: it reads no disk, asks no network.
What the lockfile does not say (a URL, a missing hash) it asks for in `Plan.queries`; `devenv lock`
answers them once, and devenv.lock carries the answers (`completions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from devenv.errors import DevenvError, Problems
from devenv.formats.hashes import Hash

Ecosystem = Literal["npm", "python", "cargo", "r"]
ECOSYSTEMS: tuple[Ecosystem, ...] = get_args(Ecosystem)


class AdapterError(DevenvError):
    """A lockfile cannot be read or used. `file` is its name, `key` the key path in it, if one is to blame."""

    def __init__(
        self, message: str, *, hint: str | None = None, file: str | None = None, key: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.key = key


class MissingPackageError(AdapterError):
    """A package that others need is not in the lockfile. `package` is its name."""

    def __init__(
        self, message: str, package: str, *, hint: str | None = None, file: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, file=file)
        self.package = package


def missing_packages(error: DevenvError) -> set[str]:
    """The packages that an error is about, if it is about nothing else."""
    found = error.problems if isinstance(error, Problems) else (error,)
    names = {each.package for each in found if isinstance(each, MissingPackageError)}
    return names if all(isinstance(each, MissingPackageError) for each in found) else set()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTarget:
    """The interpreter that Python packages are chosen for.

    `tags`: supported wheel tags such as "cp311-cp311-manylinux_2_36_x86_64", best first.
    `markers`: the PEP 508 environment ("python_version", "sys_platform", ...).
    """

    version: str
    implementation: str
    tags: tuple[str, ...]
    markers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The platform that a plan is for: `machine` as in uname(2), `libc` "glibc" or "musl"."""

    system: str = "linux"
    machine: str = "x86_64"
    libc: str = "glibc"
    node_version: str | None = None
    python: PythonTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file with a known hash. `url` is absolute, or relative to a registry ("npm:express/-/x.tgz").

    See `devenv.fetch.endpoints` for the registry-relative form. Of an R package there is also what its own DESCRIPTION
    says: `needs`, the packages it is built and loaded with, and `system`, its SystemRequirements, prose for people.
    `crate`: of a crate that a Python package is compiled of, "NAME VERSION (SOURCE)", see `devenv.crate_files`.
    """

    file_name: str
    url: str
    hash: Hash
    size: int | None = None
    needs: tuple[str, ...] = ()
    system: str = ""
    crate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A diff in unified format. `name` is for people; bytes that are no UTF-8 are in `text` as lone surrogates (PEP 383)."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How a package is made in another way than its publisher has it: what an override says. Adapters leave it alone.

    patches: applied to its source, or where nothing is built to what is unpacked
    environment: variables of its build; arguments: of the program that builds it (R CMD INSTALL)
    flags: of compilers, by the variable that make knows them by ("CFLAGS" -> "-O3 -g")
    """

    patches: tuple[Patch, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """What the build has in its environment, flags of compilers included."""
        return {**dict(self.flags), **dict(self.environment)}


NO_CHANGES = Changes()


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmQuery:
    """Which tarball is `name` at `version`? `hash` is what the lockfile knows, if anything."""

    name: str
    version: str
    hash: Hash | None = None

    @property
    def key(self) -> str:
        return f"npm:{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PypiQuery:
    """Which files of `name` at `version` have one of `hashes`? `index` is a simple-API URL or None."""

    name: str
    version: str
    hashes: tuple[Hash, ...] = ()
    index: str | None = None

    @property
    def key(self) -> str:
        return f"pypi:{self.name}=={self.version}{self._place}"

    @property
    def _place(self) -> str:
        """Two indexes may have one version with other files. A login does not make it another index."""
        if self.index is None:
            return ""
        scheme, mark, rest = self.index.partition("://")
        host, slash, path = rest.partition("/")
        return f" of {scheme}{mark}{host.rpartition('@')[2]}{slash}{path.rstrip('/')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitQuery:
    """What does the repository `url` hold at `commit`, submodules included? `commit` is a whole object name.

    The answer is one file whose URL is "git+<url>#<commit>" and whose hash is the SHA-256 of the tree as a NAR.
    """

    url: str
    commit: str

    @property
    def key(self) -> str:
        return f"git:{self.url}#{self.commit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RQuery:
    """What is the source of the R package `name` at `version`, and what does its DESCRIPTION ask for?

    `places` are tried in their order: URLs, also relative to a repository or the project, or "git+<url>#<commit>".
    `directory` is where the package lies in what is found there. `origin` tells sources of one version apart.
    """

    name: str
    version: str
    origin: str
    places: tuple[str, ...]
    directory: str = ""

    @property
    def key(self) -> str:
        return f"r:{self.name}@{self.version} {self.origin}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildQuery:
    """What does building a wheel of this source need? `python` is the version that it is for ("3.11").

    The answer are the wheels of the build environment, all of them, for each machine that is supported; () for none. With
    them come the crates of a package that is written in Rust.
    `constraints` are requirements that narrow what is chosen, `extra` such as are added to what the source asks for.
    `in_place`: what is built is an editable wheel (PEP 660). A directory of the project is a file with the URL
    "directory:PATH" and the hash of what it says of its build.
    """

    name: str
    version: str
    file: RemoteFile
    python: str
    in_place: bool = False
    subdirectory: str = ""
    constraints: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changes: Changes = NO_CHANGES

    @property
    def key(self) -> str:
        more = "".join(f" {text}" for text in (*self.extra, *(f"<{text}>" for text in self.constraints)))
        if self.changes != NO_CHANGES:
            more += f" changed {Hash.of('sha256', repr(self.changes).encode()).hex[:16]}"
        place = f"/{self.subdirectory}" if self.subdirectory else ""
        source = f"{self.name}=={self.version}{place}"
        kind = "editable" if self.in_place else "build"
        return f"{kind}:{source}@{self.file.hash.hex[:16]} for python {self.python}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuery:
    """Which hash has the file at `url`, which may be one of the project ("project:lib/a.tgz")?"""

    url: str
    file_name: str
    label: str

    @property
    def key(self) -> str:
        return f"file:{self.url}"


Query = NpmQuery | PypiQuery | GitQuery | RQuery | FileQuery | BuildQuery

# Answers to queries, by the query's key. An npm query has one file, a PyPI query any number.
Completions = Mapping[str, tuple[RemoteFile, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelBuild:
    """How a wheel is made of a source: by the backend that its pyproject.toml names.

    requires: the wheels of the environment that the backend runs in
    subdirectory: where in the source the project is; settings: for the backend, as pip's --config-settings
    crates: what cargo finds, of a package that is written in Rust
    """

    requires: tuple[Package, ...]
    subdirectory: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    crates: tuple[Crate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package: a file to fetch and how to unpack it.

    `executables` are paths inside the package that must become executable (npm's bin targets, whose
    modes in tarballs mean nothing). A "git-crate" is found in its repository by its name. `manifests` are directories inside it, "" for itself, whose own package.json
    names more of them, where the lockfile does not. `direct`: the lockfile names the file itself, not a version of
    an index, which an installed Python package has to say of itself (direct_url.json). An "sdist" is built, as `build`
    says. `checksum`, of a crate whose file is not the one that Cargo.lock means: what that one has there, "" for nothing.
    """

    name: str
    version: str
    format: Literal["npm", "git-npm", "wheel", "sdist", "crate", "git-crate", "r"]
    file: RemoteFile
    executables: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    direct: bool = False
    build: WheelBuild | None = None
    changes: Changes = NO_CHANGES
    checksum: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFacts:
    """What is needed to learn from unpacked packages what an old npm lock does not say.

    Each package's own package.json then gives its commands, and the platforms that it fits; an optional one that
    does not fit is left out with what only it needs.

    platform: "os", "cpu" and "libc" -> Node's words for the target
    bundled:  places of packages that lie in the tarballs of others
    optional: places that may be left out
    asked:    places that the project itself depends on
    """

    platform: Mapping[str, str]
    bundled: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRules:
    """Which install scripts may run, by [lockfiles] of devenv.toml.

    `rules`: (name, "name@version" or "*", what holds): True, False, or the hash ("sha256-...") of what it makes, by which
    it may use the network.
    """

    rules: tuple[tuple[str, bool | str], ...] = ()

    def of(self, name: str, version: str | None) -> bool | str:
        """What holds for a package: the most exact rule."""
        rules = dict(self.rules)
        for key in (f"{name}@{version}", name, "*"):
            if key in rules:
                return rules[key]
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallScripts:
    """The packages of a node_modules tree whose own scripts run when they are installed.

    places:   where they lie; None where only their package.json say who has scripts
    needs:    place -> the places of what it depends on
    optional: places of those that are left out where their scripts fail -> what goes with each
    """

    places: tuple[str, ...] | None = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: ScriptRules = field(default_factory=ScriptRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeModules:
    """A node_modules tree. All paths are POSIX, relative to the lockfile's directory.

    packages: place -> package ("node_modules/a/node_modules/b")
    links:    place -> linked directory ("node_modules/ws" -> "packages/ws")
    bins:     place -> file it runs ("node_modules/.bin/vite" -> "node_modules/vite/bin/vite.js")
    hidden_lock: contents of node_modules/.package-lock.json, which npm trusts instead of reading the tree
    manifests: set where the lock does not know the commands and platforms of packages; `bins` lacks theirs
    reread: places of packages that are not those of the lock, so that they say themselves which commands they have
    scripts: what is run before the tree is composed
    """

    packages: Mapping[str, Package]
    links: Mapping[str, str] = field(default_factory=dict)
    bins: Mapping[str, str] = field(default_factory=dict)
    hidden_lock: str | None = None
    manifests: ManifestFacts | None = None
    reread: tuple[str, ...] = ()
    scripts: InstallScripts = field(default_factory=InstallScripts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """A directory of the project. `path` is relative to the lockfile's directory.

    in_place: it is imported from where it is (PEP 660); else a wheel is built of what it holds
    build: how its backend makes either; None where it names no backend, and is imported as it lies there
    optional: it is left out where it has no modules of its own, as a project of applications only
    constraints, extra: as of a `BuildQuery`; settings: as of a `WheelBuild`
    """

    name: str
    path: str
    in_place: bool = True
    build: WheelBuild | None = None
    optional: bool = False
    constraints: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePackages:
    """The packages of one Python environment, no two of the same name.

    isolated: name of a package -> packages that it alone imports, in place of those of the environment
    """

    packages: tuple[Package, ...]
    editables: tuple[Editable, ...] = ()
    isolated: Mapping[str, tuple[Package, ...]] = field(default_factory=dict)

    @property
    def every_package(self) -> tuple[Package, ...]:
        """Those that only others import, too."""
        return (*self.packages, *(each for inner in self.isolated.values() for each in inner))


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoSource:
    """Where cargo believes that crates come from. `url` of a registry is as in Cargo.lock ("registry+...").

    selector: of a git source, ("branch" | "tag" | "rev", its value); None means the default branch
    """

    url: str
    kind: Literal["registry", "git"]
    selector: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A crate and the source that cargo takes it for one of. `source` is as Cargo.lock writes it, without a commit."""

    package: Package
    source: str
    origin: CargoSource


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoSources:
    """Directories that stand in for all sources of one Cargo.lock.

    sources: by the text of the source in the lock, without a commit
    crates:  by the same, directory name ("serde-1.0.0") -> package
    lock:    the lockfile's text, by which cargo's wrapper knows whether the directories still fit
    """

    sources: Mapping[str, CargoSource]
    crates: Mapping[str, Mapping[str, Package]]
    lock: str

    @property
    def packages(self) -> tuple[Package, ...]:
        return tuple(package for crates in self.crates.values() for package in crates.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RLibrary:
    """The packages of one R library, each built from source.

    packages: by name, no two of one; inputs: name -> packages of the library that it is built with, all of them, also
        those that its own need
    provenance: name -> fields of DESCRIPTION by which renv knows where a package came from
    directories: name -> where the package lies in its archive or repository, if not at the top
    r_version: of the R that the lock was written with
    """

    packages: tuple[Package, ...]
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    r_version: str | None = None


View = NodeModules | SitePackages | CargoSources | RLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one lockfile means on one target.

    notices: lines for people (packages whose install scripts are not run, ...)
    queries: what must be asked first; a plan with queries lacks the packages that they concern
    system: packages of the project's base that the others need, as people would write them
    """

    view: View
    notices: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    system: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[Package, ...]:
        """Each package once, in a stable order."""
        found = self.view.packages
        values = found.values() if isinstance(found, Mapping) else found
        unique = {
            (p.format, p.name, p.version, p.file.hash, p.executables, p.manifests, p.build, p.changes): p
            for p in values
        }
        return tuple(unique[key] for key in sorted(unique, key=repr))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What devenv.toml says about one lockfile. Names that the lockfile does not have are errors.

    omit: npm dependency types left out ("dev", "optional", "peer"); scripts: which of npm's install scripts may run
    extras, groups: of the Python formats; `groups` None means the format's defaults
    system: packages of the base to build R packages with, besides those that they ask for
    """

    omit: frozenset[str] = frozenset()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    scripts: ScriptRules = field(default_factory=ScriptRules)
    system: tuple[str, ...] = ()


class Adapter(Protocol):
    """One lockfile format. A module with these four names fulfils it.

    Where lockfiles include others, it also has `included_names(text, name)`: the files that the file `name`
    includes, by their path relative to the same directory as `name`, or shell patterns of such. The caller adds them to the siblings.

    `plan` raises `AdapterError` (or `Problems` of them) for what it cannot read or support. `siblings`
    are the texts of other project files by name, where a format needs its manifest (pyproject.toml,
    package.json, included requirements files); a missing one is simply absent.
    """

    ecosystem: Ecosystem
    # Shell patterns of the file names that this adapter recognises, in order of preference.
    patterns: tuple[str, ...]
    # File names beside the lockfile whose texts `plan` wants to see.
    sibling_names: tuple[str, ...]

    def plan(
        self,
        text: str,
        *,
        path: str,
        target: Target,
        options: Options,
        completions: Completions,
        siblings: Mapping[str, str],
    ) -> Plan:
        """Parse and plan. `path` is relative to the project; files that the lockfile names lie around it."""
        ...
