"""Compose: recipes, spec and shell derivation into the store, views into the project, roots for all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from devenv.adapter import NodeModules, SitePackages
from devenv.env.object import render_object
from devenv.environment.instantiate import Instantiated
from devenv.environment.views import CargoLocks, Recipe, RPackages
from devenv.errors import DevenvError
from devenv.events import Reporter
from devenv.formats.store_path import StorePath, sanitize_name
from devenv.keeping import add_shell_derivation, keep_bytecode, keep_environment, shell_name
from devenv.plugins import load_shells
from devenv.store.local import Store
from devenv.views.compose import ForeignTree, Op, set_aside
from devenv.views.compose import compose as compose_view
from devenv.views.operations import JOURNAL

if TYPE_CHECKING:
    from devenv.views.root import RootParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What came of it: the spec, its shell derivation, files whose change means a new composition, notices.

    `views` is what was composed; `compiled` is the byte code in them.
    """

    spec: StorePath
    shell: StorePath
    watched: tuple[str, ...]
    notices: tuple[str, ...]
    views: tuple[ComposedView, ...]
    compiled: frozenset[StorePath]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedView:
    """One directory as it was composed."""

    root: str
    key: str
    operations: tuple[Op, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedView:
    """One directory to compose. `operations` reads the store, so it is called only once that is realised."""

    root: str
    key: str
    operations: Callable[[], Sequence[Op]]


def compose(
    project: str, made: Instantiated, store: Store, reporter: Reporter, *, lasting: bool = True
) -> Composed:
    """Write everything that `made` describes. Its derivations must be realised. Raises ViewError, StoreError.

    lasting: it is the project's environment from now on, which the links in the project lead to
    """
    for recipe in made.recipes:
        store.add_texts([(recipe.path, recipe.text, recipe.references)])
    if made.root is not None:
        _compose_root(made.root, store, reporter)
    spec = add_spec(made, store)
    shell = add_shell_derivation(project, shell_name(made.spec.name), spec, store)
    notices = []
    compiled = frozenset(store.valid_paths(node.out for node in made.later))
    views = planned_views(project, made, compiled)
    for recipe in made.recipes:
        _prepare(project, recipe, reporter)
        if isinstance(recipe.view, SitePackages):
            from devenv.editable_wheels import make

            notices += make(project, recipe.view, made, store, reporter)
    done = []
    for view in views:
        operations = tuple(view.operations())
        notices += _compose_one(project, view, operations, reporter)
        done.append(ComposedView(root=view.root, key=view.key, operations=operations))
    for recipe in made.recipes:
        notices += _manifest_notices(recipe)
    if lasting:
        keep_environment(project, spec, shell, store)
    if compiled:
        keep_bytecode(project, compiled, store)
    watched = [os.path.join(view.root, JOURNAL) for view in views]
    if made.python is not None:
        watched.append(made.python.path)
        watched += _manifests(project, made)
    if made.directories:
        from devenv.providers.local_sources import files_of

        watched += files_of(made.directories)
    return Composed(
        spec=spec,
        shell=shell,
        watched=tuple(watched),
        notices=tuple(notices),
        views=tuple(done),
        compiled=compiled,
    )


def _compose_root(root: RootParts, store: Store, reporter: Reporter) -> None:
    """The view of the system packages; the spec refers to its recipe, and the recipe to what it is made of."""
    from devenv.views.root import compose as compose_root

    recipe = root.recipe
    store.add_texts([(recipe.path, recipe.text, recipe.references)])
    compose_root(root.paths, root.configured, views_dir=store.layout.views, events=reporter)


def _manifests(project: str, made: Instantiated) -> Iterator[str]:
    """The pyproject.toml of every project that is imported in place."""
    from devenv.views.python import watched_files

    for recipe in made.recipes:
        if isinstance(recipe.view, SitePackages):
            yield from watched_files(recipe.view, project)


def add_spec(made: Instantiated, store: Store) -> StorePath:
    """The spec object. Its references are the recipes and the packages that it names."""
    files = render_object(made.spec, load_shells())
    candidates = {StorePath(view.recipe) for view in made.spec.views}
    candidates |= {StorePath(package.path) for package in made.spec.packages}
    candidates |= {StorePath(made.spec.root)} if made.spec.root is not None else set()
    with store.temporary_directory() as folder:
        tree = os.path.join(folder, "spec")
        for name, (contents, executable) in files.items():
            path = os.path.join(tree, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(contents)
            os.chmod(path, 0o555 if executable else 0o444)
        return store.adopt_tree(sanitize_name(f"{made.spec.name}-env-spec"), tree, candidates)


def planned_views(
    project: str, made: Instantiated, compiled: Collection[StorePath] = frozenset()
) -> list[PlannedView]:
    """Every directory that the environment composes in the project. `compiled` is the byte code that there is."""
    return [view for recipe in made.recipes for view in _views_of(project, recipe, made, compiled)]


def _views_of(
    project: str, recipe: Recipe, made: Instantiated, compiled: Collection[StorePath]
) -> Iterator[PlannedView]:
    if isinstance(recipe.view, NodeModules):
        from devenv.views.node import node_modules_compositions, node_modules_roots

        base = os.path.normpath(os.path.join(project, recipe.root))
        all_operations = cache(partial(node_modules_compositions, recipe.view, recipe.trees))
        for place in node_modules_roots(recipe.view):
            yield PlannedView(
                root=os.path.join(base, place),
                key=recipe.path,
                operations=partial(_operations_at, all_operations, place),
            )
        return
    if isinstance(recipe.view, RPackages):
        from devenv.views.r import library_ops

        yield PlannedView(
            root=os.path.join(project, recipe.root),
            key=recipe.path,
            operations=partial(library_ops, recipe.trees, recipe.view.directory),
        )
        return
    if isinstance(recipe.view, CargoLocks):
        yield _cargo_view(project, recipe, recipe.view)
        return
    yield _python_view(project, recipe, recipe.view, made, compiled)


def _cargo_view(project: str, recipe: Recipe, view: CargoLocks) -> PlannedView:
    from devenv.views.cargo import cargo_ops

    root = os.path.join(project, recipe.root)
    return PlannedView(root=root, key=recipe.path, operations=lambda: cargo_ops(view.files()))


def _operations_at(all_operations: Callable[[], Mapping[str, Sequence[Op]]], place: str) -> Sequence[Op]:
    return all_operations()[place]


def _prepare(project: str, recipe: Recipe, reporter: Reporter) -> None:
    """See that the views of a recipe stay in the project, and take away those that it has no more."""
    if isinstance(recipe.view, NodeModules):
        from devenv.views.node import node_modules_roots, prepare_node_modules

        base = os.path.normpath(os.path.join(project, recipe.root))
        prepare_node_modules(base, node_modules_roots(recipe.view), reporter)


def _manifest_notices(recipe: Recipe) -> tuple[str, ...]:
    """What npm packages say only once they are unpacked or built."""
    if not isinstance(recipe.view, NodeModules):
        return ()
    from devenv.views.node_manifests import settle

    return settle(recipe.view, recipe.trees).notices


def _python_view(
    project: str, recipe: Recipe, view: SitePackages, made: Instantiated, compiled: Collection[StorePath]
) -> PlannedView:
    from devenv.editable_wheels import in_place_trees
    from devenv.views.python import manifest_key, pip_ops, site_packages_ops

    python = made.python
    if python is None:
        raise DevenvError("a Python environment without a Python: this is a bug in devenv")
    root = os.path.join(project, recipe.root)
    bytecode = {name: path for name, path in recipe.bytecode.items() if path in compiled}
    # Of a root's own interpreter nothing outside can be run in it.
    pip = [] if python.in_root else pip_ops(view, root=root, runner=sys.executable)
    return PlannedView(
        root=root,
        # The interpreter is the host's: the same packages on another interpreter are another view.
        key=" ".join(
            [recipe.path, python.version, python.path, *(op.line for op in pip), manifest_key(view, project)]
        ).rstrip(),
        operations=lambda: [
            *site_packages_ops(
                view,
                trees=recipe.trees,
                bytecode=bytecode,
                python=python,
                root=root,
                project=project,
                in_place=in_place_trees(project, view, made),
            ),
            *pip,
        ],
    )


def view_roots(project: str, made: Instantiated) -> list[tuple[str, str]]:
    """Where the views lie and which key each should have."""
    return [(view.root, view.key) for view in planned_views(project, made)]


def _compose_one(project: str, view: PlannedView, operations: Sequence[Op], reporter: Reporter) -> list[str]:
    os.makedirs(os.path.dirname(view.root), exist_ok=True)
    try:
        compose_view(view.root, operations, key=view.key, reporter=reporter)
        return []
    except ForeignTree:
        kept = set_aside(view.root, os.path.join(project, ".devenv/replaced"))
    compose_view(view.root, operations, key=view.key, reporter=reporter)
    shown, moved = os.path.relpath(view.root, project), os.path.relpath(kept, project)
    return [f"{shown} was not made by devenv; it was moved to {moved}"]
