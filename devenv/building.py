"""Building the project's recipes: their inputs found, planned as derivations, realised, kept from collections."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from devenv.build_inputs import EnvironmentInputs
from devenv.build_sources import Sources, Unknown
from devenv.caching import substitution
from devenv.config.builds import CARGO, SYSTEM, Build
from devenv.derivations.graph import Graph, Node
from devenv.env import compiler_cache
from devenv.errors import DevenvError, raise_problems
from devenv.events import Finished, Notice, Printed, Started
from devenv.foresight import Foreseen, foresee, valid_paths
from devenv.formats.store_path import StorePath
from devenv.project import Project
from devenv.realisation import host_pythons
from devenv.recipes.checkpoints import Checkpoints, limit_from
from devenv.recipes.errors import RecipeError
from devenv.recipes.instantiate import Given, Planned, machine_name, needed_builds, plan_recipe

if TYPE_CHECKING:
    from devenv.derivations.cargo_tools import CompiledCrates
    from devenv.derivations.process import BuildOptions, Processes
    from devenv.store.local import Store

ROOTS = ".devenv/builds"  # links to what was built, relative to the project
BUILT_CRATES = ".devenv/state/cargo"  # what builds compiled, as bin/cargo of the view has it


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

    `unknown` grows in that case: by recipe, what could not be known.
    """

    def __init__(self, project: Project, store: Store | None, options: BuildOptions | None) -> None:
        self._project = project
        self._place = project.workplace
        self._store = store
        self._options = options
        self._planned: dict[str, Planned] = {}
        self._inputs = EnvironmentInputs(project)
        self.unknown: dict[str, str] = {}

    @cached_property
    def graph(self) -> Graph:
        config = self._project.config
        if any(self._is_of_environment(name) for build in config.builds.values() for name in build.inputs):
            return self._inputs.environment.graph
        return Graph(self._place.layout.store_dir)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self._project, self._store, self.graph, self._made)

    def _made(self, name: str) -> StorePath:
        planned = self.plan([name])
        self.realise(planned)
        return planned[name].node.out

    @property
    def searched(self) -> dict[StorePath, str]:
        """What would be looked for, with a text for people."""
        return self._sources.searched

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
            except Unknown as error:
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
            except Unknown:
                raise
            except DevenvError as error:
                problems.append(error)
        raise_problems(problems)
        return plan_recipe(
            self.graph,
            build,
            inputs=inputs,
            sources=tuple(self._sources.sources(build)),
            patches=tuple(self._sources.patch(build, path) for path in build.patches),
            machine=machine_name(),
        )

    # Inputs

    def _input(self, name: str, build: Build) -> Given:
        if name in self.unknown:
            raise Unknown(f"it needs {self.unknown[name]}")
        if name in self._project.config.builds:
            node = self._planned[name].node
            return Given(path=node.out, node=node)
        kind, _, rest = name.partition(".")
        if kind == "fetch" and rest in self._project.config.fetches:
            return self._sources.fetch(self._project.config.fetches[rest])
        if kind == "purify" and rest in self._project.config.purifies:
            return self._sources.purify(self._project.config.purifies[rest])
        if kind in ("fetch", "purify"):
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {name}, and there is no [{name}]",
                recipe=build.name,
            )
        if name == SYSTEM:
            return self._inputs.system(build)
        if name == CARGO:
            return self._inputs.cargo(build)
        return self._inputs.package(name, build)

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
        from devenv.env.compiled_objects import offer

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
        with suppress(OSError):
            offer(self._project.root)

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
        return replace(
            self._options,
            resources=resources,
            compiler_cache=cache,
            compiled=self._compiled(),
            project=self._project.root,
        )

    def _compiled(self) -> CompiledCrates | None:
        """Where compiled crates are, if a recipe asks for cargo: those of all checkouts, and of this project's builds."""
        from devenv.derivations.cargo_tools import CompiledCrates

        asked = any(CARGO in build.inputs for build in self._project.config.builds.values())
        view = self._inputs.cargo_locks if asked and CARGO not in self._project.config.builds else None
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
