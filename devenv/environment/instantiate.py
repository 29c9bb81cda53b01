"""Derivations, view recipes and the spec of a locked project.

Pure, but for looking whether packages that are to be asked are unpacked already: locked values in, values out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devenv.adapter import CargoSource, CargoSources, NodeModules, RLibrary, SitePackages
from devenv.config.lock import Lock
from devenv.config.model import Config
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import git_node
from devenv.env.spec import Spec, ViewRef
from devenv.environment.nodes import InPlace, Nodes
from devenv.environment.npm import NodeTools, NodeViews, Preparation, node_tools
from devenv.environment.planned import PlannedLockfile
from devenv.environment.variables import variables_of
from devenv.environment.views import Recipe
from devenv.errors import DevenvError
from devenv.formats.store_path import StoreDir
from devenv.providers.python_host import HostPython

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase, LockedDeb
    from devenv.fhs.plan import RootPlan
    from devenv.views.root import RootParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """Where things can be had. Each is asked only for what a project has.

    `absolute`: the URL of a file by that of a lock; `candidates`: all its URLs, in the order in which they are tried.
    `base_urls`: those of a system package. `cargo_index`: the registry that cargo takes by default, as a Cargo.lock
    names it. `cargo_source_name`: what cargo's configuration for a directory calls a source, if anything.
    """

    absolute: Callable[[str], str]
    candidates: Callable[[str], Sequence[str]]
    cargo_index: Callable[[], str]
    cargo_source_name: Callable[[str, CargoSource], str | None]
    base_urls: Callable[[LockedDeb], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instantiated:
    """Everything that an environment consists of, before any of it exists.

    `undecided` must be realised first, and this made anew then: packages of which only their own files say whether they
    have install scripts. `targets` are needed to enter it. `later` is byte code, which Python makes by itself where it is missing, in
    every view anew: it is worth making once, but nobody should wait for it. `root`: of system packages; `plan`: how it is made, where it is the project's own. `directories` of
    the project must be copied to the store before anything is realised. `in_place`: what makes the editable wheels, by name.
    """

    graph: Graph
    targets: tuple[Node, ...]
    later: tuple[Node, ...]
    recipes: tuple[Recipe, ...]
    spec: Spec
    root: RootParts | None
    python: HostPython | None
    undecided: tuple[Node, ...] = ()
    directories: tuple[str, ...] = ()
    in_place: Mapping[str, InPlace] = field(default_factory=dict)
    plan: RootPlan | None = None
    notices: tuple[str, ...] = ()


def instantiate(
    *,
    config: Config,
    lock: Lock,
    lockfiles: Sequence[PlannedLockfile],
    python: HostPython | None,
    store_dir: StoreDir,
    locations: Locations,
    platform: str,
    preparation: Preparation | None = None,
) -> Instantiated:
    """Derivations, view recipes and the spec of a locked project. `platform` as in "linux-x86_64".

    Raises PlatformError for a toolchain that is not locked for it, DevenvError for lockfiles that contradict each other.
    """
    nodes = Nodes(store_dir, locations.absolute, locations.cargo_index)
    root = _root(nodes, lock.base, locations) if lock.base is not None else None
    _check_given_root(config, lock, lockfiles, python)
    parts = config.root if root is None else root.parts
    tools = node_tools(nodes, lock.toolchains, platform)
    node_views = NodeViews(nodes, tools, root, preparation)

    def those(kind: type[object]) -> list[PlannedLockfile]:
        return [entry for entry in lockfiles if isinstance(entry.plan.view, kind)]

    recipes = [node_views.view(entry) for entry in those(NodeModules)]
    if python is not None:
        from devenv.environment.python import python_view

        nodes.build_with(python, root)
        recipes.append(python_view(nodes, those(SitePackages), python))
    if crates := those(CargoSources):
        from devenv.environment.cargo import cargo_view

        recipes.append(cargo_view(nodes, crates, locations.cargo_index(), root, locations.cargo_source_name))
    if libraries := those(RLibrary):
        from devenv.environment.r import r_view

        builds = _root_to_build_in(nodes, lock, locations) if lock.outside else root
        recipes.append(r_view(nodes, libraries, builds, lock.base, locations.candidates))
    for file in config.trees:
        nodes.target(git_node(nodes.graph, file))
    return Instantiated(
        graph=nodes.graph,
        targets=(*nodes.targets.values(), *(root.targets if root is not None else ())),
        later=tuple(nodes.later.values()),
        recipes=tuple(recipes),
        spec=_spec(config, tools, recipes, parts),
        root=parts,
        python=python,
        undecided=tuple(nodes.undecided),
        directories=tuple(sorted(nodes.directories)),
        in_place=nodes.in_place,
        plan=root,
        notices=tuple(dict.fromkeys(nodes.notices)),
    )


def _check_given_root(
    config: Config, lock: Lock, lockfiles: Sequence[PlannedLockfile], python: HostPython | None
) -> None:
    """The root of an environment in the store is as it is: nothing is added to it, and nothing can be built in it."""
    if config.root is None or not (lock.base or lockfiles or python):
        return
    own = "system packages" if lock.base else f"packages of {lockfiles[0].path}" if lockfiles else "Python"
    raise DevenvError(
        f"the environment that {config.origins.get('root', 'devenv.toml')} extends brings its system packages along, as they are; "
        f"with them the project cannot have {own} of its own",
        hint="extend the devenv.toml of that environment instead: its system packages are then locked with the project's",
    )


def _root(nodes: Nodes, base: LockedBase, locations: Locations) -> RootPlan:
    from devenv.fhs.plan import derivations

    return derivations(base, locations.base_urls, nodes.store_dir, graph=nodes.graph)


def _root_to_build_in(nodes: Nodes, lock: Lock, locations: Locations) -> RootPlan | None:
    """The root without the packages that builds must not find."""
    from devenv.fhs.plan import without

    return _root(nodes, without(lock.base, lock.outside), locations) if lock.base is not None else None


def _spec(config: Config, tools: NodeTools, recipes: Sequence[Recipe], root: RootParts | None) -> Spec:
    return Spec(
        name=config.name,
        variables=variables_of(config, tools, recipes),
        aliases=config.aliases,
        scripts=config.scripts,
        functions=config.functions,
        completions=config.completions,
        views=tuple(ViewRef(kind=recipe.kind, root=recipe.root, recipe=recipe.path) for recipe in recipes),
        packages=(*tools.packages, *config.objects),
        root=root.recipe.path if root is not None else None,
        origins={
            key: origin
            for key, origin in config.origins.items()
            if key.startswith(("aliases.", "completions.", "functions.", "scripts."))
        },
        profiles=config.chosen,
        parameters=config.arguments,
    )
