"""devenv why"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from devenv.cli.commands.store_queries import chosen_layout, print_json, print_lines
from devenv.cli.context import Context

if TYPE_CHECKING:
    from devenv.store.why import Step

_FILES_SHOWN = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="[A] B: packages of the project, or store paths"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.cli.warm import find_project
    from devenv.errors import DevenvError
    from devenv.explanation import why

    if len(arguments.names) > 2:
        raise DevenvError(f"two names are enough, found {len(arguments.names)}", hint="devenv why [A] B")
    *start, end = arguments.names
    project = find_project(arguments.project or ".")
    first, last, chains = why(chosen_layout(context), project, start[0] if start else None, end)
    if arguments.json:
        print_json([[{"path": step.path, "files": list(step.files)} for step in chain] for chain in chains])
    else:
        print_lines(line for chain in chains for line in _lines(chain))
    if not chains:
        sys.stderr.write(f"devenv: {first} does not need {last}\n")
        return 1
    return 0


def _lines(chain: tuple[Step, ...]) -> Iterator[str]:
    for depth, step in enumerate(chain):
        indent = "    " * depth
        yield f"{indent}{step.path}"
        if depth < len(chain) - 1:
            yield f"{indent}└── {_files(step.files)}"


def _files(files: tuple[str, ...]) -> str:
    shown = [repr(name)[1:-1] if not name.isprintable() else name or "the file itself" for name in files]
    if not shown:
        return "(registered as a reference; no file names it)"
    more = len(shown) - _FILES_SHOWN
    return ", ".join(shown[:_FILES_SHOWN]) + (f" and {more} more" if more > 0 else "")
