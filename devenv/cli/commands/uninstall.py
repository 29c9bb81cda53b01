"""devenv uninstall"""

from __future__ import annotations

import argparse

from devenv.cli.context import Context
from devenv.installing.programs import Places, uninstall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="as it was installed")


def run(arguments: argparse.Namespace, context: Context) -> int:
    places = Places.of(context.workplace().layout, context.environ)
    for name in arguments.names:
        uninstall(places, name)
    return 0
