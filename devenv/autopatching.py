"""Programs on a copy in the store that runs without a root: its loader and libraries are named in the files themselves.

What a tree of programs needs comes from itself, from a set of packages, and from further packages of the base where
the archive's indices say that these have it. Only the packages that are reached are fetched; none is configured.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence

from devenv.debian.base import resolve, url_lookup
from devenv.debian.locked import LockedBase
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import PATCH
from devenv.derivations.realise import realise
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.errors import DevenvError
from devenv.fhs.plan import package_node
from devenv.foreign.program import LOADERS, TRIPLETS
from devenv.foreign.suppliers import Suppliers
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.surveying import Survey
from devenv.formats.store_path import StorePath, sanitize_name
from devenv.store.local import Store
from devenv.workplace import Workplace

# Part of each derivation, so that a builder which makes something else gives it another place.
_REVISION = "1"
# What the C library opens by itself, and what is looked for when a thread ends.
_ALWAYS = (
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2"),
    *("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1"),
)


def patch(place: Workplace, found: Survey, around: Surroundings, kept: LockedBase | None = None) -> StorePath:
    """The patched copy in the store, kept until `state/patched` has no link to it. Raises what fetching and building do.

    `kept`: versions of packages that stay as long as the archive has them.
    """
    architecture = around.machine
    locked = resolve(
        found.base,
        found.packages,
        architecture=architecture,
        cache_dir=place.layout.cache,
        events=place.settings.reporter,
        client=place.client,
        offline=place.settings.offline,
        kept=kept if kept is not None and kept.base == found.base else None,
        max_age=7 * 86400.0,
    )
    graph = Graph(place.layout.store_dir)
    urls = url_lookup(place.endpoints, locked)
    nodes = {
        (deb.name, architecture if deb.architecture == "all" else deb.architecture): package_node(
            graph, deb, urls(deb)
        )
        for deb in locked.packages
    }
    with Store.open(place.layout, reporter=place.settings.reporter) as store:

        def make(targets: Iterable[Node]) -> None:
            _realise(place, store, graph, targets)

        source = store.add_tree(found.name, _as_tree(found, store))
        with around.suppliers(found.base) as suppliers:
            libraries, used = _Reached(nodes, make, suppliers).reach(found, architecture)
        node = _patch_node(graph, found, source, libraries, used)
        make([node])
        _keep(place, found, node.out)
    return node.out


def _keep(place: Workplace, found: Survey, path: StorePath) -> None:
    from devenv.store.roots import add_indirect_root

    directory = os.path.join(place.layout.root, "state", "patched")
    os.makedirs(directory, exist_ok=True)
    add_indirect_root(place.layout, os.path.join(directory, found.name), path)


def _realise(place: Workplace, store: Store, graph: Graph, targets: Iterable[Node]) -> None:
    from devenv.caching import substitution

    realise(
        store,
        graph,
        tuple(targets),
        client=place.client,
        pythons={},
        reporter=place.settings.reporter,
        jobs=place.jobs,
        bring=substitution(place, store),
    )


def _as_tree(found: Survey, store: Store) -> str:
    """A single file goes into bin/."""
    if os.path.isdir(found.source):
        return found.source
    directory = store.new_name()
    os.makedirs(f"{directory}/bin")
    shutil.copy2(found.source, f"{directory}/bin/{os.path.basename(found.source)}")
    return directory


class _Reached:
    """Libraries in packages, fetched as they are reached."""

    def __init__(
        self,
        nodes: Mapping[tuple[str, str], Node],
        make: Callable[[Iterable[Node]], None],
        suppliers: Suppliers,
    ) -> None:
        self._nodes = nodes
        self._suppliers = suppliers
        self._make = make
        self._files: dict[tuple[str, str], dict[str, str]] = {}

    def reach(self, found: Survey, machine: str) -> tuple[dict[str, dict[str, str]], list[Node]]:
        """Architecture -> soname -> path in the store, of all that is needed, directly or not; and the packages used."""
        libraries: dict[str, dict[str, str]] = {}
        start: dict[str, list[str]] = {}
        keys: dict[str, set[tuple[str, str]]] = {}
        for each in found.asked:
            if each.package is not None:
                name, _, given = each.package.partition(":")
                keys.setdefault(each.architecture, set()).add((name, given or machine))
                start.setdefault(each.architecture, []).append(each.soname)
        for architecture in start or {}:
            own = {("libc6", architecture), ("libgcc-s1", architecture), *keys[architecture]}
            libraries[architecture] = self._closure(
                architecture, [*_ALWAYS, *start[architecture]], own & self._nodes.keys()
            )
            self._check(found, architecture, libraries[architecture])
        used = {path for paths in libraries.values() for path in paths.values()}
        return libraries, [
            node for node in self._nodes.values() if any(path.startswith(node.out + "/") for path in used)
        ]

    @staticmethod
    def _check(found: Survey, architecture: str, reached: Mapping[str, str]) -> None:
        lacking = [
            f"{each.soname} ({each.package})"
            for each in found.asked
            if each.architecture == architecture
            and each.how in ("needed", "required")
            and each.bundled is None
            and each.soname not in reached
        ]
        if lacking:
            raise DevenvError(
                f"patching {found.name}: packages of {found.base} lack libraries that its index says they have: "
                f"{', '.join(lacking)}",
                hint="`devenv locate NAME` says which other packages have them: give one with --package.",
            )

    def _closure(
        self, architecture: str, names: Sequence[str], first: Iterable[tuple[str, str]]
    ) -> dict[str, str]:
        """The packages known at first are fetched at once, then those whose libraries the ones before need."""
        self._fetch(first)
        found: dict[str, str] = {}
        queue = list(dict.fromkeys(names))
        for soname in queue:
            path = self._find(soname, architecture)
            if path is None or soname in found:
                continue
            found[soname] = path
            try:
                with Elf.open(path) as elf:
                    queue += [
                        name for name in elf.needed if name not in found and not name.startswith("ld-linux")
                    ]
            except ElfError:
                continue
        return found

    def _find(self, soname: str, architecture: str) -> str | None:
        """In the packages at hand, else in the one of the set that the index names."""
        for key, files in self._files.items():
            if key[1] == architecture and soname in files:
                return files[soname]
        package = self._suppliers.library(soname, architecture)
        key = (package or "", architecture)
        if key not in self._nodes or key in self._files:
            return None
        self._fetch([key])
        return self._files[key].get(soname)

    def _fetch(self, keys: Iterable[tuple[str, str]]) -> None:
        new = [key for key in keys if key not in self._files]
        self._make(self._nodes[key] for key in new)
        for key in new:
            self._files[key] = _libraries_of(self._nodes[key].out, key[1])


def _libraries_of(directory: str, architecture: str) -> dict[str, str]:
    """Name -> path of a package's libraries, those nearest to the top first."""
    found: dict[str, str] = {}
    for top in (f"usr/lib/{TRIPLETS[architecture]}", "usr/lib", "usr/lib64", "usr/lib32"):
        for place, folders, names in os.walk(f"{directory}/{top}"):
            folders.sort()
            for name in sorted(names):
                if ".so" in name:
                    found.setdefault(name, f"{place}/{name}")
    return found


def _patch_node(
    graph: Graph,
    found: Survey,
    source: StorePath,
    libraries: Mapping[str, Mapping[str, str]],
    used: Sequence[Node],
) -> Node:
    loaders = {}
    for architecture, paths in libraries.items():
        directory = os.path.dirname(paths["libc.so.6"])
        loaders[architecture] = f"{directory}/{os.path.basename(LOADERS[architecture])}"
    inside = {each.path: each.place for each in found.scripts if each.place not in (None, "host")}
    return graph.add(
        name=sanitize_name(f"{found.name}-patched"),
        builder=PATCH,
        env={
            "src": source,
            "libraries": json.dumps(libraries, sort_keys=True),
            "loaders": json.dumps(loaders, sort_keys=True),
            "interpreters": json.dumps(inside, sort_keys=True),
            "revision": _REVISION,
        },
        inputs=used,
        sources=[source],
        label=f"{found.name}, patched",
    )
