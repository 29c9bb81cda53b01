"""Building the project's recipes: their inputs found, planned as derivations, realised, kept from collections."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from devenv.adapter import RemoteFile
from devenv.caching import substitution
from devenv.config.builds import CARGO, SYSTEM, Build, Fetch, PathSource, Purify, UrlSource
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import fetch_node
from devenv.env import compiler_cache
from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Notice, Printed, Started
from devenv.foresight import Foreseen, foresee, valid_paths
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.instantiation import instantiate_project
from devenv.project import Project
from devenv.realisation import host_pythons
from devenv.recipes.checkpoints import Checkpoints, limit_from
from devenv.recipes.errors import RecipeError
from devenv.recipes.instantiate import Given, Planned, machine_name, needed_builds, plan_recipe
from devenv.recipes.sources import SourceTree, add_file, add_source, file_path, source_path

if TYPE_CHECKING:
    from devenv.derivations.cargo_tools import CompiledCrates
    from devenv.derivations.process import BuildOptions, Processes
    from devenv.environment.instantiate import Instantiated
    from devenv.environment.views import CargoLocks
    from devenv.store.local import Store

ROOTS = ".devenv/builds"  # links to what was built, relative to the project
BUILT_CRATES = ".devenv/state/cargo"  # what builds compiled, as bin/cargo of the view has it


class _Unknown(DevenvError):
    """What can be known only by doing it. The message says what and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What `devenv build` is asked for. `names` empty means all recipes; `start` is the phase to begin at."""

    names: tuple[str, ...] = ()
    start: str | None = None
    keep_going: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A recipe's result."""

    name: str
    path: StorePath


def build_recipes(project: Project, request: BuildRequest, options: BuildOptions) -> tuple[Built, ...]:
    """Build, and leave a link to each result in `.devenv/builds`.

    Raises ConfigError, RecipeError, BuildError, FetchError, StoreError, or Problems with several of them.
    """
    from devenv.store.local import Store
    from devenv.store.roots import add_indirect_root

    names = request.names or all_recipes(project)
    with Store.open(project.workplace.layout, reporter=project.settings.reporter) as store:
        planner = Planner(project, store, options)
        planned = planner.plan(names)
        start = _starts(planned, names, request.start)
        planner.realise(planned, start=start, keep_going=request.keep_going)
        found = []
        for name in names:
            out = planned[name].node.out
            add_indirect_root(store.layout, os.path.join(project.root, ROOTS, name), out)
            found.append(Built(name=name, path=out))
    return tuple(found)


def foresee_recipes(project: Project, names: Sequence[str]) -> Foreseen:
    """What `build_recipes` would do. Writes nothing."""
    planner = Planner(project, None, None)
    planned = planner.plan(names or all_recipes(project))
    layout = project.workplace.layout
    there = valid_paths(layout, planner.searched)
    searched = [text for path, text in planner.searched.items() if path not in there]
    nodes = [each.node for each in planned.values()]
    return foresee(layout, nodes, (*planner.unknown.values(), *searched))


def all_recipes(project: Project) -> tuple[str, ...]:
    if not project.config.builds:
        raise RecipeError(
            "devenv.toml says nothing to build",
            hint="describe it in a table [build.NAME]: see docs/recipes.md",
        )
    return tuple(project.config.builds)


def check_recipes(project: Project) -> None:
    """Raise what is wrong with recipes in themselves: phases, inputs that are none, circles."""
    from devenv.recipes.phases import order

    problems: list[DevenvError] = []
    for build in project.config.builds.values():
        try:
            order(build.phases, recipe=build.name)
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    needed_builds(project.config.builds, tuple(project.config.builds))


def _starts(planned: Mapping[str, Planned], names: Sequence[str], start: str | None) -> dict[str, str]:
    """`--from` for each recipe that was named; all must have that phase."""
    if start is None:
        return {}
    problems = []
    for name in names:
        phases = [phase.name for phase in planned[name].phases]
        if start not in phases:
            problems.append(
                RecipeError(
                    f"the recipe {name} has no phase {start}", recipe=name, hint=f"it has {', '.join(phases)}"
                )
            )
    raise_problems(problems)
    return dict.fromkeys(names, start)


class Planner:
    """Turns the recipes of a project into derivations. Without a store nothing is written or fetched.

    `unknown` grows in that case: by recipe, what could not be known; and `searched`: what would be looked for.
    """

    def __init__(self, project: Project, store: Store | None, options: BuildOptions | None) -> None:
        self._project = project
        self._place = project.workplace
        self._store = store
        self._options = options
        self._planned: dict[str, Planned] = {}
        self._fetched: dict[str, Given] = {}
        self._purifying: list[str] = []
        self.unknown: dict[str, str] = {}
        self.searched: dict[StorePath, str] = {}

    @cached_property
    def _environment(self) -> Instantiated:
        """The project's environment, for inputs from it. Raises StaleLock."""
        return instantiate_project(self._project)[0]

    @cached_property
    def graph(self) -> Graph:
        config = self._project.config
        if any(self._is_of_environment(name) for build in config.builds.values() for name in build.inputs):
            return self._environment.graph
        return Graph(self._place.layout.store_dir)

    def _is_of_environment(self, name: str) -> bool:
        return name not in self._project.config.builds and not name.startswith(("fetch.", "purify."))

    def plan(self, names: Sequence[str]) -> dict[str, Planned]:
        """The derivations of these recipes and of those that they need, each after its inputs."""
        builds = self._project.config.builds
        found: dict[str, Planned] = {}
        problems: list[DevenvError] = []
        for name in needed_builds(builds, names):
            try:
                if name not in self._planned:
                    self._planned[name] = self._plan(builds[name])
                found[name] = self._planned[name]
            except _Unknown as error:
                self.unknown[name] = f"{name}: {error}"
            except DevenvError as error:
                problems.append(error)
                if any(name in build.inputs for build in builds.values()):
                    break  # what needs it would only complain about that
        raise_problems(problems)
        return found

    def _plan(self, build: Build) -> Planned:
        inputs: dict[str, Given] = {}
        problems: list[DevenvError] = []
        for name in build.inputs:
            try:
                inputs[name] = self._input(name, build)
            except _Unknown:
                raise
            except DevenvError as error:
                problems.append(error)
        raise_problems(problems)
        return plan_recipe(
            self.graph,
            build,
            inputs=inputs,
            sources=tuple(self._sources(build)),
            patches=tuple(self._patch(build, path) for path in build.patches),
            machine=machine_name(),
        )

    # Inputs

    def _input(self, name: str, build: Build) -> Given:
        if name in self.unknown:
            raise _Unknown(f"it needs {self.unknown[name]}")
        if name in self._project.config.builds:
            node = self._planned[name].node
            return Given(path=node.out, node=node)
        kind, _, rest = name.partition(".")
        if kind == "fetch" and rest in self._project.config.fetches:
            return self._fetch(self._project.config.fetches[rest])
        if kind == "purify" and rest in self._project.config.purifies:
            return self._purify(self._project.config.purifies[rest])
        if kind in ("fetch", "purify"):
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {name}, and there is no [{name}]",
                recipe=build.name,
            )
        if name == SYSTEM:
            return self._system(build)
        if name == CARGO:
            return self._cargo(build)
        return self._package(name, build)

    def _system(self, build: Build) -> Given:
        """The root of the project's system packages."""
        from devenv.derivations.in_root import root_node

        root = self._environment.root
        if root is None:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {SYSTEM}, and there are no system packages",
                recipe=build.name,
                hint='name some, such as [packages] system = ["g++", "make"], then run `devenv lock`',
            )
        node = root_node(self.graph, root.packages, root.configured)
        return Given(path=node.out, node=node, is_root=True)

    def _cargo(self, build: Build) -> Given:
        """cargo's view of the project's lockfiles, as an object."""
        from devenv.derivations.cargo_tools import tools_node

        view = self._cargo_locks
        if view is None:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {CARGO}, and the project has no Cargo.lock",
                recipe=build.name,
                hint="name it under [lockfiles], then run `devenv lock`",
            )
        by_output = {node.out: node for node in self.graph.nodes.values()}
        node = tools_node(self.graph, view.files(), by_output[view.sources])
        return Given(path=node.out, node=node)

    @property
    def _cargo_locks(self) -> CargoLocks | None:
        from devenv.environment.views import CargoLocks

        views = (recipe.view for recipe in self._environment.recipes)
        return next((view for view in views if isinstance(view, CargoLocks)), None)

    def _package(self, name: str, build: Build) -> Given:
        """A toolchain, or a package of a lockfile."""
        if name == "python":
            raise RecipeError(
                f"{build.origin}: {build.name} has the input python, which is this machine's and no store object",
                recipe=build.name,
                hint=f'`host = true` lets the recipe use this machine\'s programs, the input "{SYSTEM}" those of the '
                "system packages",
            )
        kind, mark, package = name.partition(":")
        found: set[str] = set()
        if not mark:
            found = {tool.path for tool in self._environment.spec.packages if tool.name == name}
        elif kind in ("npm", "pip"):
            found = {path for path, known in self._locked_packages(kind) if known == package}
        if len(found) != 1:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {name}, of which there is "
                f"{'more than one version' if found else 'none'}",
                recipe=build.name,
                hint='inputs are other recipes, "system", "cargo", "node", "npm:NAME", "pip:NAME", "fetch.NAME" and "purify.NAME"',
            )
        by_output = {node.out: node for node in self.graph.nodes.values()}
        path = StorePath(found.pop())
        return Given(path=path, node=by_output[path])

    def _locked_packages(self, kind: str) -> Iterator[tuple[StorePath, str]]:
        """The paths of a lockfile's packages with their names."""
        for recipe in self._environment.recipes:
            if recipe.kind != {"npm": "node_modules", "pip": "python"}[kind]:
                continue
            for place, path in recipe.trees.items():
                yield path, place.rpartition("node_modules/")[2] if kind == "npm" else place

    def _fetch(self, fetch: Fetch) -> Given:
        url = self._place.endpoints.absolute(fetch.url)
        if fetch.hash is not None:
            return self._fetch_known(fetch.url, fetch.hash)
        if self._store is None:
            raise _Unknown(
                f"fetch.{fetch.name} has no hash, so it is fetched each time, and what it is decides more"
            )
        if fetch.name not in self._fetched:
            from devenv.recipes.impure import fetch_anew

            reporter = self._project.settings.reporter
            path, hash = fetch_anew(
                fetch, url, client=self._place.client, store=self._store, reporter=reporter
            )
            self._notice(f"fetch.{fetch.name} is impure and was fetched anew: it is {hash.sri} now.")
            self._fetched[fetch.name] = Given(path=path)
        return self._fetched[fetch.name]

    def _fetch_known(self, url: str, hash: str) -> Given:
        from devenv.recipes.impure import file_name

        file = RemoteFile(file_name=file_name(url), url=url, hash=Hash.parse_sri(hash))
        node = fetch_node(self.graph, file, self._place.endpoints.absolute(url))
        return Given(path=node.out, node=node)

    def _purify(self, purify: Purify) -> Given:
        from devenv.recipes.impure import Candidate, purified_path, purify_into

        if self._store is None:
            path = purified_path(purify, self._place.layout.store_dir)
            self.searched[path] = f"purify.{purify.name} is looked for among {', '.join(purify.candidates)}"
            return Given(path=path)
        if purify.name in self._purifying:
            circle = " -> ".join([*self._purifying, purify.name])
            raise RecipeError(
                f"{purify.origin}: purify.{purify.name} needs itself: {circle}", recipe=purify.name
            )
        self._purifying.append(purify.name)
        try:
            candidates = [
                Candidate(text=text, bring=partial(self._bring, text)) for text in purify.candidates
            ]
            return Given(path=purify_into(purify, candidates, self._store))
        finally:
            self._purifying.pop()

    def _bring(self, candidate: str, target: str) -> None:
        """Copy what a candidate gives to the path `target`."""
        from devenv.recipes.impure import copy_of, stream_to

        assert self._store is not None
        kind, _, name = candidate.partition(".")
        if candidate.startswith(("http://", "https://")):
            url = self._place.endpoints.absolute(candidate)
            stream_to(self._place.client, url, target, candidate, self._project.settings.reporter)
        elif candidate.startswith("./"):
            copy_of(os.path.join(self._project.root, candidate))(target)
        elif kind == "fetch":
            fetch = self._project.config.fetches.get(name)
            if fetch is None:
                raise RecipeError(f"there is no [fetch.{name}]")
            url = self._place.endpoints.absolute(fetch.url)
            stream_to(self._place.client, url, target, candidate, self._project.settings.reporter)
        else:
            planned = self.plan([name])
            self.realise(planned)
            out = planned[name].node.out
            info = self._store.info(out)
            if info is not None and info.references:
                raise RecipeError(
                    f"it refers to {', '.join(info.references)}, so it is more than its contents"
                )
            copy_of(out)(target)

    # Sources

    def _sources(self, build: Build) -> Iterator[Given]:
        paths = tuple(source.path for source in build.sources if isinstance(source, PathSource))
        if paths:
            tree = SourceTree(
                project=self._project.root, paths=paths, exclude=build.exclude, recipe=build.name
            )
            if self._store is None:
                yield Given(path=source_path(tree, self._place.layout.store_dir))
            else:
                yield Given(path=add_source(tree, self._store))
        for source in build.sources:
            if isinstance(source, UrlSource):
                yield self._fetch_known(source.url, source.hash)

    def _patch(self, build: Build, path: str) -> StorePath:
        tree = SourceTree(project=self._project.root, paths=(path,), recipe=build.name)
        if self._store is None:
            return file_path(tree, path, self._place.layout.store_dir)
        return add_file(tree, path, self._store)

    # Realising

    def realise(
        self,
        planned: Mapping[str, Planned],
        *,
        targets: Sequence[Node] | None = None,
        start: Mapping[str, str] | None = None,
        keep_going: bool = False,
    ) -> None:
        """Build what is missing of `targets`, or else of all; those with a phase in `start` in any case, from there."""
        from devenv.derivations.realise import realise

        store = self._store
        assert store is not None and self._options is not None
        store.add_texts(text for each in planned.values() for text in each.texts)
        checkpoints = self.checkpoints
        again = [name for name in start or {} if store.is_valid(planned[name].node.out)]
        try:
            realise(
                store,
                self.graph,
                [each.node for each in planned.values()] if targets is None else targets,
                client=self._place.client,
                pythons=host_pythons(self._place, self.graph),
                reporter=self._project.settings.reporter,
                jobs=self._place.jobs,
                options=self.build_options(planned),
                programs=partial(self._processes, planned, start or {}),
                keep_going=keep_going,
                bring=substitution(self._place, store),
            )
            for name in again:
                self._build_again(planned, planned[name], start or {})
        finally:
            with suppress(OSError):
                checkpoints.trim()

    @cached_property
    def checkpoints(self) -> Checkpoints:
        directory = os.path.join(self._place.layout.cache, "checkpoints")
        return Checkpoints(directory, limit_from(self._project.settings.environ))

    def build_options(self, planned: Mapping[str, Planned]) -> BuildOptions:
        """The options with what the recipes declare to take, and the project's cache of compilers."""
        from devenv.derivations.schedule import Resources

        assert self._options is not None
        resources = {
            each.node.path: Resources(cores=each.build.cores or 1, memory=each.build.memory or 0)
            for each in planned.values()
            if each.build.cores or each.build.memory
        }
        cache = compiler_cache.directory(self._project.root, self._project.settings.environ)
        return replace(self._options, resources=resources, compiler_cache=cache, compiled=self._compiled())

    def _compiled(self) -> CompiledCrates | None:
        """Where compiled crates are, if a recipe asks for cargo: those of all checkouts, and of this project's builds."""
        from devenv.derivations.cargo_tools import CompiledCrates

        asked = any(CARGO in build.inputs for build in self._project.config.builds.values())
        view = self._cargo_locks if asked and CARGO not in self._project.config.builds else None
        if view is None:
            return None
        return CompiledCrates(shared=view.shared, built=os.path.join(self._project.root, BUILT_CRATES))

    def _processes(
        self,
        planned: Mapping[str, Planned],
        start: Mapping[str, str],
        store: Store,
        directory: str,
        options: BuildOptions,
    ) -> Processes:
        from devenv.recipes.running import RecipeOptions, RecipeProcesses

        recipes = RecipeOptions(
            project=self._project.root,
            recipes={each.node.path: each for each in planned.values()},
            checkpoints=self.checkpoints,
            start=start,
            reporter=self._project.settings.reporter,
        )
        return RecipeProcesses(store, directory, options, recipes)

    def _build_again(self, planned: Mapping[str, Planned], wanted: Planned, start: Mapping[str, str]) -> None:
        """Build what is there once more, for its phases' sake, and say whether it is the same."""
        store = self._store
        assert store is not None
        node: Node = wanted.node
        reporter = self._project.settings.reporter
        with store.temporary_directory() as directory:
            processes = self._processes(planned, start, store, directory, self.build_options(planned))
            made = None
            reporter.event(Started(kind="build", key=node.out, label=node.label))
            try:
                made = processes.build(node, lambda line: reporter.event(Printed(key=node.out, line=line)))
            finally:
                reporter.event(Finished(key=node.out, failed=made is None))
                processes.close()
        before = store.info(node.out)
        if before is not None and made[0].info.nar_hash != before.nar_hash:
            self._notice(
                f"{node.label} came out different from before; what was in the store stays: {node.out}."
            )

    def _notice(self, text: str) -> None:
        self._project.settings.reporter.event(Notice(text=text))
