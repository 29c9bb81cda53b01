"""The derivations of one environment, collected while its views are described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devenv.adapter import Package, WheelBuild
from devenv.derivations.graph import Graph, Node
from devenv.derivations.packages import is_git, package_node
from devenv.formats.store_path import StoreDir, StorePath

if TYPE_CHECKING:
    from devenv.derivations.wheels import Surroundings
    from devenv.fhs.plan import RootPlan
    from devenv.providers.python_host import HostPython


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """How an editable wheel is made: by a backend in an `environment`, which must be realised, as must its `crates`."""

    environment: Node
    crates: Node | None
    surroundings: Surroundings


class Nodes:
    """What is to be realised; a package that several views share is one node.

    `targets` are needed to enter, `later` is byte code, `undecided` must be realised before more is known (see
    `Instantiated`). `directories` of the project must be copied to the store first. `in_place`: by name, what makes
    editable wheels.
    """

    def __init__(
        self, store_dir: StoreDir, absolute_url: Callable[[str], str], cargo_index: Callable[[], str]
    ) -> None:
        """`absolute_url` says where a file is by its URL in a lock, `cargo_index` is that of `Locations`."""
        self.store_dir = store_dir
        self.absolute_url = absolute_url
        self._cargo_index = cargo_index
        self.graph = Graph(store_dir)
        self.targets: dict[StorePath, Node] = {}
        self.later: dict[StorePath, Node] = {}
        self.undecided: list[Node] = []
        self.directories: set[str] = set()
        self.in_place: dict[str, InPlace] = {}
        self.notices: list[str] = []
        self._building: tuple[HostPython, RootPlan | None] | None = None

    def build_with(self, python: HostPython, root: RootPlan | None) -> None:
        """Which interpreter Python packages are built with, and the system packages it may be among."""
        self._building = (python, root)

    def surroundings(self, build: WheelBuild) -> Surroundings:
        """What a Python package is built with."""
        from devenv.providers.build_requirements import surroundings_of

        assert self._building is not None
        index = self._cargo_index() if build.crates else None
        return replace(surroundings_of(*self._building, self.graph), default_index=index)

    def package(self, package: Package) -> Node:
        """The tree of a package, which the environment needs: built where it is published as source only."""
        if package.format == "sdist":
            return self.target(self._built(package))
        return self.target(self.unpacked(package))

    def unpacked(self, package: Package) -> Node:
        """The tree of a package as it is published."""
        url = package.file.url
        return package_node(self.graph, package, url if is_git(url) else self.absolute_url(url))

    def _built(self, package: Package) -> Node:
        from devenv.derivations.wheels import DIRECTORY, built_node

        if package.file.url.startswith(DIRECTORY):
            self.directories.add(package.file.url.removeprefix(DIRECTORY))
        assert package.build is not None
        return built_node(self.graph, package, self.surroundings(package.build), self.absolute_url)

    def target(self, node: Node) -> Node:
        """Note that the environment needs this."""
        self.targets[node.path] = node
        return node
