"""What the builds of sources need: answers to `BuildQuery`, found when a project is locked.

A source says in pyproject.toml what its backend needs; the backend, once it runs, may want more (PEP 517,
`get_requires_for_build_wheel`). No lockfile pins either, so they are resolved here, by the ecosystem's own resolver, and
devenv.lock holds the result: sources are fetched and unpacked, requirements resolved, backends asked in the same sandbox
that will build the wheel.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from devenv.adapter import BuildQuery, Package, RemoteFile, WheelBuild
from devenv.derivations.builders.sdist import DESCRIPTION, SOURCE
from devenv.derivations.graph import Graph, Node
from devenv.derivations.in_root import root_node
from devenv.derivations.realise import realise
from devenv.derivations.wheels import DIRECTORY, Surroundings, backend_node, environment_node, source_node
from devenv.errors import DevenvError, raise_problems
from devenv.providers.errors import ProviderError
from devenv.providers.python_resolver import Resolver
from devenv.providers.rust_sources import check_cargo, is_rust
from devenv.providers.wheel_choice import best_wheels
from devenv.store.local import Store

if TYPE_CHECKING:
    from devenv.debian.locked import LockedBase
    from devenv.events import Reporter
    from devenv.fetch.endpoints import Endpoints
    from devenv.fetch.http import Client
    from devenv.fhs.plan import RootPlan
    from devenv.providers.python_host import HostPython
    from devenv.providers.rust_sources import RustReader
    from devenv.store.layout import Layout

Answers = dict[str, tuple[RemoteFile, ...]]


def surroundings_of(python: HostPython, plan: RootPlan | None, graph: Graph) -> Surroundings:
    """Where backends run, given the root of system packages, if there is one."""
    root = root_node(graph, plan.packages, plan.configured) if python.in_root and plan is not None else None
    return Surroundings(
        interpreter=python.path, version=python.version, machine=os.uname().machine, root=root
    )


@dataclass(slots=True, kw_only=True)
class _Case:
    """One question on its way to an answer. `requires` are requirements, `files` what they are resolved to."""

    query: BuildQuery
    package: Package
    source: Node
    requires: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    probe: Node | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """What is needed to find answers. `base` are the locked system packages, for an interpreter that is in them.

    rust: for packages that are written in it
    """

    endpoints: Endpoints
    client: Client
    layout: Layout
    reporter: Reporter
    jobs: int
    python: HostPython
    base: LockedBase | None
    rust: RustReader

    def answer(self, queries: Sequence[BuildQuery]) -> Answers:
        """The wheels of each build's environment, by the query's key. Raises all that can be found wrong at once."""
        resolver = Resolver(self.endpoints, self.python, offline=self.client.offline)
        with Store.open(self.layout, reporter=self.reporter) as store:
            graph = Graph(store.store_dir)
            place = partial(self._place, store)
            cases = [self._case(graph, query, place) for query in queries]
            self._realise(store, graph, [case.source for case in cases])
            for case in cases:
                case.requires = _described(case)
            _each(cases, lambda case: self._resolve(resolver, case))
            surroundings = self._surroundings(graph)
            for case in cases:
                case.probe = self._probe(graph, case, surroundings)
            self._realise(store, graph, [case.probe for case in cases if case.probe is not None])
            _each(cases, lambda case: self._complete(resolver, case))
            _each([case for case in cases if is_rust(case.requires)], self._add_crates)
        return {case.query.key: case.files for case in cases}

    def _place(self, store: Store, url: str) -> str:
        """Where a file is; of a directory of the project its copy in the store, which is made."""
        if url.startswith(DIRECTORY):
            from devenv.providers.local_sources import source_tree
            from devenv.recipes.sources import add_source

            return add_source(source_tree(url.removeprefix(DIRECTORY)), store)
        return self.endpoints.absolute(url)

    def _surroundings(self, graph: Graph) -> Surroundings:
        """Where backends run: in the root of system packages if the interpreter is of that, else on this machine."""
        plan = None
        if self.python.in_root and self.base is not None:
            from devenv.debian.base import url_lookup
            from devenv.fhs.plan import derivations

            plan = derivations(self.base, url_lookup(self.endpoints, self.base), graph.store_dir, graph=graph)
        return surroundings_of(self.python, plan, graph)

    def _case(self, graph: Graph, query: BuildQuery, place: Callable[[str], str]) -> _Case:
        package = Package(
            name=query.name,
            version=query.version,
            format="sdist",
            file=query.file,
            build=WheelBuild(requires=(), subdirectory=query.subdirectory),
            changes=query.changes,
        )
        return _Case(query=query, package=package, source=source_node(graph, package, place))

    def _realise(self, store: Store, graph: Graph, targets: Sequence[Node]) -> None:
        realise(
            store,
            graph,
            targets,
            client=self.client,
            pythons={},
            reporter=self.reporter,
            jobs=self.jobs,
        )

    def _resolve(self, resolver: Resolver, case: _Case) -> None:
        label = f"the build of {case.query.name} {case.query.version}".rstrip()
        case.files = resolver.resolve(
            (*case.requires, *case.query.extra), constraints=case.query.constraints, purpose=label
        )

    def _probe(self, graph: Graph, case: _Case, surroundings: Surroundings) -> Node:
        wheels = best_wheels(case.files, self.python.target.tags)
        environment = environment_node(graph, wheels, surroundings, self.endpoints.absolute)
        task = "requires-editable" if case.query.in_place else "requires"
        return backend_node(graph, case.package, case.source, environment, surroundings, task)

    def _complete(self, resolver: Resolver, case: _Case) -> None:
        """Resolve once more, where the backend wants more than its project says."""
        assert case.probe is not None
        more = tuple(text for text in _asked_for(case.probe) if text not in case.requires)
        if more:
            case.requires += more
            self._resolve(resolver, case)

    def _add_crates(self, case: _Case) -> None:
        """What cargo compiles. Raises ProviderError where there is no cargo for the build."""
        label = f"{case.query.name} {case.query.version}".rstrip()
        check_cargo(label, self.base if self.python.in_root else None)
        source = os.path.join(case.source.out, SOURCE)
        case.files += self.rust.crates(source, case.query.subdirectory, label)


def _each(cases: Sequence[_Case], work: Callable[[_Case], None]) -> None:
    problems: list[DevenvError] = []
    for case in cases:
        try:
            work(case)
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)


def _described(case: _Case) -> tuple[str, ...]:
    with open(os.path.join(case.source.out, DESCRIPTION), encoding="utf-8") as file:
        return tuple(json.load(file)["requires"])


def _asked_for(probe: Node) -> tuple[str, ...]:
    """The list that a backend gave, which may be anything."""
    try:
        with open(probe.out, encoding="utf-8") as file:
            found = json.load(file)
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            return tuple(found)
    except (OSError, ValueError, RecursionError):
        pass
    raise ProviderError(
        f"{probe.label}: its backend gave no list of requirements", tool="python", request=probe.label
    )
