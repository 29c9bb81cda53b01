"""devenv store"""

from __future__ import annotations

import argparse
import shlex
import sys

from devenv.cli.context import Context


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=("env", "path"), help="env: shell lines for nix commands; path: where the store is"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    layout = context.workplace().layout
    if arguments.what == "path":
        sys.stdout.write(f"{layout.store}\n")
        return 0
    from devenv.store.nix_environment import prepare, variables

    prepare(layout)
    for name, value in variables(layout).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    return 0
