"""The use cases: what devenv does with a project. Values in, values out; nothing here prints or asks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from devenv.adapter import (
    BuildQuery,
    CargoSources,
    FileQuery,
    GitQuery,
    NpmQuery,
    PypiQuery,
    Query,
    RemoteFile,
    RQuery,
    Target,
)
from devenv.config.lock import (
    Lock,
    LockedCrates,
    LockedLockfile,
    LockedToolchain,
    LockedTree,
    dump_lock,
    parse_lock,
    stale_reasons,
)
from devenv.config.merging import choose_profiles
from devenv.config.model import Caches, Config, Extended
from devenv.config.overrides import OverrideError
from devenv.config.parameters import settle
from devenv.config.toml import parse_config
from devenv.environment import Instantiated, PlannedLockfile, instantiate
from devenv.errors import DevenvError, raise_problems
from devenv.events import Reporter
from devenv.lockfiles import Lockfile, locate, read_all
from devenv.overrides.reading import with_files
from devenv.plugins import load_adapters
from devenv.store.layout import Layout
from devenv.system_lock import Asking, lock_system, toolchains_of_base

if TYPE_CHECKING:
    from devenv.config.overrides import Override
    from devenv.debian.locked import LockedBase, LockedDeb
    from devenv.fetch.endpoints import Endpoints
    from devenv.fetch.http import Client
    from devenv.pinning import Pins
    from devenv.providers.python_host import HostPython

CONFIG_NAME = "devenv.toml"
LOCK_NAME = "devenv.lock"


class NoProject(DevenvError):
    """There is no devenv.toml where one was looked for."""


class StaleLock(DevenvError):
    """devenv.lock is missing or does not fit the project. `reasons` are sentences, one a change."""

    def __init__(self, reasons: list[str], *, missing: bool = False) -> None:
        head = f"{LOCK_NAME} does not exist yet" if missing else f"{LOCK_NAME} is stale"
        super().__init__("\n".join([head, *reasons]), hint="run `devenv lock` and commit the file")
        self.reasons = reasons
        self.missing = missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to work, from the command line and the environment.

    `jobs` None means one per processor. `substituters` None means the configured ones, `trusted_keys` are trusted
    beside the configured ones.
    """

    environ: Mapping[str, str]
    store_dir: str | None = None
    offline: bool = False
    jobs: int | None = None
    substituters: tuple[str, ...] | None = None
    trusted_keys: tuple[str, ...] = ()
    reporter: Reporter = field(default_factory=Reporter)


class Workplace:
    """The store and the network as one project, or none, sees them. Everything is made when first used."""

    def __init__(
        self,
        root: str,
        registries: Mapping[str, str],
        settings: Settings,
        caches: Caches | None = None,
        mirrors: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """`registries`, `caches` and `mirrors` are those of the project's devenv.toml."""
        self.root = root
        self.registries = registries
        self.settings = settings
        self.caches = caches or Caches()
        self.mirrors = mirrors or {}
        self.cancelled = threading.Event()

    @cached_property
    def layout(self) -> Layout:
        return Layout.find(self.settings.store_dir, self.settings.environ)

    @cached_property
    def endpoints(self) -> Endpoints:
        from devenv.fetch.endpoints import Endpoints

        return Endpoints.load(
            project=self.root,
            environ=self.settings.environ,
            registries=self.registries,
            cache=self.layout.cache,
            offline=self.settings.offline,
            mirrors=self.mirrors,
            may_tell=self._may_tell,
        )

    def assume_crates(self, crates: LockedCrates) -> None:
        """Take what devenv.lock says for cargo's default registry, whatever cargo is or is not on PATH."""
        from devenv.fetch.cargo_default import DefaultRegistry

        self.endpoints.assume_default_crates(DefaultRegistry(locked=crates.default, sparse=crates.index))

    def _may_tell(self, key: str, value: str) -> bool:
        """Whether the user allowed this line of the project's .npmrc, which hands over a variable of theirs."""
        from devenv.trust import Trust
        from devenv.trust_request import secret_item

        return secret_item(key, value) in Trust(self.settings.environ).allowed_here(self.root)

    @cached_property
    def client(self) -> Client:
        from devenv.fetch.http import Client

        return Client(
            self.endpoints,
            environ=self.settings.environ,
            offline=self.settings.offline,
            cancelled=self.cancelled,
        )

    def cancel(self) -> None:
        """End all transfers at once. The client cannot be used any more."""
        self.cancelled.set()
        if "client" in self.__dict__:
            self.client.cancel()

    @property
    def jobs(self) -> int:
        return self.settings.jobs or len(os.sched_getaffinity(0))

    def answer(self, queries: list[Query]) -> dict[str, tuple[RemoteFile, ...]]:
        """Ask the registries. Raises one error for all that cannot be answered."""
        from devenv.fetch.npm_registry import answer_npm
        from devenv.fetch.python_index import answer_pypi

        answers: dict[str, tuple[RemoteFile, ...]] = {}
        problems = []
        npm = [query for query in queries if isinstance(query, NpmQuery)]
        pypi = [query for query in queries if isinstance(query, PypiQuery)]
        try:
            answers |= answer_npm(self.client, self.endpoints, npm, self.settings.reporter) if npm else {}
        except DevenvError as error:
            problems.append(error)
        try:
            answers |= answer_pypi(self.client, self.endpoints, pypi, self.settings.reporter) if pypi else {}
        except DevenvError as error:
            problems.append(error)
        git = [query for query in queries if isinstance(query, GitQuery)]
        if git:
            try:
                answers |= self._answer_git(git)
            except DevenvError as error:
                problems.append(error)
        named = [query for query in queries if isinstance(query, FileQuery)]
        if named:
            from devenv.providers.file_hashes import answer_files

            try:
                answers |= answer_files(self.client, named, self.settings.reporter)
            except DevenvError as error:
                problems.append(error)
        r = [query for query in queries if isinstance(query, RQuery)]
        if r:
            try:
                answers |= self._answer_r(r)
            except DevenvError as error:
                problems.append(error)
        raise_problems(problems)
        return answers

    def _answer_git(self, queries: list[GitQuery]) -> dict[str, tuple[RemoteFile, ...]]:
        from devenv.derivations.git_trees import answer_git
        from devenv.store.local import Store

        with Store.open(self.layout, reporter=self.settings.reporter) as store:
            return answer_git(self.client, queries, store)

    def _answer_r(self, queries: list[RQuery]) -> dict[str, tuple[RemoteFile, ...]]:
        """The sources come along and stay in the store: there is no other way to know their hashes."""
        from devenv.providers.r_sources import answer_r
        from devenv.store.local import Store

        with Store.open(self.layout, reporter=self.settings.reporter) as store:
            return answer_r(self.client, store, queries, self.settings.reporter)


class Project:
    """One project directory: its configuration, lockfiles and lock, read once.

    `sources` is where these are read, the project directory itself unless they are of another time. `given` are values of
    parameters, as texts, `profiles` the names of chosen ones. `extended` are the other files that the configuration came
    from, relative to the project, once that is read.
    """

    def __init__(
        self,
        root: str,
        settings: Settings,
        *,
        sources: str | None = None,
        given: Mapping[str, str] | None = None,
        profiles: tuple[str, ...] = (),
    ) -> None:
        self.root = root
        self.settings = settings
        self.sources = sources or root
        self.given = given or {}
        self.profiles = profiles
        self.pins: Pins | None = None  # while devenv.lock is being written
        self.extended: tuple[str, ...] = ()
        self.trees: list[LockedTree] = []

    @cached_property
    def config(self) -> Config:
        """devenv.toml with its lockfiles found. Raises ConfigError or Problems."""
        own = parse_config(_read(self.sources, CONFIG_NAME), CONFIG_NAME)
        whole = self._with_bases(own) if own.extends or own.members else locate(self.sources, own)
        whole = replace(whole, overrides=with_files(self.sources, whole.overrides))
        return choose_profiles(whole, self.profiles)

    def _with_bases(self, own: Config) -> Config:
        from devenv.derivations.graph import Graph
        from devenv.derivations.packages import git_node
        from devenv.extending import Extending

        layout = Layout.find(self.settings.store_dir, self.settings.environ)
        graph = Graph(layout.store_dir)
        extending = Extending(
            root=self.root,
            sources=self.sources,
            store=layout.store,
            pinned=self._pinned,
            tree_path=lambda tree: git_node(graph, tree.file).out,
        )
        config = extending.resolve(own)
        self.extended = tuple(extending.files)
        return config

    def _pinned(self, extended: Extended) -> LockedTree:
        """What devenv.lock says of a repository, which it is asked for where that is being written. Raises StaleLock."""
        wanted = (extended.git, extended.rev, extended.directory)
        if self.pins is not None:
            return self.pins.pin(extended)
        for tree in self.lock.extends if self.lock else ():
            if (tree.url, tree.rev, tree.directory) == wanted:
                self.trees.append(tree)
                return tree
        raise StaleLock(
            [f"{extended.git} is new ({extended.origin})"] if self.lock else [], missing=self.lock is None
        )

    def pin_anew(self, before: Lock, *, update: bool) -> Pins:
        """From now on ask repositories for what is not pinned in `before`. The configuration is read again."""
        from devenv.pinning import Pins

        # Without the registries of the configuration, which is not known before its repositories are.
        bare = Workplace(self.root, {}, self.settings)
        self.pins = Pins(lambda: bare.client, before.extends, update=update)
        for name in ("config", "lockfiles", "workplace"):
            self.__dict__.pop(name, None)
        return self.pins

    @cached_property
    def workplace(self) -> Workplace:
        config = self.config
        return Workplace(self.root, config.registries, self.settings, config.caches, config.mirrors)

    @cached_property
    def lockfiles(self) -> tuple[Lockfile, ...]:
        if not self.config.lockfiles:
            return ()
        found = read_all(self.sources, self.config.lockfiles, load_adapters())
        return tuple(
            replace(lockfile, overrides=overrides) if overrides else lockfile
            for lockfile in found
            for overrides in [self._overrides_of(lockfile)]
        )

    def _overrides_of(self, lockfile: Lockfile) -> tuple[Override, ...]:
        return tuple(each for each in self.config.overrides if each.ecosystem == lockfile.ecosystem)

    @cached_property
    def lock(self) -> Lock | None:
        """devenv.lock, None when there is none. Raises LockError."""
        try:
            return parse_lock(_read(self.sources, LOCK_NAME), LOCK_NAME)
        except NoProject:
            return None

    def stale_reasons(self) -> list[str]:
        """Why devenv.lock does not fit; empty when it does. A missing one has reasons too."""
        hashes: dict[str, str] = {}
        for lockfile in self.lockfiles:
            hashes.update(lockfile.hashes())
        reasons = stale_reasons(self.lock or Lock(), self.config, hashes)
        unused = [tree for tree in (self.lock.extends if self.lock else ()) if tree not in self.trees]
        return reasons + ([] if self.pins else [f"{tree.url} is no longer extended" for tree in unused])

    def current_lock(self) -> Lock:
        """devenv.lock if it fits the project. Raises StaleLock."""
        reasons = self.stale_reasons()
        if self.lock is None:
            raise StaleLock([], missing=True)
        if reasons:
            raise StaleLock(reasons)
        return self.lock


def _read(root: str, name: str) -> str:
    path = os.path.join(root, name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise NoProject(f"there is no {name} in {root}", hint="`devenv init` writes one") from None
    except UnicodeDecodeError as error:
        raise DevenvError(f"reading {path}: it is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise DevenvError(f"reading {path}: {error.strerror}") from error


# Planning


def platform_name() -> str:
    return f"linux-{os.uname().machine}"


def host_libc() -> str:
    """The C library of the programs here, by the way its loader is named."""
    machine = os.uname().machine
    return "musl" if os.path.exists(f"/lib/ld-musl-{machine}.so.1") and not _has_glibc() else "glibc"


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):
        return False


def make_target(python: HostPython | None, toolchains: tuple[LockedToolchain, ...]) -> Target:
    node = next((tool.version for tool in toolchains if tool.name == "node"), None)
    return Target(
        machine=os.uname().machine,
        libc=host_libc(),
        node_version=node,
        python=python.target if python is not None else None,
    )


def find_locked_python(lock: Lock, environ: Mapping[str, str]) -> HostPython | None:
    """The interpreter of the locked Python: that of the system packages, if they have it, else one of the host's.

    Of the host's the exact version if it is here, else the same minor one.
    """
    from devenv.environment import minor_version
    from devenv.providers.python_host import find_python

    tool = next((tool for tool in lock.toolchains if tool.name == "python"), None)
    if tool is None:
        return None
    if lock.base is not None:
        from devenv.providers.python_base import interpreter_of_base, python_of_base

        if python_of_base(lock.base, tool.version) is not None:
            return interpreter_of_base(lock.base, tool.version)
    try:
        return find_python(tool.version, environ)
    except DevenvError:
        return find_python(minor_version(tool.version), environ)


def plan_lockfiles(
    lockfiles: tuple[Lockfile, ...], target: Target, completions: Mapping[str, tuple[RemoteFile, ...]]
) -> list[PlannedLockfile]:
    """Every lockfile's plan; the errors of all of them are reported together."""
    found, problems = [], []
    for lockfile in lockfiles:
        if lockfile.ecosystem == "python" and target.python is None:
            problems.append(
                DevenvError(
                    f"{lockfile.path} needs a Python and {CONFIG_NAME} names none",
                    hint='add `python = "3.11"`, or the version you need, to [packages]',
                )
            )
            continue
        try:
            plan = lockfile.plan(target, completions)
            found.append(PlannedLockfile(path=lockfile.path, directory=lockfile.directory, plan=plan))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return found


def all_queries(plans: list[PlannedLockfile]) -> list[Query]:
    unique = {query.key: query for entry in plans for query in entry.plan.queries}
    return list(unique.values())


# Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What `devenv lock` did: `changes` are lines for people, `written` whether the file changed."""

    changes: tuple[str, ...]
    written: bool
    notices: tuple[str, ...]


def lock_project(project: Project, *, update: bool = False) -> Locked:
    """Write devenv.lock. Pins of unchanged requests stay, unless `update` asks for the newest again."""
    from devenv.providers.toolchains import lock_toolchains

    before = _lock_to_replace(project)
    pins = project.pin_anew(before, update=update)
    known = {} if update else dict(before.files)
    added, sources = _needed_of_base(project, known)
    known |= sources
    system = lock_system(project.config, _asking(project), before, added, update=update)
    base = system.base if system is not None else None
    kept = toolchains_of_base(project.config, base)
    if not update:
        kept = _kept_toolchains(project, before, base) | kept
    wanted = {name: request for name, request in project.config.packages.items() if name not in kept}
    place = project.workplace
    found: tuple[LockedToolchain, ...] = ()
    if wanted:
        found = lock_toolchains(
            wanted,
            client=place.client,
            endpoints=place.endpoints,
            reporter=project.settings.reporter,
            environ=project.settings.environ,
        )
    chosen = {tool.name: tool for tool in found} | kept
    toolchains = tuple(sorted(chosen.values(), key=lambda tool: tool.name))
    python = find_locked_python(Lock(toolchains=toolchains, base=base), project.settings.environ)
    target = make_target(python, toolchains)
    plans, files = _complete(project, project.lockfiles, target, known, python, base)
    _check_overrides(project, target, files)
    crates = _default_crates(project, plans, base)
    _ask_crate_registries(project, plans)
    lock = Lock(
        system=project.config.system,
        added=added,
        outside=system.outside if system is not None else (),
        base=base,
        crates=crates,
        requests=dict(project.config.packages),
        lockfiles=_locked_lockfiles(project),
        toolchains=toolchains,
        files=files,
        extends=tuple(pins.found.values()),
        overrides={each.label: each.facts() for each in project.config.overrides if each.facts()},
    )
    written = _write_if_changed(os.path.join(project.root, LOCK_NAME), dump_lock(lock))
    project.lock, project.pins = lock, None
    project.trees = list(lock.extends)
    notices = (
        *(notice for entry in plans for notice in entry.plan.notices),
        *(
            f"{each.label} is overridden in {each.origin}"
            for each in project.config.overrides
            if each.facts()
        ),
    )
    return Locked(changes=tuple(_changes(before, lock)), written=written, notices=notices)


def _default_crates(
    project: Project, plans: list[PlannedLockfile], base: LockedBase | None
) -> LockedCrates | None:
    """cargo's default registry, where a Cargo.lock has crates of registries: asked here, and by nobody later."""
    views = [entry.plan.view for entry in plans if isinstance(entry.plan.view, CargoSources)]
    sources = [each for view in views for each in view.sources.values() if each.kind == "registry"]
    if not sources:
        return None
    from devenv.providers.cargo_base import default_registry

    place = project.workplace
    found = default_registry(
        [each.url.removeprefix("registry+") for each in sources],
        base,
        client=place.client,
        layout=place.layout,
        reporter=project.settings.reporter,
    )
    crates = LockedCrates(default=found.locked, index=found.sparse)
    place.assume_crates(crates)
    return crates


def _check_overrides(project: Project, target: Target, files: Mapping[str, tuple[RemoteFile, ...]]) -> None:
    """Raises OverrideError, or Problems of them, for overrides of what no lockfile has."""
    if not project.config.overrides:
        return
    from devenv.overrides.choice import known_packages, missing

    plans = [lockfile.plan_as_locked(target, files) for lockfile in project.lockfiles]
    raise_problems(missing(project.config.overrides, known_packages(plans)))


def _ask_crate_registries(project: Project, plans: list[PlannedLockfile]) -> None:
    """Where they keep their files is not in a Cargo.lock; asked now, so that nothing later has to."""
    urls = {
        package.file.url.partition(":")[0]: package.file.url
        for entry in plans
        for package in entry.plan.packages
        if package.format == "crate"
    }
    for url in urls.values():
        project.workplace.endpoints.absolute(url)


def _needed_of_base(
    project: Project, known: Mapping[str, tuple[RemoteFile, ...]]
) -> tuple[tuple[str, ...], dict[str, tuple[RemoteFile, ...]]]:
    """What the packages of lockfiles need of the base, and the answers that it took to know that.

    Overrides say so, and R packages; what these are does not depend on any target.
    """
    lockfiles = tuple(each for each in project.lockfiles if each.ecosystem == "r")
    wanted = {name for override in project.config.overrides for name in override.system}
    if wanted and project.config.base is None:
        override = next(each for each in project.config.overrides if each.system)
        raise OverrideError(
            override.origin,
            f"build.system asks for {', '.join(override.system)}, and there is no `base` to take them from",
            f'say which distribution they are from: base = "debian/bookworm" at the top of {CONFIG_NAME}',
        )
    if not lockfiles:
        return tuple(sorted(wanted)), {}
    if "r" not in project.config.packages:
        raise DevenvError(
            f"{lockfiles[0].path} needs R and {CONFIG_NAME} names none",
            hint='add `base = "debian/trixie"` at the top and `r = "4.5"` to [packages], or the versions you need',
        )
    plans, answers = _complete(project, lockfiles, make_target(None, ()), known)
    wanted |= {name for entry in plans for name in entry.plan.system}
    return tuple(sorted(wanted)), answers


def _asking(project: Project) -> Asking:
    place = project.workplace
    return Asking(
        client=lambda: place.client,
        cache=place.layout.cache,
        reporter=project.settings.reporter,
        offline=project.settings.offline,
    )


def _lock_to_replace(project: Project) -> Lock:
    """The present devenv.lock, or an empty one where it is missing or damaged: it is about to be written anew."""
    from devenv.config.errors import LockError

    try:
        return project.lock or Lock()
    except LockError:
        return Lock()


def _kept_toolchains(project: Project, before: Lock, base: LockedBase | None) -> dict[str, LockedToolchain]:
    """Toolchains whose request is as it was and which this machine can still use."""
    kept = {}
    wanted = project.config.packages
    for tool in before.toolchains:
        # npm comes along with node when nobody asks for it, and stays as long as node does.
        source = tool.name if tool.name in wanted or tool.name != "npm" else "node"
        same = before.requests.get(source) == wanted.get(source) and source in wanted
        if (
            same
            and tool.name != "r"
            and (tool.name == "python" or platform_name() in tool.files or "any" in tool.files)
        ):
            kept[tool.name] = tool
    if "node" not in kept and "npm" not in wanted:
        kept.pop("npm", None)
    python = kept.get("python")
    if python is not None:
        try:
            find_locked_python(Lock(toolchains=(python,), base=base), project.settings.environ)
        except DevenvError:
            kept.pop("python")
    return kept


def _locked_lockfiles(project: Project) -> dict[str, LockedLockfile]:
    return {
        lockfile.path: LockedLockfile(
            ecosystem=lockfile.ecosystem,
            sha256=hashes.pop(lockfile.path),
            siblings=_locked_siblings(lockfile, hashes),
            options=lockfile.options,
        )
        for lockfile in project.lockfiles
        for hashes in (lockfile.hashes(),)
    }


def _locked_siblings(lockfile: Lockfile, hashes: Mapping[str, str]) -> dict[str, str]:
    """Siblings whose change makes the lock stale: other lock texts. Manifests change for many other reasons."""
    manifests = ("pyproject.toml", "package.json", "setup.cfg", "setup.py", "*.in")
    return {
        name: digest
        for name, digest in hashes.items()
        if not any(fnmatchcase(os.path.basename(name), pattern) for pattern in manifests)
    }


_MOST_ROUNDS = 6


def _complete(
    project: Project,
    lockfiles: tuple[Lockfile, ...],
    target: Target,
    known: Mapping[str, tuple[RemoteFile, ...]],
    python: HostPython | None = None,
    base: LockedBase | None = None,
) -> tuple[list[PlannedLockfile], dict[str, tuple[RemoteFile, ...]]]:
    """Plans without open queries, and the answers that they used."""
    files: dict[str, tuple[RemoteFile, ...]] = {}
    plans = _plans(project, lockfiles, target, files, python)
    # An answer may be about a file that the lockfile no longer means: such a plan asks again. Some lead to further
    # questions: which file it is, then what its build needs.
    asked: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        open_queries = all_queries(plans)
        if not open_queries:
            return plans, files
        old = {q.key: known[q.key] for q in open_queries if q.key in known and q.key not in asked}
        files |= {q.key: old[q.key] for q in open_queries if q.key in old and _is_answered(q, old[q.key])}
        missing = [query for query in open_queries if query.key not in files or query.key in asked]
        asked |= {query.key for query in open_queries}
        answers = _answers(project, missing, python, base)
        files |= {key: useful_files(found, target) for key, found in answers.items()}
        plans = _plans(project, lockfiles, target, files, python)
    raise DevenvError(
        "the registries' answers do not settle "
        + ", ".join(sorted(query.key for query in all_queries(plans))[:5]),
        hint="the lockfile and the registry disagree; write the lockfile anew with its own tool",
    )


def _plans(
    project: Project,
    lockfiles: tuple[Lockfile, ...],
    target: Target,
    files: Mapping[str, tuple[RemoteFile, ...]],
    python: HostPython | None,
) -> list[PlannedLockfile]:
    """What the lockfiles mean, with the builds of the directories that they name."""
    from devenv.local_projects import with_builds

    return with_builds(project.root, plan_lockfiles(lockfiles, target, files), python, files)


def _answers(
    project: Project, queries: list[Query], python: HostPython | None, base: LockedBase | None
) -> dict[str, tuple[RemoteFile, ...]]:
    """Ask registries, repositories and build backends. Raises one error for all that cannot be answered."""
    builds = [query for query in queries if isinstance(query, BuildQuery)]
    answers = project.workplace.answer([query for query in queries if not isinstance(query, BuildQuery)])
    if builds and python is not None:
        from devenv.providers.build_requirements import Asker

        place = project.workplace
        asker = Asker(
            endpoints=place.endpoints,
            client=place.client,
            layout=place.layout,
            reporter=project.settings.reporter,
            jobs=place.jobs,
            python=python,
            base=base,
        )
        answers |= asker.answer(builds)
    return answers


def _is_answered(query: Query, files: tuple[RemoteFile, ...]) -> bool:
    """Do these files answer the query as the lockfile asks it now? Its hashes may have changed since."""
    if isinstance(query, BuildQuery):
        return True  # all that it depends on is in its key
    if isinstance(query, FileQuery) and query.url.startswith(("project:", "file:")):
        return False  # it may be another by now, and is asked at no cost
    if isinstance(query, GitQuery | RQuery | FileQuery):
        return bool(files)  # a commit never changes, a named file is checked when it is fetched
    hashes = query.hashes if isinstance(query, PypiQuery) else tuple(filter(None, [query.hash]))
    return bool(files) and (not hashes or all(file.hash in hashes for file in files))


def useful_files(files: tuple[RemoteFile, ...], target: Target) -> tuple[RemoteFile, ...]:
    """The wheels that this Python can use on either supported machine, and the sdist; all files when there is no such wheel.

    devenv.lock then works on x86_64 and aarch64 without listing every file that was ever uploaded.
    """
    from packaging.utils import parse_wheel_filename

    if len(files) < 2 or target.python is None:
        return files
    tags = set(target.python.tags)
    other = "aarch64" if target.machine == "x86_64" else "x86_64"
    tags |= {tag.replace(target.machine, other) for tag in tags}
    kept, sources = [], []
    for file in files:
        try:
            wheel_tags = parse_wheel_filename(file.file_name)[3]
        except ValueError:
            sources += [file] if file.file_name.endswith((".tar.gz", ".zip")) else []
            continue
        if any(str(tag) in tags for tag in wheel_tags):
            kept.append(file)
    return (*kept, *sources) if kept else files


def _write_if_changed(path: str, text: str) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except (OSError, UnicodeDecodeError):
        pass
    aside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(aside, path)
    except OSError as error:
        if os.path.exists(aside):
            os.unlink(aside)
        raise DevenvError(f"writing {path}: {error.strerror}") from error
    return True


def _changes(before: Lock, after: Lock) -> list[str]:
    lines = []
    old = {tool.name: tool.version for tool in before.toolchains}
    for tool in after.toolchains:
        if old.get(tool.name) != tool.version:
            lines.append(
                f"{tool.name} {old[tool.name]} -> {tool.version}"
                if tool.name in old
                else f"{tool.name} {tool.version}"
            )
    for path, entry in after.lockfiles.items():
        known = before.lockfiles.get(path)
        if known is None or known.sha256 != entry.sha256:
            lines.append(f"{path} {'changed' if known else 'added'}")
    pins = {(tree.url, tree.rev, tree.directory): tree.commit for tree in before.extends}
    for tree in after.extends:
        known_commit = pins.get((tree.url, tree.rev, tree.directory))
        if known_commit != tree.commit:
            was = f"{known_commit[:12]} -> " if known_commit else ""
            lines.append(f"{tree.url} {tree.rev} {was}{tree.commit[:12]}")
    for label in sorted(before.overrides.keys() | after.overrides.keys()):
        facts = after.overrides.get(label)
        if before.overrides.get(label) != facts:
            lines.append(
                f"{label} overridden: {', '.join(facts)}" if facts else f"{label} no longer overridden"
            )
    lines += _base_changes(before.base, after.base)
    answered = len(after.files.keys() - before.files.keys())
    if answered:
        lines.append(f"{answered} answers of the registries recorded")
    return lines


_MOST_CHANGES = 20


def _base_changes(before: LockedBase | None, after: LockedBase | None) -> list[str]:
    """What became of the system packages: a line in all, and one for each that has another version now."""
    if after is None or before == after:
        return []
    old = {deb.key: deb for deb in before.packages} if before else {}
    new = {deb.key: deb for deb in after.packages}
    size = sum(deb.size for deb in after.packages)
    changed = [key for key in new.keys() & old.keys() if old[key].version != new[key].version]
    head = f"{after.base}: {len(new)} packages, {size / 1e6:.0f} MB to fetch"
    if old:
        head += f" ({len(new.keys() - old.keys())} new, {len(changed)} changed, {len(old.keys() - new.keys())} gone)"
    lines = [f"{key} {old[key].version} -> {new[key].version}" for key in sorted(changed)]
    more = [f"and {len(lines) - _MOST_CHANGES} more"] if len(lines) > _MOST_CHANGES else []
    return [head, *lines[:_MOST_CHANGES], *more]


# Instantiate


def _base_urls(place: Workplace, lock: Lock) -> Callable[[LockedDeb], list[str]] | None:
    if lock.base is None:
        return None
    from devenv.debian.base import url_lookup

    return url_lookup(place.endpoints, lock.base)


def _absolute(place: Workplace) -> Callable[[str], str]:
    """Where a file is, by its URL in a lock; for a directory of a project the copy in the store that it would have."""
    from devenv.derivations.wheels import DIRECTORY
    from devenv.providers.local_sources import source_tree
    from devenv.recipes.sources import source_path

    def absolute(url: str) -> str:
        if url.startswith(DIRECTORY):
            return source_path(source_tree(url.removeprefix(DIRECTORY)), place.layout.store_dir)
        return place.endpoints.absolute(url)

    return absolute


def instantiate_project(project: Project) -> tuple[Instantiated, tuple[str, ...]]:
    """The environment of a project whose devenv.lock fits, and the notices of its plans. No network."""
    config = settle(project.config, project.given)
    lock = project.current_lock()
    python = find_locked_python(lock, project.settings.environ)
    target = make_target(python, lock.toolchains)
    plans = _plans(project, project.lockfiles, target, lock.files, python)
    open_queries = all_queries(plans)
    if open_queries:
        raise StaleLock([f"it lacks an answer for {query.key}" for query in open_queries[:10]])
    from devenv.npm_preparation import preparation_of

    place = project.workplace
    if lock.crates is not None:
        place.assume_crates(lock.crates)
    made = instantiate(
        config=config,
        toolchains=lock.toolchains,
        lockfiles=plans,
        python=python,
        store_dir=place.layout.store_dir,
        absolute_url=_absolute(place),
        candidates=place.endpoints.candidates,
        platform=platform_name(),
        cargo_index=lambda: place.endpoints.default_crates.locked,
        base=lock.base,
        outside=lock.outside,
        base_urls=_base_urls(place, lock),
        preparation=lambda tree, rules: preparation_of(tree, target, rules),
    )
    notices = (*(notice for entry in plans for notice in entry.plan.notices), *made.notices)
    return made, notices
