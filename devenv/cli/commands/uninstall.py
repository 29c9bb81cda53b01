"""devenv uninstall"""

from __future__ import annotations

import argparse

from devenv.cli.context import Context
from devenv.errors import DevenvError, raise_problems
from devenv.installing.programs import Places, uninstall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="as it was installed")


def run(arguments: argparse.Namespace, context: Context) -> int:
    places = Places.of(context.workplace().layout, context.environ)
    problems: list[DevenvError] = []
    for name in arguments.names:
        try:
            uninstall(places, name)
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return 0
