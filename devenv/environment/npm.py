"""node_modules of an environment, with the Node and npm that packages' scripts run with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from devenv.adapter import NodeModules, Package, ScriptRules
from devenv.config.lock import LockedToolchain
from devenv.derivations.graph import Node
from devenv.derivations.packages import link_node
from devenv.env.spec import PackageRef
from devenv.environment.nodes import Nodes
from devenv.environment.planned import PlannedLockfile
from devenv.environment.views import Recipe, make_recipe
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath

if TYPE_CHECKING:
    from devenv.derivations.npm_scripts import Toolchain
    from devenv.fhs.plan import RootPlan

# System packages by which it is known that a root is one to compile in.
_COMPILERS = frozenset({"gcc", "g++", "clang"})

# Node's and npm's manual pages are two directories, each a link.
NPM_PAGES = "share/npm/man"

# What the scripts of a repository's package in a tree need, why they cannot be run, or None where it has none.
Preparation = Callable[[str, ScriptRules], NodeModules | str | None]


class PlatformError(DevenvError):
    """Something locked is not published for the platform at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTools:
    """Node and npm, where they are locked. `packages`: what the environment shows of them."""

    node: Node | None = None
    npm: Node | None = None
    npm_version: str = "0.0.0"
    packages: tuple[PackageRef, ...] = ()

    @property
    def man_directories(self) -> tuple[str, ...]:
        """Where their manual pages are."""
        places = ("share/man", NPM_PAGES) if self.npm is not None else ("share/man",)
        return tuple(f"{package.path}/{place}" for package in self.packages for place in places)


def node_tools(nodes: Nodes, locked: Sequence[LockedToolchain], platform: str) -> NodeTools:
    """Node and npm become one tree with bin/node, bin/npm, bin/npx. Raises PlatformError.

    `platform` as in "linux-x86_64".
    """
    found = {tool.name: tool for tool in locked}
    if "node" not in found:
        return NodeTools()
    version = found["node"].version
    node = nodes.package(_toolchain_package(found["node"], platform, ("bin/node",)))
    links = {"bin/node": f"{node.out}/bin/node", "share/man": f"{node.out}/share/man"}
    inputs = [node]
    npm = None
    if "npm" in found:
        npm = nodes.package(_toolchain_package(found["npm"], platform, ("bin/npm-cli.js", "bin/npx-cli.js")))
        links["bin/npm"] = f"{npm.out}/bin/npm-cli.js"
        links["bin/npx"] = f"{npm.out}/bin/npx-cli.js"
        links[NPM_PAGES] = f"{npm.out}/man"
        links["share/bash-completion/completions/npm"] = f"{npm.out}/lib/utils/completion.sh"
        inputs.append(npm)
    tree = nodes.target(link_node(nodes.graph, f"node-{version}", links, inputs))
    return NodeTools(
        node=node,
        npm=npm,
        npm_version=found["npm"].version if npm is not None else "0.0.0",
        packages=(PackageRef(name="node", version=version, path=tree.out, origin="packages.node"),),
    )


def _toolchain_package(tool: LockedToolchain, platform: str, executables: tuple[str, ...]) -> Package:
    file = tool.files.get(platform) or tool.files.get("any")
    if file is None:
        raise PlatformError(
            f"{tool.name} {tool.version} is not locked for {platform}, only for {', '.join(sorted(tool.files))}",
            hint="run `devenv lock` on this machine; if it stays so, this version is not published for it",
        )
    return Package(name=tool.name, version=tool.version, format="npm", file=file, executables=executables)


class NodeViews:
    """Describes node_modules. `root`: system packages, whose compilers are preferred to this machine's."""

    def __init__(
        self,
        nodes: Nodes,
        tools: NodeTools,
        root: RootPlan | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        self._nodes, self._tools, self._root = nodes, tools, root
        self._preparation = preparation

    def view(self, entry: PlannedLockfile) -> Recipe:
        """The recipe of one lockfile's node_modules."""
        view = entry.plan.view
        assert isinstance(view, NodeModules)
        unpacked = {place: self._nodes.package(package) for place, package in view.packages.items()}
        installed = self._installed(view, self._prepared(view, unpacked))
        for node in installed.values():
            self._nodes.target(node)
        trees = {place: node.out for place, node in installed.items()}
        # Where packages say themselves whether they have scripts, they stay to be asked.
        said = view.scripts.places is not None
        asked = [
            unpacked[place].out
            for place, each in view.packages.items()
            if not said or each.format == "git-npm"
        ]
        return make_recipe(
            self._nodes.store_dir,
            "node_modules",
            entry.directory or ".",
            {"lockfile": entry.path, **_document(view, trees)},
            references=(*trees.values(), *asked),
            view=view,
            trees=trees,
        )

    def _prepared(self, view: NodeModules, nodes: Mapping[str, Node]) -> Mapping[str, Node]:
        """The packages, those of repositories as npm packs them after their own scripts ran."""
        from devenv.derivations.npm_scripts import prepared_node

        found = dict(nodes)
        for place, package in view.packages.items():
            if package.format != "git-npm" or self._preparation is None:
                continue
            if not os.path.isdir(nodes[place].out):
                self._nodes.undecided.append(nodes[place])
                continue
            needs = self._preparation(nodes[place].out, view.scripts.rules)
            if needs is not None and view.scripts.rules.of(package.name, package.version) is False:
                needs = "[lockfiles] of devenv.toml forbids it"
            if isinstance(needs, NodeModules):
                around = {each: self._nodes.unpacked(inner) for each, inner in needs.packages.items()}
                around = dict(self._installed(needs, around))
                found[place] = prepared_node(
                    self._nodes.graph, self._script_tools(), package, nodes[place], around
                )
            elif needs is not None:
                name = f"{package.name}@{package.version}"
                self._nodes.notices.append(f"{name} is not built, so it is as its repository has it: {needs}")
        return found

    def _installed(self, view: NodeModules, nodes: Mapping[str, Node]) -> Mapping[str, Node]:
        """The packages as they are after their install scripts."""
        if view.scripts.places == ():
            return nodes
        from devenv.derivations.npm_scripts import script_runs
        from devenv.views.node_manifests import has_scripts

        def asked(place: str, node: Node) -> bool | None:
            return has_scripts(node.out, view.manifests.platform if view.manifests is not None else {})

        tools = self._script_tools()
        runs, unknown = script_runs(self._nodes.graph, tools, view.scripts, view.packages, nodes, asked)
        self._nodes.undecided += unknown
        return {place: runs.node(place) for place in nodes}

    def _script_tools(self) -> Toolchain:
        """Node, npm and compilers: the system packages' where there is one among them, else this machine's."""
        from devenv.derivations.in_root import root_node
        from devenv.derivations.npm_scripts import Toolchain

        root, tools = self._root, self._tools
        compiles = root is not None and any(key.partition(":")[0] in _COMPILERS for key in root.packages)
        return Toolchain(
            node=tools.node,
            npm=tools.npm,
            npm_version=tools.npm_version,
            machine=os.uname().machine,
            root=root_node(self._nodes.graph, root.packages, root.configured) if root and compiles else None,
        )


def _document(view: NodeModules, trees: Mapping[str, StorePath]) -> dict[str, object]:
    document: dict[str, object] = {
        "kind": "node_modules",
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
    return document
