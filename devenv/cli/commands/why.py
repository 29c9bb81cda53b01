"""devenv why"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from devenv.cli.commands.store_queries import chosen_layout, print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.printable import printable_lines

if TYPE_CHECKING:
    from devenv.provenance import Answer
    from devenv.store.why import Step

_FILES_SHOWN = 4


KINDS = ("variable", "entry", "package", "command")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="a word, or A B: packages of the project, or store paths"
    )
    parser.add_argument(
        "--as", dest="kind", choices=KINDS, help="what the word is meant to be, where it is several things"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.cli.warm import find_project
    from devenv.errors import DevenvError

    if len(arguments.names) > 2:
        raise DevenvError(f"two names are enough, found {len(arguments.names)}", hint="devenv why [A] B")
    project = find_project(arguments.project or ".")
    if len(arguments.names) == 1 and arguments.kind != "package" and (project or arguments.kind):
        chosen = _choose(arguments, context, project)
        if chosen is not None:
            return _print_answer(arguments, chosen)
    return _why_package(arguments, context, project)


def _choose(arguments: argparse.Namespace, context: Context, project: str | None) -> Answer | None:
    """What the word is: what --as says, or the first of KINDS that it can be. None for a package."""
    from devenv.errors import DevenvError
    from devenv.explanation import environment_packages, read_environment
    from devenv.provenance import Surroundings

    word = arguments.names[0]
    if arguments.kind is None and project is not None and read_environment(project) is None:
        return None
    surroundings = Surroundings(project, context.environ)
    found: dict[str, Answer | None] = {
        "variable": surroundings.variable(word),
        "entry": surroundings.entry(word),
        "package": None,
        "command": surroundings.command(word),
    }
    package = any(word in each.names for each in environment_packages(project))
    kinds = [kind for kind in KINDS if found[kind] or (kind == "package" and package)]
    if arguments.kind is not None:
        if arguments.kind not in kinds:
            raise DevenvError(f"{word} is no {arguments.kind} of the environment, nor of this shell")
        return found[arguments.kind]
    for kind in kinds[1:]:
        sys.stderr.write(f"devenv: {word} is a {kind}, too: devenv why --as {kind} {word}\n")
    return found[kinds[0]] if kinds else None


def _print_answer(arguments: argparse.Namespace, answer: Answer) -> int:
    """Exits with 1 for what the environment has no part in."""
    from devenv.provenance import YOURS

    if arguments.json:
        print_json(
            {
                "kind": answer.kind,
                "name": answer.name,
                "reasons": [{"what": each.what, "origin": each.origin} for each in answer.reasons],
                "notes": list(answer.notes),
            }
        )
    else:
        lines = [
            f"{answer.kind} {answer.name}",
            *(f"  {each.what}  # {each.origin}" for each in answer.reasons),
            *(f"  {note}" for note in answer.notes),
        ]
        sys.stdout.write(printable_lines(lines))
    return 1 if all(each.origin == YOURS for each in answer.reasons) else 0


def _why_package(arguments: argparse.Namespace, context: Context, project: str | None) -> int:
    from devenv.explanation import why

    *start, end = arguments.names
    first, last, chains = why(chosen_layout(context), project, start[0] if start else None, end)
    if arguments.json:
        print_json([[{"path": step.path, "files": list(step.files)} for step in chain] for chain in chains])
    else:
        print_lines(line for chain in chains for line in _lines(chain))
        _say_overrides(context, project, end)
    if not chains:
        sys.stderr.write(f"devenv: {first} does not need {last}\n")
        return 1
    return 0


def _say_overrides(context: Context, project: str | None, name: str) -> None:
    """That a package is made differently, if it is."""
    if project is None:
        return
    from devenv.overrides.listing import about
    from devenv.project import Project

    lock = Project(project, context.settings).lock
    for sentence in about(name, lock.overrides if lock is not None else {}):
        sys.stderr.write(f"devenv: {sentence}\n")


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
