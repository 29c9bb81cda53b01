"""What recipes are built with that the project's environment has: system packages, toolchains, packages of lockfiles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from devenv.config.builds import CARGO, SYSTEM, Build
from devenv.formats.store_path import StorePath
from devenv.instantiation import instantiate_project
from devenv.project import Project
from devenv.recipes.errors import RecipeError
from devenv.recipes.instantiate import Given

if TYPE_CHECKING:
    from devenv.environment.instantiate import Instantiated
    from devenv.environment.views import CargoLocks


class EnvironmentInputs:
    """Finds inputs in the environment of a project, which is instantiated when first needed."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @cached_property
    def environment(self) -> Instantiated:
        """The project's environment, for inputs from it. Raises StaleLock."""
        return instantiate_project(self._project)[0]

    def system(self, build: Build) -> Given:
        """The root of the project's system packages. Raises RecipeError where there are none."""
        from devenv.derivations.in_root import root_node

        root = self.environment.plan
        if root is None:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {SYSTEM}, and there are no system packages",
                recipe=build.name,
                hint='name some, such as [packages] system = ["g++", "make"], then run `devenv lock`',
            )
        node = root_node(self.environment.graph, root.packages, root.configured)
        return Given(path=node.out, node=node, is_root=True)

    def cargo(self, build: Build) -> Given:
        """cargo's view of the project's lockfiles, as an object. Raises RecipeError where there is none."""
        from devenv.derivations.cargo_tools import tools_node

        view = self.cargo_locks
        if view is None:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {CARGO}, and the project has no Cargo.lock",
                recipe=build.name,
                hint="name it under [lockfiles], then run `devenv lock`",
            )
        by_output = {node.out: node for node in self.environment.graph.nodes.values()}
        node = tools_node(self.environment.graph, view.files(), by_output[view.sources])
        return Given(path=node.out, node=node)

    @property
    def cargo_locks(self) -> CargoLocks | None:
        """The project's Cargo lockfiles, None where it has none."""
        from devenv.environment.views import CargoLocks

        views = (recipe.view for recipe in self.environment.recipes)
        return next((view for view in views if isinstance(view, CargoLocks)), None)

    def package(self, name: str, build: Build) -> Given:
        """A toolchain, or a package of a lockfile. Raises RecipeError."""
        if name == "python":
            raise RecipeError(
                f"{build.origin}: {build.name} has the input python, which is this machine's and no store object",
                recipe=build.name,
                hint=f'`host = true` lets the recipe use this machine\'s programs, the input "{SYSTEM}" those of the '
                "system packages",
            )
        kind, mark, package = name.partition(":")
        found: set[str] = set()
        if not mark:
            found = {tool.path for tool in self.environment.spec.packages if tool.name == name}
        elif kind in ("npm", "pip"):
            found = {path for path, known in self._locked_packages(kind) if known == package}
        if len(found) != 1:
            raise RecipeError(
                f"{build.origin}: {build.name} has the input {name}, of which there is "
                f"{'more than one version' if found else 'none'}",
                recipe=build.name,
                hint='inputs are other recipes, "system", "cargo", "node", "npm:NAME", "pip:NAME", "fetch.NAME" and "purify.NAME"',
            )
        by_output = {node.out: node for node in self.environment.graph.nodes.values()}
        path = StorePath(found.pop())
        return Given(path=path, node=by_output[path])

    def _locked_packages(self, kind: str) -> Iterator[tuple[StorePath, str]]:
        """The paths of a lockfile's packages with their names."""
        for recipe in self.environment.recipes:
            if recipe.kind != {"npm": "node_modules", "pip": "python"}[kind]:
                continue
            for place, path in recipe.trees.items():
                yield path, place.rpartition("node_modules/")[2] if kind == "npm" else place
