"""devenv enter --build"""

from __future__ import annotations

import argparse
import os
import sys

from devenv.cli.commands.build import is_derivation
from devenv.cli.commands.store_queries import named_paths
from devenv.cli.context import Context
from devenv.errors import DevenvError


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Enter a build: of a recipe by its name, of a derivation by its file's."""
    from devenv.build_shell import ShellRequest, enter_derivation, enter_recipe
    from devenv.derivations.process import BuildOptions

    if arguments.line is not None and arguments.program:
        raise DevenvError("both -c LINE and -- PROG are given", hint="give one of them")
    if arguments.directory is not None:
        raise DevenvError(
            f"both --build and the directory {arguments.directory} are given",
            hint="--project says where the recipe is",
        )
    request = ShellRequest(shell=arguments.shell, line=arguments.line, program=tuple(arguments.program or ()))
    shown = None if arguments.sandbox_path is None else tuple(arguments.sandbox_path)
    options = BuildOptions(environ=dict(context.environ), sandbox_paths=shown)
    if not is_derivation(arguments.build):
        return enter_recipe(context.project, arguments.build, request, options)
    place = context.workplace()
    (drv,) = named_paths(place.layout, [os.fspath(arguments.build)])
    if not drv.endswith(".drv"):
        raise DevenvError(f"{drv} is no derivation, whose name would end in .drv")
    sys.stdout.flush()
    return enter_derivation(place, drv, request, options)
