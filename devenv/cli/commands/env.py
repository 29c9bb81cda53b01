"""devenv env"""

from __future__ import annotations

import argparse
import json
import sys

from devenv.cli.context import Context
from devenv.cli.printable import printable_lines
from devenv.env.describe import operation_text
from devenv.env.spec import Spec
from devenv.instantiation import instantiate_project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the environment as env.json has it")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="with this value of a parameter")
    parser.add_argument("--profile", action="append", metavar="NAME", help="with this profile")


def run(arguments: argparse.Namespace, context: Context) -> int:
    made, _ = instantiate_project(context.project)
    if arguments.json:
        sys.stdout.write(json.dumps(json.loads(made.spec.to_json()), indent=2) + "\n")
    else:
        sys.stdout.write(printable_lines(describe(made.spec)))
    return 0


def describe(spec: Spec) -> list[str]:
    """The spec for people: one line a part, its origin behind it."""
    lines = [f"environment {spec.name}"]
    lines += [f"  parameter {name} = {value!r}" for name, value in sorted(spec.parameters.items())]
    for name, operations in sorted(spec.variables.items()):
        # The last prepend is found first, so it is shown first.
        for operation in reversed(operations):
            lines.append(f"  {name} {operation_text(operation)}  # {operation.origin}")
    lines += [f"  alias {name} = {' '.join(argv)}" for name, argv in sorted(spec.aliases.items())]
    lines += [f"  function {name} for {', '.join(bodies)}" for name, bodies in sorted(spec.functions.items())]
    lines += [
        f"  completions of {name}: {' '.join(words)}" for name, words in sorted(spec.completions.items())
    ]
    lines += [f"  script {name}" for name in sorted(spec.scripts)]
    lines += [f"  {package.name} {package.version}  {package.path}" for package in spec.packages]
    lines += [f"  {view.kind} in {view.root}  {view.recipe}" for view in spec.views]
    return lines
