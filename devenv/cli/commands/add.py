"""devenv add"""

from __future__ import annotations

import argparse

from devenv.cli.commands.dependencies import add_options, change_project
from devenv.cli.context import Context


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "+", group=True)


def run(arguments: argparse.Namespace, context: Context) -> int:
    return change_project("add", arguments, context)
