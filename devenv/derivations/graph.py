"""Derivations that refer to each other, made in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from devenv.formats.derivation import (
    Derivation,
    ModuloHash,
    Output,
    drv_path,
    hash_modulo,
    with_output_paths,
)
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """One derivation. `path` and `aterm` are its .drv file, `out` is its output "out", or else its first.

    `inputs` are the nodes whose outputs it uses; which of them, `derivation.input_derivations` says. `label` is what people call it, `size` how many bytes are
    downloaded where it is a fetch and that is known; neither is part of the derivation.
    """

    path: StorePath
    out: StorePath
    derivation: Derivation
    aterm: bytes = field(repr=False)
    inputs: tuple[Node, ...] = ()
    label: str = ""
    size: int | None = None

    @property
    def outputs(self) -> dict[str, StorePath]:
        """The paths of all outputs by name."""
        return {name: StorePath(output.path) for name, output in self.derivation.outputs.items()}

    @property
    def used(self) -> set[StorePath]:
        """The outputs of `inputs` that it uses."""
        names = self.derivation.input_derivations
        return {below.outputs[name] for below in self.inputs for name in names[below.path]}


def main_output(derivation: Derivation) -> str:
    """The name of the output that stands for the whole derivation."""
    return "out" if "out" in derivation.outputs else min(derivation.outputs)


class Graph:
    """Nodes by the path of their .drv file, every node after its inputs. Equal derivations are one node."""

    def __init__(self, store_dir: StoreDir) -> None:
        self.store_dir = store_dir
        self.nodes: dict[StorePath, Node] = {}
        # For makers of nodes: what was made from equal things before.
        self.made: dict[Hashable, Node] = {}
        self._hashes: dict[StorePath, ModuloHash] = {}

    def add(
        self,
        *,
        name: str,
        builder: str,
        env: Mapping[str, str],
        system: str = "builtin",
        args: Iterable[str] = (),
        inputs: Iterable[Node | tuple[Node, Iterable[str]]] = (),
        outputs: Iterable[str] = ("out",),
        sources: Iterable[StorePath] = (),
        fixed: tuple[Hash, bool] | None = None,
        label: str = "",
        size: int | None = None,
    ) -> Node:
        """The node of this derivation. `fixed`: the hash of its output, and whether that is of the NAR.

        Of an input the main output is used, unless others are named with it. `env` is completed with name,
        builder, system and the paths of the outputs. Raises FormatError for what no .drv can say.
        """
        known, used = _inputs(inputs)
        output = Output()
        if fixed is not None:
            hash, recursive = fixed
            output = Output(hash_algorithm=("r:" if recursive else "") + hash.algorithm, hash=hash.hex)
        derivation = with_output_paths(
            self.store_dir,
            Derivation(
                name=name,
                outputs=dict.fromkeys(outputs, output),
                input_derivations=used,
                input_sources=tuple(sources),
                system=system,
                builder=builder,
                args=tuple(args),
                env={**env, "name": name, "builder": builder, "system": system},
            ),
            self._hash_of,
        )
        aterm = derivation.to_aterm()
        path = drv_path(self.store_dir, derivation, aterm)
        node = Node(
            path=path,
            out=self.store_dir.parse(derivation.outputs[main_output(derivation)].path),
            derivation=derivation,
            aterm=aterm,
            inputs=tuple(known.values()),
            label=label or name,
            size=size,
        )
        return self.nodes.setdefault(path, node)

    def adopt(self, path: StorePath, derivation: Derivation, aterm: bytes) -> Node:
        """The node of a .drv file that somebody wrote. Its inputs must be in the graph.

        Raises FormatError when its path, or the paths of its outputs, are not those that it must have: another
        derivation's output could be replaced by its own otherwise.
        """
        for below, names in derivation.input_derivations.items():
            for name in names:
                self._hash_of(below).of(name)  # whether there is such an output
        expected = with_output_paths(self.store_dir, derivation, self._hash_of)
        for name, output in derivation.outputs.items():
            if output.path != expected.outputs[name].path:
                raise FormatError(
                    f"{path} says that its output {name!r} is {output.path or 'not known yet'}, but by what it "
                    f"contains that is {expected.outputs[name].path}"
                )
        if path != drv_path(self.store_dir, derivation, aterm):
            raise FormatError(f"{path} does not contain what it was made with")
        node = Node(
            path=path,
            out=self.store_dir.parse(derivation.outputs[main_output(derivation)].path),
            derivation=derivation,
            aterm=aterm,
            inputs=tuple(self.nodes[below] for below in derivation.input_derivations),
            label=derivation.name,
        )
        return self.nodes.setdefault(path, node)

    def _hash_of(self, path: StorePath) -> ModuloHash:
        found = self._hashes.get(path)
        if found is None:
            found = self._hashes[path] = hash_modulo(self.nodes[path].derivation, self._hash_of)
        return found


def _inputs(
    given: Iterable[Node | tuple[Node, Iterable[str]]],
) -> tuple[dict[StorePath, Node], dict[StorePath, tuple[str, ...]]]:
    """The nodes by their .drv path, and which outputs of each are used."""
    known: dict[StorePath, Node] = {}
    used: dict[StorePath, set[str]] = {}
    for each in given:
        node, names = each if isinstance(each, tuple) else (each, (main_output(each.derivation),))
        known[node.path] = node
        used.setdefault(node.path, set()).update(names)
    return known, {path: tuple(sorted(names)) for path, names in used.items()}
