"""Realises packages in a process of its own, to be killed: `python -m tests.derivations.child ROOT URL PACKAGES`."""

from __future__ import annotations

import json
import sys

from devenv.adapter import Package, RemoteFile
from devenv.derivations.packages import bytecode_node
from devenv.formats.hashes import Hash
from devenv.store.layout import Layout
from devenv.store.local import Store
from tests.derivations.site import PYTHON, Bench, Site


def described(packages: list[Package]) -> str:
    return json.dumps(
        [[each.name, each.format, each.file.file_name, each.file.hash.sri] for each in packages]
    )


def main(root: str, url: str, packages: str) -> None:
    site = Site()
    site.url = url
    with Store.open(Layout(root)) as store:
        bench = Bench(store, site, root)
        targets = []
        for name, format, file, hash in json.loads(packages):
            remote = RemoteFile(file_name=file, url=file, hash=Hash.parse_sri(hash))
            node = bench.node(Package(name=name, version="1.0", format=format, file=remote))
            targets.append(bytecode_node(bench.graph, node, PYTHON) if format == "wheel" else node)
        try:
            bench.realise(*targets)
        except KeyboardInterrupt:
            print("interrupted", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
