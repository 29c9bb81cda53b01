"""The variables of an environment: what its views and toolchains bring, then what the project says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from devenv.config.model import Config
from devenv.env.merge import settle
from devenv.env.spec import Default, Operation, Prepend, Set, Unset
from devenv.environment.npm import NodeTools
from devenv.environment.views import CARGO_VIEW, NPM_PREFIX, PYTHON_VIEW, R_VIEW, Recipe, RPackages
from devenv.views.node_pages import PAGES

# Lists that packages and the project make together.
_EXTENDED = ("PATH", "MANPATH", "XDG_DATA_DIRS")
# What these stand for where they are not set. An empty entry of MANPATH is all that man finds without it (manpath(1)); the
# other is from the XDG Base Directory Specification.
_DEFAULTS = {"MANPATH": ":", "XDG_DATA_DIRS": "/usr/local/share:/usr/share"}


class _Data:
    """The directories by which manual pages and shells' completions are found."""

    def __init__(self) -> None:
        self.variables: dict[str, list[Operation]] = {}

    def add(self, origin: str, share: str | None, pages: tuple[str, ...]) -> None:
        """Put `share`, which holds completions, and the directories `pages` before what is there already."""
        for name, entries in (("MANPATH", pages), ("XDG_DATA_DIRS", (share,) if share else ())):
            if entries:
                default = Default(value=_DEFAULTS[name], origin=origin)
                operations = self.variables.setdefault(name, [default])
                operations.append(Prepend(entries=entries, origin=origin))


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
    config: Config, tools: NodeTools, recipes: Sequence[Recipe]
) -> dict[str, tuple[Operation, ...]]:
    """What the packages bring, then what devenv.toml declares.

    Each prepend goes before the ones already there, so the last is found first: the project's own entries,
    then Python's, then those of node_modules, then the toolchains.
    """
    variables: dict[str, list[Operation]] = {}
    path = variables.setdefault("PATH", [])
    data = _Data()
    for tool in tools.packages:
        data.add(tool.origin, f"{tool.path}/share", tools.man_directories)
        # npm would install global packages beside its own files, which are in the store.
        variables["npm_config_prefix"] = [Set(value=f"${{project}}/{NPM_PREFIX}", origin=tool.origin)]
        path.append(Prepend(entries=(f"{tool.path}/bin", f"./{NPM_PREFIX}/bin"), origin=tool.origin))
    for recipe in sorted(recipes, key=lambda recipe: recipe.kind):
        if recipe.kind == "python":
            path.append(Prepend(entries=(f"./{PYTHON_VIEW}/bin",), origin=_OF_PYTHON))
            data.add(_OF_PYTHON, f"./{PYTHON_VIEW}/share", (f"./{PYTHON_VIEW}/share/man",))
            variables["VIRTUAL_ENV"] = [Set(value=f"${{project}}/{PYTHON_VIEW}", origin=_OF_PYTHON)]
            # A PYTHONHOME from outside would make the interpreter ignore the view.
            variables["PYTHONHOME"] = [Unset(origin=_OF_PYTHON)]
        elif recipe.kind == "r":
            variables |= _r_variables(recipe)
        elif recipe.kind == "cargo":
            path.append(Prepend(entries=(f"./{CARGO_VIEW}/bin",), origin=_OF_CARGO))
        else:
            place = os.path.normpath(os.path.join(recipe.root, "node_modules/.bin"))
            pages = os.path.normpath(os.path.join(recipe.root, "node_modules", PAGES))
            data.add(f"{pages}{_OF_NODE}", None, (f"./{pages}",))
            path.append(Prepend(entries=(f"./{place}",), origin=f"{place}{_OF_NODE}"))
    variables |= data.variables
    for name, operations in config.env.items():
        whole = name != "PATH" and any(isinstance(each, Set | Unset) for each in operations)
        known = variables.get(name, []) if name in _EXTENDED and not whole else []
        variables[name] = [*settle((*known, *operations))]
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
