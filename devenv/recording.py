"""An environment that was just composed, written down as `known` for other checkouts.

Only what is the same in every checkout, or differs by the project's path alone, can be: views of npm's and of Python's
packages that are all in the store. Editable packages, crates and R's library are not among it, nor what is extended from outside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from devenv.adapter import ECOSYSTEMS, NodeModules, SitePackages
from devenv.config.lockfile_names import found_by_themselves
from devenv.environment.views import Recipe
from devenv.keeping import shell_name
from devenv.known import Known, digest
from devenv.stamp import signature, take_signatures
from devenv.views.portable import write_down, write_down_key

if TYPE_CHECKING:
    from devenv.composition import Composed, ComposedView
    from devenv.environment.instantiate import Instantiated
    from devenv.formats.store_path import StorePath


def known_environment(
    project: str,
    made: Instantiated,
    composed: Composed,
    *,
    sources: StorePath,
    signatures: Mapping[str, str],
    notices: Sequence[str],
) -> Known | None:
    """The record of an environment, None for one that is of this checkout alone.

    signatures: of the files that it was made from, taken before they were read
    """
    if made.directories or made.in_place or composed.notices:
        return None
    if not all(_is_portable(recipe) for recipe in made.recipes):
        return None
    files = {os.path.relpath(path, project): digest(path) for path in signatures}
    # A lockfile that another checkout has besides belongs to its environment.
    others = {name for ecosystem in ECOSYSTEMS for name in found_by_themselves(ecosystem)} - files.keys()
    files |= {name: digest(os.path.join(project, name)) for name in others}
    if any(name.startswith("../") for name in files) or take_signatures(signatures) != signatures:
        return None
    views = _views(project, made, composed.views)
    if views is None:
        return None
    python = made.python.path if made.python is not None else None
    return Known(
        name=shell_name(made.spec.name),
        spec=composed.spec,
        sources=sources,
        files=files,
        python=[python, signature(python)] if python is not None else [],
        objects=sorted(
            {*(path for node in made.targets for path in node.outputs.values()), *composed.compiled}
        ),
        bytecode=sorted(composed.compiled),
        views=views,
        later=sorted({node.out for node in made.later} - composed.compiled),
        notices=notices,
    )


def _is_portable(recipe: Recipe) -> bool:
    if isinstance(recipe.view, SitePackages):
        return not recipe.view.editables
    return isinstance(recipe.view, NodeModules)


def _views(project: str, made: Instantiated, composed: Sequence[ComposedView]) -> list[dict[str, Any]] | None:
    modules = {}
    for recipe in made.recipes:
        if isinstance(recipe.view, NodeModules):
            from devenv.views.node import node_modules_roots

            roots = node_modules_roots(recipe.view)
            base = os.path.normpath(os.path.join(project, recipe.root))
            # What the other directories of node_modules lie in is made ready before the first of them.
            modules[os.path.join(base, roots[0])] = [recipe.root, list(roots)]
    found = []
    for view in composed:
        operations = write_down(view.operations, project)
        key = write_down_key(view.key, view.operations, project)
        if operations is None or key is None:
            return None
        found.append(
            {
                "root": os.path.relpath(view.root, project),
                "key": key,
                "operations": operations,
                "modules": modules.get(view.root),
            }
        )
    return found
