"""Wheels that are built: from a source and an environment with its backend to the unpacked wheel.

    source       unpacked, with a description of how it is built       builtin:devenv-unpack
    environment  a virtual environment of the build requirements       builtin:devenv-venv
    wheel        what the backend makes, in a sandbox                  the environment's python
    unpacked     the wheel's files, as those of any other              builtin:devenv-unpack

A package that is written in Rust has its crates as well (`crates_node`), which cargo takes for its registries. The sandbox has no network. Compilers and libraries are those of the root of system packages where the interpreter is
in that, and else this machine's (`on_host`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from devenv.adapter import Crate, Package, WheelBuild
from devenv.crate_files import sources_of
from devenv.derivations.graph import Graph, Node
from devenv.derivations.in_root import ATTRIBUTE as ROOT
from devenv.derivations.in_root import cached_compilers, search_path
from devenv.derivations.on_host import ATTRIBUTE as HOST
from devenv.derivations.packages import (
    UNPACK,
    VENV,
    fetch_node,
    git_node,
    is_git,
    link_node,
    package_node,
    patches_of,
    write_node,
)
from devenv.formats.store_path import sanitize_name
from devenv.views.cargo import crate_key, source_links, source_replacement

_REVISION = "1"
# The URL of a directory of the project, which is followed by its absolute path.
DIRECTORY = "directory:"
_SCRIPT = "build-wheel.py"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where backends run: the interpreter's path and version; `root` as of `in_root.root_node`, None on this machine.

    default_index: the registry that cargo takes by default, as a Cargo.lock names it; None where no crates are built
    """

    interpreter: str
    version: str
    machine: str
    root: Node | None = None
    default_index: str | None = None


def crates_node(
    graph: Graph, crates: Sequence[Crate], default_index: str | None, absolute_url: Callable[[str], str]
) -> Node:
    """The configuration of cargo, a directory with a config.toml, by which it finds `crates` and asks nobody."""
    view = sources_of(crates)
    trees = {}
    for each in crates:
        url = each.package.file.url
        tree = package_node(graph, each.package, url if is_git(url) else absolute_url(url))
        trees[crate_key(each.source, f"{each.package.name}-{each.package.version}")] = tree
    paths = {key: str(tree.out) for key, tree in trees.items()}
    links = link_node(graph, "cargo-sources", source_links([("", view)], paths), trees.values())
    places = {key: f"{links.out}/{number}" for number, key in enumerate(view.sources)}
    text = source_replacement(view.sources, places, default_index, {})
    # What is compiled names its sources in messages: no reason to keep them with it.
    text += f'\n[build]\nrustflags = ["--remap-path-prefix={links.out}=/crates"]\n[net]\noffline = true\n'
    return write_node(graph, "cargo-config", {"config.toml": text}, inputs=[links])


def source_node(graph: Graph, package: Package, absolute_url: Callable[[str], str]) -> Node:
    """The unpacked source of a package that is to be built. Of a directory `absolute_url` gives its copy in the store."""
    url = package.file.url
    label = f"{package.name} {package.version}".rstrip()
    subdirectory = package.build.subdirectory if package.build is not None else ""
    if url.startswith(DIRECTORY):
        return _unpacked(graph, package, absolute_url(url), subdirectory)
    if is_git(url):
        archive = git_node(graph, package.file)
    else:
        archive = fetch_node(graph, package.file, absolute_url(url), label=label)
    return _unpacked(graph, package, archive, subdirectory)


def _unpacked(graph: Graph, package: Package, archive: Node | str, subdirectory: str) -> Node:
    """`archive` is made by a node, or a path of the store."""
    label = f"{package.name} {package.version}".rstrip()
    return graph.add(
        name=sanitize_name("-".join(filter(None, (package.name, package.version, "source")))),
        builder=UNPACK,
        env={
            "format": "sdist",
            "src": archive.out if isinstance(archive, Node) else archive,
            "subdirectory": subdirectory,
            "revision": _REVISION,
            **patches_of(package.changes),
        },
        inputs=(archive,) if isinstance(archive, Node) else (),
        sources=() if isinstance(archive, Node) else (graph.store_dir.parse(archive),),
        label=f"{label} (source)",
    )


def environment_node(
    graph: Graph, requires: Sequence[Package], surroundings: Surroundings, absolute_url: Callable[[str], str]
) -> Node:
    """The environment with the wheels `requires`. Sources that need the same ones share it."""
    trees = {each.name: package_node(graph, each, absolute_url(each.file.url)) for each in requires}
    rows = [(each.name, each.version, trees[each.name].out) for each in requires]
    return graph.add(
        name="python-build-environment",
        builder=VENV,
        env={
            "packages": json.dumps(sorted(rows)),
            "interpreter": surroundings.interpreter,
            "python": surroundings.version,
            "revision": _REVISION,
        },
        inputs=trees.values(),
        label="build environment",
    )


def backend_node(
    graph: Graph,
    package: Package,
    source: Node,
    environment: Node,
    surroundings: Surroundings,
    task: str,
    crates: Node | None = None,
) -> Node:
    """What the backend of `source` gives: a directory with a "wheel", or the list of what else it "requires".

    The task "requires-editable" is the same for an editable wheel.
    """
    build = package.build or WheelBuild(requires=())
    env = {"src": source.out, "subdirectory": build.subdirectory, **_version(package)}
    return _run_node(graph, package, env, (source, environment), surroundings, task, crates)


def in_place_node(
    graph: Graph,
    package: Package,
    directory: str,
    description: str,
    environment: Node,
    crates: Node | None,
    surroundings: Surroundings,
) -> Node:
    """What makes an editable wheel of a directory where it is. It is run (`in_place`), and never an object of the store.

    description: as in build.json of a source
    """
    env = {"directory": directory, "description": description}
    return _run_node(graph, package, env, (environment,), surroundings, "editable", crates)


def _run_node(
    graph: Graph,
    package: Package,
    more: dict[str, str],
    needs: tuple[Node, ...],
    surroundings: Surroundings,
    task: str,
    crates: Node | None,
) -> Node:
    """A run of the backend. The last of `needs` is its environment, `crates` is of `crates_node`."""
    environment = needs[-1]
    script = write_node(graph, _SCRIPT, {_SCRIPT: _script()})
    build = package.build or WheelBuild(requires=())
    label = f"{package.name} {package.version}".rstrip()
    # What is made in a checkout is no package's, and has no cache.
    cached = {} if task == "editable" else cached_compilers(surroundings.root, f"pip-{package.name}")
    env = {
        "package": package.name,
        "settings": json.dumps(dict(build.settings)),
        "task": task,
        "PATH": f"{environment.out}/bin:{search_path(_PATH, cached)}",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "315532800",
        "LC_ALL": "C.UTF-8",
        **cached,
        **more,
    }
    if variables := package.changes.variables:
        env["variables"] = json.dumps(variables, sort_keys=True)
    inputs: list[Node] = [*needs, script]
    if crates is not None:
        env["cargo"] = crates.out
        inputs.append(crates)
    if surroundings.root is not None:
        env[ROOT] = surroundings.root.out
        inputs.append(surroundings.root)
    else:
        env[HOST] = "1"
    return graph.add(
        name=sanitize_name("-".join(filter(None, (package.name, package.version, task)))),
        builder=f"{environment.out}/bin/python",
        system=f"{surroundings.machine}-linux",
        args=(f"{script.out}/{_SCRIPT}",),
        env=env,
        inputs=inputs,
        label=label if task in ("wheel", "editable") else f"{label} (what its build requires)",
    )


def _version(package: Package) -> dict[str, str]:
    """A repository without its history does not know its version; backends that look there can be told."""
    if not is_git(package.file.url) or not package.version:
        return {}
    name = package.name.upper().replace("-", "_")
    return {f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}": package.version, "PBR_VERSION": package.version}


def built_node(
    graph: Graph, package: Package, surroundings: Surroundings, absolute_url: Callable[[str], str]
) -> Node:
    """The unpacked wheel of a package that is built as `package.build` says."""
    assert package.build is not None
    key = ("built", package, surroundings.interpreter)
    if key in graph.made:
        return graph.made[key]
    source = source_node(graph, package, absolute_url)
    environment = environment_node(graph, package.build.requires, surroundings, absolute_url)
    crates = None
    if package.build.crates:
        crates = crates_node(graph, package.build.crates, surroundings.default_index, absolute_url)
    wheel = backend_node(graph, package, source, environment, surroundings, "wheel", crates)
    node = graph.add(
        name=sanitize_name("-".join(filter(None, (package.name, package.version)))),
        builder=UNPACK,
        env={"format": "wheel", "src": wheel.out, "revision": _REVISION},
        inputs=(wheel,),
        label=f"{wheel.label} (wheel)",
    )
    return graph.made.setdefault(key, node)


def backends(nodes: Iterable[Node]) -> list[Node]:
    """Those of `nodes` that run a build backend."""
    return [node for node in nodes if {"task", "settings", "package"} <= node.derivation.env.keys()]


@lru_cache(maxsize=1)
def _script() -> str:
    path = os.path.join(os.path.dirname(__file__), "backend_script.py")
    with open(path, encoding="utf-8") as file:
        return file.read()
