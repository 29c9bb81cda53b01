"""What the packages of git repositories need to be built: npm runs their `prepare` among their devDependencies.

Which those are the repository's own lockfile says. It is read from the repository's tree in the store, so it is as fixed as
that is; without one nothing would be, and the package stays as it is in its repository.
"""

from __future__ import annotations

import os

from devenv.adapter import NodeModules, Options, ScriptRules, Target
from devenv.config.lockfile_names import found_by_themselves
from devenv.errors import DevenvError
from devenv.formats.errors import FormatError
from devenv.formats.npm_manifest import MAX_SIZE, Manifest, parse_manifest
from devenv.lockfiles import read
from devenv.plugins import load_adapters


def preparation_of(tree: str, target: Target, rules: ScriptRules) -> NodeModules | str | None:
    """The packages that are installed for the scripts of the package in `tree`, which is there.

    Text says why the scripts cannot be run; None that there are none.
    """
    manifest = _manifest(tree)
    if manifest is None or manifest.preparation is None:
        return None
    name = next(
        (each for each in found_by_themselves("npm") if os.path.isfile(os.path.join(tree, each))), None
    )
    if name is None:
        if manifest.dependencies or manifest.dev_dependencies:
            return "its repository has no lockfile that says what to build it with"
        return NodeModules(packages={})
    try:
        lockfile = read(tree, name, Options(scripts=rules), load_adapters())
        plan = lockfile.plan(target, {})
    except DevenvError as error:
        return f"its {name} cannot be used: {error}"
    if plan.queries:
        unknown = ", ".join(sorted(query.key for query in plan.queries)[:3])
        return f"its {name} does not say all of {unknown}"
    assert isinstance(plan.view, NodeModules)
    return plan.view


def _manifest(tree: str) -> Manifest | None:
    try:
        with open(os.path.join(tree, "package.json"), "rb") as file:
            return parse_manifest(file.read(MAX_SIZE + 1), "package")
    except (OSError, FormatError):
        return None  # npm would install it as it is, too
