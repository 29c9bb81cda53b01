"""Scripts of npm packages, each package a derivation: its tree after its install scripts ran, or after it was prepared.

It sees Node, the package and the packages that it depends on, at their places; of those that have scripts themselves
what became of them. It sees no network, and compilers either of the root of system packages or of this machine
(`on_host`). The builder is `npm_scripts.js`, run by Node with this as `$jobPath`:

    { "name", "version", "place", "packages": { PLACE: store path }, "optional", "fixed", "failed": FAILED,
      "npm": store path | null, "npmVersion", "variables": { NAME: value },
      "compilers": directory }        the last two only where there are some

Where the script of an optional package fails, the output is a directory with nothing but FAILED, a file which says how: a
derivation cannot fail softly, and what to do without the package is decided when a tree is composed. npm's manual,
scripts(7), says which scripts run in which order.

A package of a repository is prepared before: `place` is "", its tree is the project, and what `npm pack` would take is kept
after the scripts for that ran among the packages of its own lockfile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from devenv.adapter import InstallScripts, Package
from devenv.derivations.graph import Graph, Node
from devenv.derivations.in_root import ATTRIBUTE as ROOT
from devenv.derivations.in_root import cached_compilers
from devenv.derivations.on_host import ATTRIBUTE as HOST
from devenv.derivations.packages import write_node
from devenv.env.compiler_cache import PLACED
from devenv.formats.hashes import Hash
from devenv.formats.npm_manifest import FAILED
from devenv.formats.store_path import sanitize_name

_REVISION = "1"
_RUNNER = "npm_scripts.js"
_HOST_NODE = "/usr/bin/node"
# What optional packages look for: with another set of these on the machine, a failure is no answer any more.
_HOST_TOOLS = ("c++", "cc", "cmake", "git", "make", "pkg-config", "python3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What scripts run with. `node` and `npm` are None where the project leaves them to the machine.

    root: system packages with a compiler among them, as of `in_root.root_node`; None for this machine's
    """

    node: Node | None
    npm: Node | None
    npm_version: str
    machine: str
    root: Node | None = None


@dataclass(slots=True)
class ScriptRuns:
    """The derivations of all scripts of one tree. `nodes` are the unpacked packages, `packages` what they are, by place.

    `chosen`: what holds for each place with scripts, True or the hash by which the network is allowed.
    """

    graph: Graph
    toolchain: Toolchain
    scripts: InstallScripts
    packages: Mapping[str, Package]
    nodes: Mapping[str, Node]
    chosen: Mapping[str, bool | str]
    made: dict[str, Node] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def node(self, place: str) -> Node:
        """The package at `place` as it is installed. Of packages that need each other, one sees the other as it came."""
        if place not in self.chosen or place in self._open:
            return self.nodes[place]
        if place not in self.made:
            self._open.add(place)
            around = {each: self.node(each) for each in self._closure(place)}
            self._open.discard(place)
            self.made[place] = self._script_node(place, around)
        return self.made[place]

    def _closure(self, place: str) -> list[str]:
        """The places that are fetched of all that `place` depends on, itself left out."""
        found = {place}
        queue = [place]
        for current in queue:
            for below in self.scripts.needs.get(current, ()):
                if below not in found:
                    found.add(below)
                    queue.append(below)
        return sorted(each for each in found - {place} if each in self.nodes)

    def _script_node(self, place: str, around: Mapping[str, Node]) -> Node:
        package, tools = self.packages[place], self.toolchain
        optional = place in self.scripts.optional
        allowed = self.chosen[place]
        fixed = (Hash.parse_sri(allowed), True) if isinstance(allowed, str) else None
        job = {
            "name": package.name,
            "version": package.version,
            "place": place,
            "packages": {place: self.nodes[place].out, **{each: node.out for each, node in around.items()}},
            "optional": optional,
            "fixed": fixed is not None,
            "failed": FAILED,
            "npm": tools.npm.out if tools.npm is not None else None,
            "npmVersion": tools.npm_version,
        }
        if variables := package.changes.variables:
            job["variables"] = variables
        cached = cached_compilers(tools.root, f"npm-{package.name.replace('/', '-').lstrip('@')}")
        if cached:
            job["compilers"] = PLACED
        env = dict(cached)
        if optional and tools.root is None:
            env["tools"] = " ".join(_tools_here())
        if fixed is not None:
            env["impureEnvVars"] = "http_proxy https_proxy no_proxy"
            env |= {"outputHash": str(allowed), "outputHashAlgo": "", "outputHashMode": "recursive"}
        inputs = (self.nodes[place], *around.values())
        return _node(self.graph, tools, job, env, inputs, fixed, ("installed", "install scripts"))


def prepared_node(
    graph: Graph, toolchain: Toolchain, package: Package, source: Node, around: Mapping[str, Node]
) -> Node:
    """A package of a repository as npm would pack it. `around`: by place, what is installed in the repository for that."""
    job = {
        "name": package.name,
        "version": package.version,
        "place": "",
        "packages": {"": source.out, **{place: node.out for place, node in around.items()}},
        "optional": False,
        "fixed": False,
        "failed": FAILED,
        "npm": toolchain.npm.out if toolchain.npm is not None else None,
        "npmVersion": toolchain.npm_version,
    }
    return _node(graph, toolchain, job, {}, (source, *around.values()), None, ("prepared", "prepare"))


def _node(
    graph: Graph,
    tools: Toolchain,
    job: Mapping[str, object],
    env: Mapping[str, str],
    inputs: Iterable[Node],
    fixed: tuple[Hash, bool] | None,
    words: tuple[str, str],
) -> Node:
    """The run of a job. `words`: for the output's name, and for people."""
    runner = write_node(graph, "npm-scripts", {_RUNNER: _runner_text()})
    where = {ROOT: tools.root.out} if tools.root is not None else {HOST: "1"}
    every = (*inputs, runner, tools.node, tools.npm, tools.root)
    label = f"{job['name']}@{job['version']}"
    return graph.add(
        name=sanitize_name(f"{job['name']}-{job['version']}-{words[0]}"),
        builder=f"{tools.node.out}/bin/node" if tools.node is not None else _HOST_NODE,
        system=f"{tools.machine}-linux",
        args=(f"{runner.out}/{_RUNNER}",),
        env={
            "job": json.dumps(job, sort_keys=True),
            "passAsFile": "job",
            "revision": _REVISION,
            **where,
            **env,
        },
        inputs=[node for node in every if node is not None],
        fixed=fixed,
        label=f"{label} ({words[1]})",
    )


def script_runs(
    graph: Graph,
    toolchain: Toolchain,
    scripts: InstallScripts,
    packages: Mapping[str, Package],
    nodes: Mapping[str, Node],
    has_scripts: Callable[[str, Node], bool | None],
) -> tuple[ScriptRuns, tuple[Node, ...]]:
    """The derivations of the scripts that may run, and the packages that must be unpacked before that is known.

    `has_scripts` says it for a package whose lock does not, None where it is not unpacked.
    """
    chosen: dict[str, bool | str] = {}
    unknown: list[Node] = []
    places: Iterable[str] = packages if scripts.places is None else scripts.places
    for place in places:
        rule = scripts.rules.of(packages[place].name, packages[place].version)
        if rule is False:
            continue
        found = has_scripts(place, nodes[place]) if scripts.places is None else True
        if found is None:
            unknown.append(nodes[place])
        elif found:
            chosen[place] = rule
    runs = ScriptRuns(
        graph=graph, toolchain=toolchain, scripts=scripts, packages=packages, nodes=nodes, chosen=chosen
    )
    return runs, tuple(unknown)


def _runner_text() -> str:
    return (files("devenv.derivations") / _RUNNER).read_text("utf-8")


def _tools_here() -> list[str]:
    return [name for name in _HOST_TOOLS if os.path.exists(f"/usr/bin/{name}")]
