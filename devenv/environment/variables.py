"""The variables of an environment: what its views and toolchains bring, then what the project says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from devenv.config.model import Config
from devenv.env.spec import Operation, PackageRef, Prepend, Set, Unset
from devenv.environment.views import CARGO_VIEW, NPM_PREFIX, PYTHON_VIEW, R_VIEW, Recipe, RPackages

# Where variables of views say that they are from.
_OF_PYTHON, _OF_R, _OF_CARGO, _OF_NODE = (
    "packages.python",
    "lockfiles.renv",
    "lockfiles.cargo",
    " of the lockfile",
)


def without_views(variables: Mapping[str, Sequence[Operation]]) -> dict[str, tuple[Operation, ...]]:
    """The variables of a spec less what its views brought: these lie in one project."""
    kept = {
        name: tuple(
            each
            for each in found
            if each.origin not in (_OF_PYTHON, _OF_R, _OF_CARGO) and not each.origin.endswith(_OF_NODE)
        )
        for name, found in variables.items()
    }
    return {name: found for name, found in kept.items() if found}


def variables_of(
    config: Config, tools: Sequence[PackageRef], recipes: Sequence[Recipe]
) -> dict[str, tuple[Operation, ...]]:
    """What the packages bring, then what devenv.toml declares.

    Each prepend goes before the ones already there, so the last is found first: the project's own entries,
    then Python's, then those of node_modules, then the toolchains.
    """
    variables: dict[str, list[Operation]] = {}
    path = variables.setdefault("PATH", [])
    for tool in tools:
        # npm would install global packages beside its own files, which are in the store.
        variables["npm_config_prefix"] = [Set(value=f"${{project}}/{NPM_PREFIX}", origin=tool.origin)]
        path.append(Prepend(entries=(f"{tool.path}/bin", f"./{NPM_PREFIX}/bin"), origin=tool.origin))
    for recipe in sorted(recipes, key=lambda recipe: recipe.kind):
        if recipe.kind == "python":
            path.append(Prepend(entries=(f"./{PYTHON_VIEW}/bin",), origin=_OF_PYTHON))
            variables["VIRTUAL_ENV"] = [Set(value=f"${{project}}/{PYTHON_VIEW}", origin=_OF_PYTHON)]
            # A PYTHONHOME from outside would make the interpreter ignore the view.
            variables["PYTHONHOME"] = [Unset(origin=_OF_PYTHON)]
        elif recipe.kind == "r":
            variables |= _r_variables(recipe)
        elif recipe.kind == "cargo":
            path.append(Prepend(entries=(f"./{CARGO_VIEW}/bin",), origin=_OF_CARGO))
        else:
            place = os.path.normpath(os.path.join(recipe.root, "node_modules/.bin"))
            path.append(Prepend(entries=(f"./{place}",), origin=f"{place}{_OF_NODE}"))
    for name, operations in config.env.items():
        known = variables.get(name, []) if name == "PATH" else []
        variables[name] = [*known, *operations]
    return {name: tuple(found) for name, found in variables.items() if found}


def _r_variables(recipe: Recipe) -> dict[str, list[Operation]]:
    """R and renv look into the view, whatever version of either looks. See ?renv::paths, ?renv::config, ?Startup."""
    assert isinstance(recipe.view, RPackages)
    values = {
        "R_LIBS_USER": f"${{project}}/{R_VIEW}/{recipe.view.directory}",
        "RENV_PATHS_LIBRARY": f"${{project}}/{R_VIEW}",
        # From R 4.4 on renv would add the name of the distribution to the path.
        "RENV_PATHS_PREFIX_AUTO": "FALSE",
        # It hides packages of R's own library that the lock lacks; here that is read-only and pinned anyway.
        "RENV_CONFIG_SANDBOX_ENABLED": "FALSE",
        "RENV_CONFIG_AUTO_SNAPSHOT": "FALSE",
    }
    return {name: [Set(value=value, origin=_OF_R)] for name, value in values.items()}
