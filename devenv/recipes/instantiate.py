"""Recipes as derivations.

A recipe becomes a derivation that any Nix can build: its builder is a shell with the text of `script` as argument,
its attributes are structured (`__json`). The parts of the machine that it may use are in it as `__impureHostDeps`, the
name that Nix has for them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from devenv.config.builds import Build
from devenv.derivations.graph import Graph, Node
from devenv.derivations.in_root import ATTRIBUTE as ROOT_ATTRIBUTE
from devenv.derivations.on_host import HOST_PATHS
from devenv.errors import DevenvError, raise_problems
from devenv.formats.derivation import placeholder
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, digest_of, sanitize_name
from devenv.recipes.errors import RecipeError
from devenv.recipes.keys import Surroundings, checkpoint_keys
from devenv.recipes.phases import Phase, order
from devenv.recipes.script import Values, phase_text, script

HOST_SHELL = "/bin/sh"

Text = tuple[StorePath, bytes, tuple[StorePath, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an input of a recipe is: a node to be realised, or an object that is in the store by then.

    `is_root`: it is a root of packages, in which the recipe is built.
    """

    path: StorePath
    node: Node | None = None
    is_root: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A recipe as a derivation. `texts` are store objects that must be added before it is realised.

    `keys` name the state after each of `phases`; `scratch` is where the output is while phases run (see
    `scratch_path`), `shell` what runs them.
    """

    build: Build
    node: Node
    values: Values
    phases: tuple[Phase, ...]
    texts: tuple[Text, ...]
    shell: str
    script: StorePath
    scratch: StorePath

    def keys(self, build_directory: str, *, sandboxed: bool) -> tuple[str, ...]:
        """The names of its checkpoints when phases run in `build_directory`, as they see it."""
        surroundings = Surroundings(
            shell=self.shell,
            system=self.node.derivation.system,
            build_directory=build_directory,
            output=self.scratch,
            host_paths=HOST_PATHS if self.build.host else (),
            sandboxed=sandboxed,
        )
        return checkpoint_keys(self.values, self.phases, surroundings)


def scratch_path(store_dir: StoreDir, full_name: str) -> StorePath:
    """Where the output of a recipe is while its phases run.

    The output's own path depends on all phases, so it would change with each edit of a late one, and what earlier
    phases wrote down would be wrong. This one stays; in the finished output its digest is replaced.
    """
    hash = Hash.of("sha256", f"devenv-scratch:{full_name}".encode())
    return store_dir.output_path("out", hash, sanitize_name(full_name))


def with_final_digest(planned: Planned) -> tuple[bytes, bytes]:
    """What to replace in the finished output, and by what."""
    return digest_of(planned.scratch).encode(), digest_of(planned.node.out).encode()


def plan_recipe(
    graph: Graph,
    build: Build,
    *,
    inputs: Mapping[str, Given],
    sources: Sequence[Given],
    patches: Sequence[StorePath],
    machine: str,
) -> Planned:
    """The derivation of a recipe whose `inputs` and `sources` are known. Raises PhaseError, RecipeError."""
    phases = order(build.phases, recipe=build.name)
    name = sanitize_name(build.full_name)
    values = Values(
        name=name,
        env=build.env,
        attributes=build.attributes,
        inputs={key: given.path for key, given in inputs.items()},
        sources=tuple(given.path for given in sources),
        patches=tuple(patches),
        host=build.host,
        in_root=any(given.is_root for given in inputs.values()),
    )
    everything = [*inputs.values(), *sources]
    plain = tuple(sorted({*(given.path for given in everything if given.node is None), *patches}))
    texts, builder = _builder(graph.store_dir, values, phases)
    shell = _shell(build, inputs)
    node = graph.add(
        name=name,
        builder=shell,
        system=f"{machine}-linux",
        args=(builder, placeholder("out")),
        env={"__json": _attributes(build, values, shell, machine, _root(inputs))},
        inputs=(given.node for given in everything if given.node is not None),
        sources=(builder, *plain),
        label=build.full_name,
    )
    return Planned(
        build=build,
        node=node,
        values=values,
        phases=phases,
        texts=texts,
        shell=shell,
        script=builder,
        scratch=scratch_path(graph.store_dir, build.full_name),
    )


def _builder(
    store_dir: StoreDir, values: Values, phases: Sequence[Phase]
) -> tuple[tuple[Text, ...], StorePath]:
    """The builder's text and a file for each phase: a shell's messages then name the phase and the line."""
    texts: list[Text] = []
    files: dict[str, str] = {}
    for phase in phases:
        contents = phase_text(phase).encode()
        path = store_dir.text_path(f"{values.name}-{phase.name}.sh", Hash.of("sha256", contents), ())
        texts.append((path, contents, ()))
        files[phase.name] = path
    below = tuple(sorted(path for path, _, _ in texts))
    contents = script(values, phases, files).encode()
    path = store_dir.text_path(f"{values.name}-builder.sh", Hash.of("sha256", contents), below)
    return (*texts, (path, contents, below)), path


def _shell(build: Build, inputs: Mapping[str, Given]) -> str:
    if build.shell is None:
        return HOST_SHELL
    name, _, inner = build.shell.partition("/")
    return f"{inputs[name].path}/{inner}"


def _root(inputs: Mapping[str, Given]) -> StorePath | None:
    return next((given.path for given in inputs.values() if given.is_root), None)


def _attributes(build: Build, values: Values, shell: str, machine: str, root: StorePath | None) -> str:
    """`__json`: the attributes of devenv.toml beside what every derivation has."""
    found: dict[str, object] = {
        **values.attributes,
        "name": values.name,
        "system": f"{machine}-linux",
        "builder": shell,
        "outputs": ["out"],
        "env": dict(values.env),
        "inputs": dict(values.inputs),
        "sources": list(values.sources),
        "patches": list(values.patches),
    }
    if build.version:
        found["version"] = build.version
    if build.host:
        found["__impureHostDeps"] = list(HOST_PATHS)
    if root is not None:
        found[ROOT_ATTRIBUTE] = root
    return json.dumps(found, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# Several recipes, of which some are inputs of others

Resolve = Callable[[str, Build], Given]


def needed_builds(builds: Mapping[str, Build], wanted: Sequence[str]) -> tuple[str, ...]:
    """`wanted` and the recipes that they have as inputs, each after its own inputs.

    Raises RecipeError for a name that is none, and for recipes that need each other.
    """
    found: list[str] = []
    path: list[str] = []
    problems: list[DevenvError] = []
    for name in wanted:
        if name not in builds:
            problems.append(unknown_build(name, builds))
    raise_problems(problems)
    stack = [(name, False) for name in reversed(wanted)]
    while stack:
        name, is_left = stack.pop()
        if is_left:
            path.pop()
            found.append(name)
            continue
        if name in found:
            continue
        if name in path:
            circle = " -> ".join(reversed([*path[path.index(name) :], name]))
            raise RecipeError(
                f"{builds[name].origin}: recipes are inputs of each other: {circle}",
                recipe=name,
                hint="take out one of these inputs",
            )
        path.append(name)
        stack.append((name, True))
        stack.extend((other, False) for other in reversed(builds[name].inputs) if other in builds)
    return tuple(found)


def unknown_build(name: str, builds: Mapping[str, Build]) -> RecipeError:
    from difflib import get_close_matches

    close = get_close_matches(name, list(builds), n=1)
    known = f"there are {', '.join(sorted(builds))}" if builds else "devenv.toml has no [build.NAME]"
    return RecipeError(
        f"there is no recipe {name} in devenv.toml",
        recipe=name,
        hint=f"did you mean {close[0]}?" if close else known,
    )


def machine_name() -> str:
    return os.uname().machine
