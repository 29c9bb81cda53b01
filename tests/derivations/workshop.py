"""Derivations whose builder is the machine's own shell, built in a sandbox."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from typing import Any

from devenv.derivations.graph import Graph, Node
from devenv.derivations.process import BuildOptions
from devenv.derivations.realise import realise
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store.local import Store
from tests.derivations.site import Recorder
from tests.support.sandboxes import HOST_PATHS

SYSTEM = f"{platform.machine()}-linux"


class Workshop:
    """Makes nodes and builds them."""

    def __init__(self, store: Store, scratch: str) -> None:
        self.store = store
        self.graph = Graph(store.store_dir)
        self.scratch = scratch
        self.reporter = Recorder()

    def node(
        self,
        script: str,
        name: str = "made",
        *,
        inputs: Iterable[Node | tuple[Node, Iterable[str]]] = (),
        outputs: Iterable[str] = ("out",),
        sources: Iterable[StorePath] = (),
        env: Mapping[str, str] | None = None,
        fixed: tuple[Hash, bool] | None = None,
        **more: Any,
    ) -> Node:
        """A derivation that runs `script` with the machine's programs on its PATH."""
        outputs = tuple(outputs)
        wanted = {"PATH": "/usr/bin:/bin", "outputs": " ".join(outputs), **(env or {})}
        fields = {"builder": "/bin/sh", "args": ["-c", script], "system": SYSTEM, **more}
        return self.graph.add(
            name=name, env=wanted, inputs=inputs, outputs=outputs, sources=sources, fixed=fixed, **fields
        )

    def build(self, *nodes: Node, jobs: int = 2, **options: Any) -> None:
        fields: dict[str, Any] = {"sandbox_paths": HOST_PATHS, **options}
        environ = {"HOME": self.scratch}
        endpoints = Endpoints.load(project=self.scratch, environ=environ, registries={}, cache=self.scratch)
        with Client(endpoints) as client:
            realise(
                self.store,
                self.graph,
                nodes,
                client=client,
                pythons={},
                reporter=self.reporter,
                jobs=jobs,
                options=BuildOptions(**fields),
            )

    def output(self, script: str, **fields: Any) -> str:
        """What `script` writes to $out."""
        options = fields.pop("options", {})
        node = self.node(script, **fields)
        self.build(node, **options)
        return self.text(node)

    def text(self, node: Node, name: str | None = None) -> str:
        path = node.out if name is None else node.outputs[name]
        with open(path, encoding="utf-8") as file:
            return file.read()

    def kept(self) -> list[str]:
        """Build directories that were left for people."""
        place = os.path.join(self.store.layout.tmp, "kept")
        return sorted(os.path.join(place, name) for name in os.listdir(place)) if os.path.isdir(place) else []
