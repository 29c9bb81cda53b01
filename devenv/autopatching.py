"""Programs on a copy in the store that runs without a root: its loader and libraries are named in the files themselves.

What a tree of programs needs comes from itself, from a set of packages, and from further packages of the base where
the archive's indices say that these have it. Only the packages that are reached are fetched; none is configured.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from devenv.debian.base import resolve, url_lookup
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import PATCH
from devenv.derivations.realise import realise
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.errors import DevenvError
from devenv.fhs.plan import package_node
from devenv.foreign.bundles import Bundle, open_bundle
from devenv.foreign.kinds import kind_of, shebang
from devenv.foreign.program import LOADERS, TRIPLETS, Program, read_program
from devenv.foreign.suppliers import Suppliers, base_for, newest
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.unpacking import ARCHIVES, unpacked
from devenv.formats.store_path import StorePath, sanitize_name
from devenv.project import Workplace
from devenv.store.local import Store

# Part of each derivation, so that a builder which makes something else gives it another place.
_REVISION = "1"
# What the C library opens by itself, and what is looked for when a thread ends.
_ALWAYS = (
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2"),
    *("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1"),
)
_IMPLIED = frozenset({"libc6", "libgcc-s1"})  # no set is without them


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A library that something in the tree asks for. how: "needed", or by a note or a string "required", "recommended",
    "suggested", "guessed"; package: who has it, None if nobody or if the tree itself has it; bundled: where in the tree
    """

    soname: str
    architecture: str
    how: str
    by: tuple[str, ...]
    bundled: str | None = None
    package: str | None = None

    @property
    def unresolved(self) -> bool:
        return self.bundled is None and self.package is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script of the tree. place: "host", the path of its interpreter in the tree, or None; package: who has it then"""

    path: str
    interpreter: str
    place: str | None
    package: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a tree needs. source: the tree; programs: paths of what is patched; left: path -> why a file is left as it is
    added: packages that the set lacks
    """

    source: str
    name: str
    base: str
    programs: tuple[str, ...]
    left: dict[str, str]
    asked: tuple[Asked, ...]
    scripts: tuple[Script, ...]
    packages: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def unresolved(self) -> tuple[Asked, ...]:
        """Libraries without which something does not start."""
        return tuple(each for each in self.asked if each.unresolved and each.how in ("needed", "required"))


@dataclass(slots=True)
class _Names:
    """Who asks for a library, and how."""

    how: str
    by: list[str] = field(default_factory=list)


def survey(path: str, around: Surroundings, packages: Sequence[str]) -> Survey:
    """What the file, archive or directory `path` needs beyond the set `packages`. Raises ForeignError and DebianError."""
    kind = kind_of(path)
    source = unpacked(path, kind, around.cache) if kind in ARCHIVES else os.path.realpath(path)
    name = sanitize_name(os.path.basename(os.path.abspath(path)))
    bundle = open_bundle(source) if os.path.isdir(source) else _of_file(source)
    left: dict[str, str] = {}
    programs = list(_dynamic(bundle, around, left))
    if not programs and not left and not any(_scripts_of(bundle)):
        raise DevenvError(f"{path} has no program or library in it, so there is nothing to patch")
    base = base_for(
        newest([v for each in programs for wanted in each.versions.values() for v in wanted]), around.base
    )
    with around.suppliers(base) as suppliers:
        asked = tuple(_supplied(programs, bundle, suppliers))
        scripts = tuple(_judged(bundle, suppliers, around.machine))
        implied = [_qualified(suppliers, "libc.so.6", each) for each in _architectures(programs)]
        notes = tuple(f"{problem}" for problem in suppliers.problems)
    wanted = sorted(
        {each.package for each in asked if each.package is not None} | {each for each in implied if each}
    )
    known = {each.partition("=")[0].partition("/")[0] for each in packages}
    return Survey(
        source=source,
        name=name,
        base=base,
        programs=tuple(os.path.relpath(each.path, bundle.directory) for each in programs),
        left=left,
        asked=asked,
        scripts=scripts,
        packages=tuple(sorted({*wanted, *packages})),
        added=tuple(each for each in wanted if each not in known and each.partition(":")[0] not in _IMPLIED),
        notes=notes,
    )


def _of_file(path: str) -> Bundle:
    return Bundle(directory=os.path.dirname(path), files=(os.path.basename(path),), frameworks=())


def _dynamic(bundle: Bundle, around: Surroundings, left: dict[str, str]) -> Iterator[Program]:
    """The files that can be patched; why others cannot goes to `left`."""
    for name in bundle.files:
        path = bundle.path(name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        try:
            if kind_of(path) not in ("elf", "appimage-1", "appimage-2"):
                continue
            program = read_program(path)
        except DevenvError as error:
            left[name] = error.found if isinstance(error, ElfError) else str(error)
            continue
        reason = _why_left(program, around.machine)
        if reason is None:
            yield program
        elif reason:
            left[name] = reason


def _why_left(program: Program, machine: str) -> str | None:
    """None for what is patched; "" for what needs no word."""
    if program.role in ("object", "core"):
        return ""
    if program.role == "library" and not program.needed:
        return ""
    if program.static:
        return "static: it needs no loader and no libraries"
    if program.libc in ("musl", "bionic"):
        return f"for the C library {program.libc}: no package has libraries for that"
    if program.architecture is None or program.architecture not in LOADERS:
        return f"for {program.machine}: there are no packages for that"
    if program.architecture != machine and (machine, program.architecture) not in (
        ("amd64", "i386"),
        ("arm64", "armhf"),
    ):
        return f"for {program.machine}: this machine does not run that"
    return None


def _architectures(programs: Iterable[Program]) -> list[str]:
    return sorted({each.architecture for each in programs if each.architecture is not None})


def _supplied(programs: Sequence[Program], bundle: Bundle, suppliers: Suppliers) -> Iterator[Asked]:
    for architecture in _architectures(programs):
        brought = bundle.libraries(architecture)
        own = [each for each in programs if each.architecture == architecture]
        for soname, names in _asked_for(own, bundle).items():
            home = brought.get(os.path.basename(soname))
            package = None if home is not None else _qualified(suppliers, soname, architecture)
            if home is None and package is None and names.how == "guessed":
                continue  # a string like a library's name that no package has is just a string
            yield Asked(
                soname=soname,
                architecture=architecture,
                how=names.how,
                by=tuple(dict.fromkeys(names.by)),
                bundled=None if home is None else os.path.relpath(home, bundle.directory),
                package=package,
            )


def _asked_for(programs: Sequence[Program], bundle: Bundle) -> dict[str, _Names]:
    """Soname -> who asks for it. Of alternatives that a note gives, the first stands for all."""
    found: dict[str, _Names] = {}
    for program in programs:
        wanted = [(soname, "needed") for soname in program.needed]
        wanted += [(opening.sonames[0], opening.priority) for opening in program.openings]
        for soname, how in wanted:
            names = found.setdefault(soname, _Names(how))
            names.how = "needed" if how == "needed" else names.how
            names.by.append(os.path.relpath(program.path, bundle.directory))
    return found


def _qualified(suppliers: Suppliers, soname: str, architecture: str) -> str | None:
    package = suppliers.library(soname, architecture)
    return None if package is None else suppliers.qualified(package, architecture)


def _scripts_of(bundle: Bundle) -> Iterator[str]:
    for name in bundle.files:
        path = bundle.path(name)
        if os.access(path, os.X_OK) and os.path.isfile(path) and not os.path.islink(path) and shebang(path):
            yield name


def _judged(bundle: Bundle, suppliers: Suppliers, machine: str) -> Iterator[Script]:
    """Where the interpreters of the scripts are: on any machine, in the tree by the end of their path, or nowhere."""
    for name in _scripts_of(bundle):
        interpreter = shebang(bundle.path(name))[0]
        if os.path.exists(interpreter):
            yield Script(path=name, interpreter=interpreter, place="host")
            continue
        inside = _inside(interpreter, bundle)
        package = suppliers.program(os.path.basename(interpreter), machine) if inside is None else None
        yield Script(path=name, interpreter=interpreter, place=inside, package=package)


def _inside(interpreter: str, bundle: Bundle) -> str | None:
    """/opt/tool/bin/python of a tree that has bin/python."""
    parts = interpreter.strip("/").split("/")
    files = set(bundle.files)
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in files and os.access(bundle.path(end), os.X_OK)), None)


# Making it.


def patch(place: Workplace, found: Survey, around: Surroundings) -> StorePath:
    """The patched copy in the store, kept until `state/patched` has no link to it. Raises what fetching and building do."""
    architecture = around.machine
    locked = resolve(
        found.base,
        found.packages,
        architecture=architecture,
        cache_dir=place.layout.cache,
        events=place.settings.reporter,
        client=place.client,
        offline=place.settings.offline,
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
