"""What keeps an environment of a project in the store: links that collectors follow, and the derivation that nix enters it by."""

from __future__ import annotations

import os
from collections.abc import Collection

from devenv.derivations.graph import Graph
from devenv.env.shell_derivation import shell_derivation
from devenv.formats.derivation import references
from devenv.formats.store_path import StorePath, sanitize_name
from devenv.store.local import Store
from devenv.store.roots import add_indirect_root


def shell_name(name: str) -> str:
    """What the shell derivation of the environment `name` is called."""
    return sanitize_name(f"{name}-shell")


def add_shell_derivation(project: str, name: str, spec: StorePath, store: Store) -> StorePath:
    """The derivation called `name` by which nix's own commands enter the environment. Raises StoreError, SpecError."""
    values = shell_derivation(spec=spec, project=project)
    node = Graph(store.store_dir).add(
        name=name,
        system=values.system,
        builder=values.builder,
        args=values.args,
        env=values.env,
        sources=(spec,),
    )
    store.add_texts([(node.path, node.aterm, references(node.derivation))])
    return node.path


def keep_environment(project: str, spec: StorePath, shell: StorePath, store: Store) -> None:
    """Have the project lead to its environment, and that stay for as long as it does. Raises StoreError."""
    add_indirect_root(store.layout, os.path.join(project, ".devenv/env"), spec)
    add_indirect_root(store.layout, os.path.join(project, ".devenv/shell.drv"), shell)


def keep_bytecode(project: str, compiled: Collection[StorePath], store: Store) -> None:
    """Nothing refers to byte code, so a list of it is what keeps it from being collected. Raises StoreError."""
    text = "".join(f"{path}\n" for path in sorted(compiled)).encode()
    path = store.add_text("python-bytecode", text, sorted(compiled))
    add_indirect_root(store.layout, os.path.join(project, ".devenv/bytecode"), path)
