"""The stages between a locked project and its environment: instantiate, realise, compose.

`instantiate` is pure but for finding the host's Python: locked values in, derivations and spec out. `compose`
writes what it describes: recipes and spec into the store, views into the project.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from devenv.adapter import (
    CargoSources,
    Editable,
    NodeModules,
    Package,
    Plan,
    RLibrary,
    ScriptRules,
    SitePackages,
)
from devenv.config.lock import LockedToolchain
from devenv.config.model import Config
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import bytecode_node, git_node, is_git, link_node, package_node
from devenv.env.spec import Operation, PackageRef, Prepend, Set, Spec, Unset, ViewRef
from devenv.errors import DevenvError
from devenv.formats.store_path import StoreDir, StorePath, sanitize_name
from devenv.providers.python_host import HostPython, minor_version
from devenv.views.isolated import tree_key

PYTHON_VIEW = ".devenv/python"
NPM_PREFIX = ".devenv/npm"
CARGO_VIEW = ".devenv/cargo"
R_VIEW = ".devenv/r/library"

# System packages by which it is known that a root is one to compile in.
_COMPILERS = frozenset({"gcc", "g++", "clang"})


class PlatformError(DevenvError):
    """Something locked is not published for the platform at hand."""


if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase, LockedDeb
    from devenv.derivations.npm_scripts import Toolchain
    from devenv.derivations.wheels import Surroundings
    from devenv.fhs.plan import RootPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLockfile:
    """A lockfile's plan and where its view goes: `directory` is relative to the project ("" is the project)."""

    path: str
    directory: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class CargoLocks:
    """The Cargo projects of one environment: `locks` are their directories and what each lock means.

    `sources` is the tree of directories that stand for their sources. `around` tells compilers' surroundings apart: a
    name for the system packages, or for having none.
    """

    locks: tuple[tuple[str, CargoSources], ...]
    default_index: str | None
    sources: StorePath
    around: str

    def files(self) -> dict[str, bytes]:
        """The view's files by their places in it."""
        from devenv.views.cargo import cargo_files

        return cargo_files(
            self.locks,
            sources=self.sources,
            shared=self.shared,
            around=self.around,
            default_index=self.default_index,
        )

    @property
    def shared(self) -> str:
        """Where checkouts share what cargo compiled of the sources: a view beside the store, as `Layout` has it."""
        from devenv.store.views import COMPILED

        store, name = os.path.split(self.sources)
        return os.path.join(os.path.dirname(store), "state/views", f"{name}{COMPILED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RPackages:
    """The library of R: `packages` by name, and the directory below the view where R and renv look for them."""

    packages: tuple[Package, ...]
    directory: str


View = NodeModules | SitePackages | CargoLocks | RPackages


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """How an editable wheel is made: by a backend in an `environment`, which must be realised."""

    environment: Node
    surroundings: Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A view as a store object to be: its JSON text names every package it is made of.

    `root` is where the view goes, relative to the project. `view` and `trees` are what the text says, as values:
    `trees` maps a place (npm), a package's name (Python, R) or a crate's key to the object. `bytecode` maps names to the byte
    code of packages; the text leaves it out, because a view without it is complete.
    """

    kind: str
    root: str
    path: StorePath
    text: bytes
    references: tuple[StorePath, ...]
    view: View
    trees: Mapping[str, StorePath]
    bytecode: Mapping[str, StorePath]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instantiated:
    """Everything that an environment consists of, before any of it exists.

    `undecided` must be realised first, and this made anew then: packages of which only their own files say whether they
    have install scripts. `targets` are needed to enter it. `later` is byte code, which Python makes by itself where it is missing, in
    every view anew: it is worth making once, but nobody should wait for it. `root`: of system packages. `directories` of
    the project must be copied to the store before anything is realised. `in_place`: what makes the editable wheels, by name.
    """

    graph: Graph
    targets: tuple[Node, ...]
    later: tuple[Node, ...]
    recipes: tuple[Recipe, ...]
    spec: Spec
    root: RootPlan | None
    python: HostPython | None
    undecided: tuple[Node, ...] = ()
    directories: tuple[str, ...] = ()
    in_place: Mapping[str, InPlace] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


# What the scripts of a repository's package in a tree need, why they cannot be run, or None where it has none.
Preparation = Callable[[str, ScriptRules], NodeModules | str | None]


def instantiate(
    *,
    config: Config,
    toolchains: Sequence[LockedToolchain],
    lockfiles: Sequence[PlannedLockfile],
    python: HostPython | None,
    store_dir: StoreDir,
    absolute_url: Callable[[str], str],
    platform: str,
    candidates: Callable[[str], Sequence[str]] | None = None,
    cargo_index: Callable[[], str] | None = None,
    base: LockedBase | None = None,
    outside: Sequence[str] = (),
    base_urls: Callable[[LockedDeb], list[str]] | None = None,
    preparation: Preparation | None = None,
) -> Instantiated:
    """Derivations, view recipes and the spec of a locked project. `platform` as in "linux-x86_64".

    `base` are the system packages, of which those with the keys `outside` are not for builds; `base_urls` says where each can be had. `candidates` gives all URLs of a file that may be
    in several places. `cargo_index` gives the registry that cargo takes by default, as a Cargo.lock names it.
    """
    maker = ViewMaker(store_dir, absolute_url, preparation)
    root = None
    if base is not None and base_urls is not None:
        from devenv.fhs.plan import derivations, without

        root = derivations(base, base_urls, store_dir, graph=maker.graph)
    if python is not None:
        maker.build_with(python, root)
    tools = maker.toolchains(toolchains, platform)
    recipes = [
        maker.node_view(entry, root) for entry in lockfiles if isinstance(entry.plan.view, NodeModules)
    ]
    if python is not None:
        views = [entry for entry in lockfiles if isinstance(entry.plan.view, SitePackages)]
        recipes.append(maker.python_view(views, python))
    cargo = [entry for entry in lockfiles if isinstance(entry.plan.view, CargoSources)]
    if cargo:
        recipes.append(maker.cargo_view(cargo, cargo_index() if cargo_index is not None else None, root))
    r_locks = [entry for entry in lockfiles if isinstance(entry.plan.view, RLibrary)]
    if r_locks:
        builds = root
        if base is not None and base_urls is not None and outside:
            builds = derivations(without(base, outside), base_urls, store_dir, graph=maker.graph)
        recipes.append(maker.r_view(r_locks, builds, base, candidates))
    for file in config.trees:
        maker.target(git_node(maker.graph, file))
    spec = Spec(
        name=config.name,
        variables=_variables(config, tools, recipes),
        aliases=config.aliases,
        scripts=config.scripts,
        views=tuple(ViewRef(kind=recipe.kind, root=recipe.root, recipe=recipe.path) for recipe in recipes),
        packages=(*tools, *config.objects),
        root=root.recipe.path if root is not None else None,
        origins={
            key: origin for key, origin in config.origins.items() if key.startswith(("aliases.", "scripts."))
        },
        profiles=config.chosen,
        parameters=config.arguments,
    )
    return Instantiated(
        graph=maker.graph,
        targets=(*maker.targets.values(), *(root.targets if root is not None else ())),
        later=tuple(maker.later.values()),
        recipes=tuple(recipes),
        spec=spec,
        root=root,
        python=python,
        undecided=tuple(maker.undecided),
        directories=tuple(sorted(maker.directories)),
        in_place=maker.in_place,
        notices=tuple(dict.fromkeys(maker.notices)),
    )


class ViewMaker:
    """Collects the nodes of one environment; a package that several views share is one node."""

    def __init__(
        self,
        store_dir: StoreDir,
        absolute_url: Callable[[str], str],
        preparation: Preparation | None = None,
    ) -> None:
        self._preparation = preparation
        self.notices: list[str] = []
        self.store_dir = store_dir
        self.absolute_url = absolute_url
        self.graph = Graph(store_dir)
        self.targets: dict[StorePath, Node] = {}
        self.later: dict[StorePath, Node] = {}
        self.undecided: list[Node] = []
        self.node: Node | None = None
        self.npm: tuple[Node, str] | None = None  # with its version
        self.directories: set[str] = set()
        self.in_place: dict[str, InPlace] = {}
        self._building: tuple[HostPython, RootPlan | None] | None = None

    def build_with(self, python: HostPython, root: RootPlan | None) -> None:
        """Which interpreter Python packages are built with, and the system packages it may be among."""
        self._building = (python, root)

    def package(self, package: Package) -> Node:
        if package.format == "sdist":
            return self.target(self._built(package))
        return self.target(self._unpacked(package))

    def _unpacked(self, package: Package) -> Node:
        url = package.file.url
        return package_node(self.graph, package, url if is_git(url) else self.absolute_url(url))

    def _built(self, package: Package) -> Node:
        from devenv.derivations.wheels import DIRECTORY, built_node
        from devenv.providers.build_requirements import surroundings_of

        assert self._building is not None
        if package.file.url.startswith(DIRECTORY):
            self.directories.add(package.file.url.removeprefix(DIRECTORY))
        surroundings = surroundings_of(*self._building, self.graph)
        return built_node(self.graph, package, surroundings, self.absolute_url)

    def target(self, node: Node) -> Node:
        self.targets[node.path] = node
        return node

    def toolchains(self, locked: Sequence[LockedToolchain], platform: str) -> list[PackageRef]:
        """The toolchains that are store objects. Node and npm become one tree with bin/node, bin/npm, bin/npx."""
        found = {tool.name: tool for tool in locked}
        node = found.get("node")
        if node is None:
            return []
        links, inputs = {}, []
        unpacked = self.package(_toolchain_package(node, platform, ("bin/node",)))
        self.node = unpacked
        links["bin/node"] = f"{unpacked.out}/bin/node"
        inputs.append(unpacked)
        npm = found.get("npm")
        if npm is not None:
            client = self.package(_toolchain_package(npm, platform, ("bin/npm-cli.js", "bin/npx-cli.js")))
            self.npm = (client, npm.version)
            links["bin/npm"] = f"{client.out}/bin/npm-cli.js"
            links["bin/npx"] = f"{client.out}/bin/npx-cli.js"
            inputs.append(client)
        tree = self.target(link_node(self.graph, f"node-{node.version}", links, inputs))
        return [PackageRef(name="node", version=node.version, path=tree.out, origin="packages.node")]

    def node_view(self, entry: PlannedLockfile, root: RootPlan | None = None) -> Recipe:
        view = entry.plan.view
        assert isinstance(view, NodeModules)
        nodes = {place: self.package(package) for place, package in view.packages.items()}
        installed = self._installed(view, self._prepared(view, nodes, root), root)
        for node in installed.values():
            self.target(node)
        trees = {place: node.out for place, node in installed.items()}
        document: dict[str, object] = {
            "kind": "node_modules",
            "lockfile": entry.path,
            "packages": {
                place: {"name": package.name, "version": package.version, "path": trees[place]}
                for place, package in view.packages.items()
            },
            "links": dict(view.links),
            "bins": dict(view.bins),
            "hidden_lock": view.hidden_lock,
        }
        if view.manifests is not None:
            document["manifests"] = asdict(view.manifests)
        if view.reread:
            document["reread"] = list(view.reread)
        if view.scripts.optional:
            document["optional_scripts"] = dict(view.scripts.optional)
        # Where packages say themselves whether they have scripts, they stay to be asked.
        said = view.scripts.places is not None
        asked = [
            nodes[place].out for place, each in view.packages.items() if not said or each.format == "git-npm"
        ]
        references = (*trees.values(), *asked)
        return self._recipe("node_modules", entry.directory or ".", document, references, view, trees, {})

    def _prepared(
        self, view: NodeModules, nodes: Mapping[str, Node], root: RootPlan | None
    ) -> Mapping[str, Node]:
        """The packages, those of repositories as npm packs them after their own scripts ran."""
        from devenv.derivations.npm_scripts import prepared_node

        found = dict(nodes)
        for place, package in view.packages.items():
            if package.format != "git-npm" or self._preparation is None:
                continue
            if not os.path.isdir(nodes[place].out):
                self.undecided.append(nodes[place])
                continue
            needs = self._preparation(nodes[place].out, view.scripts.rules)
            if needs is not None and view.scripts.rules.of(package.name, package.version) is False:
                needs = "[lockfiles] of devenv.toml forbids it"
            if isinstance(needs, NodeModules):
                around = {each: self._unpacked(inner) for each, inner in needs.packages.items()}
                around = dict(self._installed(needs, around, root))
                tools = self._script_tools(root)
                found[place] = prepared_node(self.graph, tools, package, nodes[place], around)
            elif needs is not None:
                name = f"{package.name}@{package.version}"
                self.notices.append(f"{name} is not built, so it is as its repository has it: {needs}")
        return found

    def _installed(
        self, view: NodeModules, nodes: Mapping[str, Node], root: RootPlan | None
    ) -> Mapping[str, Node]:
        """The packages as they are after their install scripts."""
        if view.scripts.places == ():
            return nodes
        from devenv.derivations.npm_scripts import script_runs
        from devenv.views.node_manifests import has_scripts

        def asked(place: str, node: Node) -> bool | None:
            return has_scripts(node.out, view.manifests.platform if view.manifests is not None else {})

        tools = self._script_tools(root)
        runs, unknown = script_runs(self.graph, tools, view.scripts, view.packages, nodes, asked)
        self.undecided += unknown
        return {place: runs.node(place) for place in nodes}

    def _script_tools(self, root: RootPlan | None) -> Toolchain:
        """Node, npm and compilers: the system packages' where there is one among them, else this machine's."""
        from devenv.derivations.in_root import root_node
        from devenv.derivations.npm_scripts import Toolchain

        compiles = root is not None and any(key.partition(":")[0] in _COMPILERS for key in root.packages)
        inside = root_node(self.graph, root.packages, root.configured) if root and compiles else None
        npm, version = self.npm or (None, "0.0.0")
        return Toolchain(
            node=self.node, npm=npm, npm_version=version, machine=os.uname().machine, root=inside
        )

    def python_view(self, entries: Sequence[PlannedLockfile], python: HostPython) -> Recipe:
        """One environment for all Python lockfiles of the project, as `pip install -r a -r b` would make it."""
        packages, editables = merge_site_packages(entries)
        minor = minor_version(python.version)
        trees, bytecode = {}, {}
        for package in packages:
            unpacked = self.package(package)
            trees[package.name] = unpacked.out
            if python.in_root:  # what compiles runs on the machine, where this interpreter is not
                continue
            compiled = bytecode_node(self.graph, unpacked, minor)
            self.later[compiled.path] = compiled
            bytecode[package.name] = compiled.out
        builds = {each.name: self._environment(each) for each in editables if each.build is not None}
        document: dict[str, object] = {
            "kind": "python",
            "python": minor,
            "packages": {
                package.name: {"version": package.version, "path": trees[package.name]}
                for package in packages
            },
            "editables": {editable.name: editable.path for editable in editables},
        }
        if builds:
            document["editable_builds"] = {name: node.out for name, node in builds.items()}
        isolated = {owner: inner for entry in entries for owner, inner in _isolated(entry).items()}
        for owner, inner in isolated.items():
            trees |= {tree_key(owner, package.name): self.package(package).out for package in inner}
        if isolated:
            document["isolated"] = {
                owner: {
                    each.name: {"version": each.version, "path": trees[tree_key(owner, each.name)]}
                    for each in inner
                }
                for owner, inner in isolated.items()
            }
        view = SitePackages(packages=packages, editables=editables, isolated=isolated)
        references = [*trees.values(), *(node.out for node in builds.values())]
        return self._recipe("python", PYTHON_VIEW, document, references, view, trees, bytecode)

    def _environment(self, editable: Editable) -> Node:
        """What the backend of a directory runs in. It stays while the environment does: some build again on import."""
        from devenv.derivations.wheels import environment_node
        from devenv.providers.build_requirements import surroundings_of

        assert self._building is not None and editable.build is not None
        surroundings = surroundings_of(*self._building, self.graph)
        node = environment_node(self.graph, editable.build.requires, surroundings, self.absolute_url)
        self.in_place[editable.name] = InPlace(environment=node, surroundings=surroundings)
        return self.target(node)

    def cargo_view(
        self, entries: Sequence[PlannedLockfile], default_index: str | None, root: RootPlan | None = None
    ) -> Recipe:
        """The crates of all Cargo locks of the project; a crate that several of them name is one object."""
        from devenv.views.cargo import crate_key, source_links

        nodes, locks, documents = {}, [], []
        for entry in entries:
            view = entry.plan.view
            assert isinstance(view, CargoSources)
            locks.append((entry.directory, view))
            for source, crates in view.crates.items():
                for name, package in crates.items():
                    nodes[crate_key(source, name)] = self.package(package)
            documents.append({"lockfile": entry.path, "sources": list(view.sources)})
        trees = {key: node.out for key, node in nodes.items()}
        links = self.target(
            link_node(self.graph, "cargo-sources", source_links(locks, trees), nodes.values())
        )
        around = "host" if root is None else os.path.basename(root.configured.out)
        document = {"kind": "cargo", "locks": documents, "crates": trees, "default": default_index}
        document |= {"directories": links.out, "around": around}
        value = CargoLocks(locks=tuple(locks), default_index=default_index, sources=links.out, around=around)
        return self._recipe("cargo", CARGO_VIEW, document, [*trees.values(), links.out], value, trees, {})

    def r_view(
        self,
        entries: Sequence[PlannedLockfile],
        root: RootPlan | None,
        base: LockedBase | None,
        candidates: Callable[[str], Sequence[str]] | None,
    ) -> Recipe:
        """One library for all R lockfiles of the project."""
        from devenv.derivations.in_root import root_node
        from devenv.derivations.r_packages import library_nodes
        from devenv.providers.r_base import library_directory, r_of_base

        version = r_of_base(base, "") if base is not None else None
        if root is None or base is None or version is None:
            raise DevenvError(
                f"{entries[0].path} needs R, which is not among the locked system packages",
                hint='add `r = "4.5"`, or the version you need, to [packages] of devenv.toml, then run `devenv lock`',
            )
        library = merge_r_libraries(entries)
        inside = root_node(self.graph, root.packages, root.configured)
        urls = candidates or (lambda url: (self.absolute_url(url),))
        nodes = library_nodes(self.graph, library, inside, urls, machine=os.uname().machine)
        trees = {name: self.target(node).out for name, node in nodes.items()}
        directory = library_directory(base, version)
        document = {
            "kind": "r",
            "r": version,
            "directory": directory,
            "packages": {
                package.name: {"version": package.version, "path": trees[package.name]}
                for package in library.packages
            },
        }
        view = RPackages(packages=library.packages, directory=directory)
        return self._recipe("r", R_VIEW, document, trees.values(), view, trees, {})

    def _recipe(
        self,
        kind: str,
        root: str,
        document: object,
        references: Iterable[StorePath],
        view: View,
        trees: Mapping[str, StorePath],
        bytecode: Mapping[str, StorePath],
    ) -> Recipe:
        from devenv.formats.hashes import Hash

        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"
        unique = tuple(sorted(set(references)))
        path = self.store_dir.text_path(f"{kind}-view.json", Hash.of("sha256", text), unique)
        return Recipe(
            kind=kind,
            root=root,
            path=path,
            text=text,
            references=unique,
            view=view,
            trees=trees,
            bytecode=bytecode,
        )


def _toolchain_package(tool: LockedToolchain, platform: str, executables: tuple[str, ...]) -> Package:
    file = tool.files.get(platform) or tool.files.get("any")
    if file is None:
        raise PlatformError(
            f"{tool.name} {tool.version} is not locked for {platform}, only for {', '.join(sorted(tool.files))}",
            hint="run `devenv lock` on this machine; if it stays so, this version is not published for it",
        )
    return Package(name=tool.name, version=tool.version, format="npm", file=file, executables=executables)


def merge_site_packages(
    entries: Sequence[PlannedLockfile],
) -> tuple[tuple[Package, ...], tuple[Editable, ...]]:
    """The packages of several Python lockfiles as one set. Raises when two lockfiles pin one name differently."""
    editables: dict[str, Editable] = {}
    for entry in entries:
        view = entry.plan.view
        assert isinstance(view, SitePackages)
        for editable in view.editables:
            place = os.path.normpath(os.path.join(entry.directory, editable.path))
            editables[editable.name] = replace(editable, path=place)
    return _one_of_each(entries), tuple(editable for _, editable in sorted(editables.items()))


def _isolated(entry: PlannedLockfile) -> Mapping[str, tuple[Package, ...]]:
    return entry.plan.view.isolated if isinstance(entry.plan.view, SitePackages) else {}


def merge_r_libraries(entries: Sequence[PlannedLockfile]) -> RLibrary:
    """The packages of several R lockfiles as one library. Raises when two lockfiles pin one name differently."""
    packages = _one_of_each(entries)
    inputs: dict[str, tuple[str, ...]] = {}
    provenance: dict[str, Mapping[str, str]] = {}
    directories: dict[str, str] = {}
    for entry in entries:
        view = entry.plan.view
        assert isinstance(view, RLibrary)
        inputs = {**view.inputs, **inputs}
        provenance = {**view.provenance, **provenance}
        directories = {**view.directories, **directories}
    return RLibrary(packages=packages, inputs=inputs, provenance=provenance, directories=directories)


def _one_of_each(entries: Sequence[PlannedLockfile]) -> tuple[Package, ...]:
    """The packages of several lockfiles by name. Raises when two lockfiles pin one name differently."""
    from devenv.errors import raise_problems

    chosen: dict[str, tuple[Package, str]] = {}
    problems = []
    for entry in entries:
        for package in entry.plan.packages:
            before = chosen.setdefault(package.name, (package, entry.path))
            if before[0].file.hash != package.file.hash:
                problems.append(
                    DevenvError(
                        f"{package.name} is {before[0].version} in {before[1]} and {package.version} in {entry.path}; "
                        "one environment can hold one of them",
                        hint="lock them together, or name only one of the files in [lockfiles]",
                    )
                )
    raise_problems(problems)
    return tuple(package for _, (package, _) in sorted(chosen.items()))


def _variables(
    config: Config, tools: Sequence[PackageRef], recipes: Sequence[Recipe]
) -> dict[str, tuple[Operation, ...]]:
    """What the packages bring, then what devenv.toml declares.

    Each prepend goes before the ones already there, so the last is found first: the project's own entries,
    then Python's, then those of node_modules, then the toolchains.
    """
    variables: dict[str, list[Operation]] = {}
    path = variables.setdefault("PATH", [])
    for tool in tools:
        # npm would install global packages beside its own files, which are in the store.
        variables["npm_config_prefix"] = [Set(value=f"${{project}}/{NPM_PREFIX}", origin=tool.origin)]
        path.append(Prepend(entries=(f"{tool.path}/bin", f"./{NPM_PREFIX}/bin"), origin=tool.origin))
    for recipe in sorted(recipes, key=lambda recipe: recipe.kind):
        if recipe.kind == "python":
            path.append(Prepend(entries=(f"./{PYTHON_VIEW}/bin",), origin="packages.python"))
            variables["VIRTUAL_ENV"] = [Set(value=f"${{project}}/{PYTHON_VIEW}", origin="packages.python")]
            # A PYTHONHOME from outside would make the interpreter ignore the view.
            variables["PYTHONHOME"] = [Unset(origin="packages.python")]
        elif recipe.kind == "r":
            variables |= _r_variables(recipe)
        elif recipe.kind == "cargo":
            path.append(Prepend(entries=(f"./{CARGO_VIEW}/bin",), origin="lockfiles.cargo"))
        else:
            place = os.path.normpath(os.path.join(recipe.root, "node_modules/.bin"))
            path.append(Prepend(entries=(f"./{place}",), origin=f"{place} of the lockfile"))
    for name, operations in config.env.items():
        known = variables.get(name, []) if name == "PATH" else []
        variables[name] = [*known, *operations]
    return {name: tuple(found) for name, found in variables.items() if found}


def _r_variables(recipe: Recipe) -> dict[str, list[Operation]]:
    """R and renv look into the view, whatever version of either looks. See ?renv::paths, ?renv::config, ?Startup."""
    assert isinstance(recipe.view, RPackages)
    origin = "lockfiles.renv"
    values = {
        "R_LIBS_USER": f"${{project}}/{R_VIEW}/{recipe.view.directory}",
        "RENV_PATHS_LIBRARY": f"${{project}}/{R_VIEW}",
        # From R 4.4 on renv would add the name of the distribution to the path.
        "RENV_PATHS_PREFIX_AUTO": "FALSE",
        # It hides packages of R's own library that the lock lacks; here that is read-only and pinned anyway.
        "RENV_CONFIG_SANDBOX_ENABLED": "FALSE",
        "RENV_CONFIG_AUTO_SNAPSHOT": "FALSE",
    }
    return {name: [Set(value=value, origin=origin)] for name, value in values.items()}


def object_name(name: str, suffix: str) -> str:
    return sanitize_name(f"{name}-{suffix}")
