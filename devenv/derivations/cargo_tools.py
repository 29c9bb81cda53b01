"""cargo for sandboxed builds: the view of a project's Cargo locks as an object, and what was compiled of them.

Checkouts share what cargo compiled (see `devenv.views.cargo_program`). A build may begin with that and cannot add to it,
because it runs what its project says; what it compiled itself goes to a directory of the project, with which the shells and
other builds of that project begin as well.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import write_node
from devenv.formats.store_path import StorePath
from devenv.sandbox.spec import Bind, SandboxSpec
from devenv.store.errors import explaining
from devenv.values import replaced

if TYPE_CHECKING:
    from devenv.derivations.program import Program

_NAME = "cargo-tools"
# Where a sandbox has the directories, and the variables that tell bin/cargo.
_SHARED, _BUILT = "/cargo/shared", "/cargo/built"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledCrates:
    """Directories of compiled crates: `shared` by all checkouts, which need not be there, and `built` by a project's builds."""

    shared: str
    built: str


def tools_node(graph: Graph, files: Mapping[str, bytes], sources: Node) -> Node:
    """The files of the view, `bin/cargo` among them; `sources` is the tree that they name."""
    texts = {name: data.decode() for name, data in files.items()}
    return write_node(graph, _NAME, texts, executables=["bin/cargo"], inputs=[sources])


def with_compiled(
    sandbox: SandboxSpec, program: Program, found: CompiledCrates, inputs: Collection[StorePath]
) -> tuple[SandboxSpec, Program]:
    """Show the directories to a builder that has `tools_node` among its inputs. Raises StoreError."""
    if not any(path.endswith(f"-{_NAME}") for path in inputs):
        return sandbox, program
    with explaining("making the directory of compiled crates", found.built):
        os.makedirs(found.built, exist_ok=True)
    mounts = [Bind(found.built, _BUILT, writable=True)]
    variables = {b"DEVENV_CARGO_BUILT": _BUILT.encode()}
    if os.path.isdir(found.shared):
        mounts.append(Bind(found.shared, _SHARED))
        variables[b"DEVENV_CARGO_SHARED"] = _SHARED.encode()
    environment = {**program.environment, **variables}
    return replaced(sandbox, mounts=(*sandbox.mounts, *mounts)), replace(program, environment=environment)
