"""devenv convert"""

from __future__ import annotations

import argparse
import json
import sys

from devenv.cli.context import Context
from devenv.conversion import Conversion, convert_lockfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lockfile", metavar="LOCKFILE")
    parser.add_argument("--json", action="store_true", help="derivations and view, for programs")
    parser.add_argument("--python", metavar="VERSION", default=None, help="choose wheels for this Python")
    parser.add_argument(
        "--omit", action="append", default=[], metavar="TYPE", help="npm: dev, optional or peer"
    )
    parser.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="Python: an extra to include"
    )
    parser.add_argument(
        "--group", action="append", default=None, metavar="NAME", help="Python: a dependency group"
    )
    parser.add_argument("--write", action="store_true", help="write the .drv files into the store")


def run(arguments: argparse.Namespace, context: Context) -> int:
    done = convert_lockfile(
        context.workplace(),
        arguments.lockfile,
        python=arguments.python,
        omit=arguments.omit,
        extras=arguments.extra,
        groups=arguments.group,
        write=arguments.write,
    )
    context.close()
    for notice in done.notices:
        sys.stderr.write(f"devenv: {notice}\n")
    if arguments.json:
        json.dump(done.to_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(done)))
    return 0


def _lines(done: Conversion) -> list[str]:
    lines = [f"{entry.name} {entry.version}  {entry.node.path}" for entry in done.packages]
    lines.append(
        f"{len(done.packages)} packages, {len(done.graph.nodes)} derivations, view {done.recipe.path}"
    )
    return lines
