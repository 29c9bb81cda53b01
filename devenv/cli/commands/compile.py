"""devenv compile"""

from __future__ import annotations

import argparse
import sys

from devenv.cli.context import Context
from devenv.preparation import prepare, realise_bytecode
from devenv.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--background", action="store_true", help="say nothing; `enter` uses this")


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.background:
        arguments.quiet = True
    realise_bytecode(context.project)
    # Read anew: the project may have changed in the meantime.
    prepare(Project(context.project.root, context.settings))
    context.close()
    if not arguments.quiet:
        sys.stderr.write("devenv: all byte code is there\n")
    return 0
