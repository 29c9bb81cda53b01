"""devenv rollback"""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from devenv.cli.commands.allow import ask_before_entering
from devenv.cli.context import Context
from devenv.cli.printable import printable
from devenv.errors import DevenvError
from devenv.extending import OUTSIDE
from devenv.history import find_generation, profile_of, roll_back
from devenv.hooking import refresh
from devenv.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "number", nargs="?", type=int, metavar="N", help="a generation (default: the one before)"
    )
    parser.add_argument("--files", action="store_true", help="put back the files that it was made from, too")


def run(arguments: argparse.Namespace, context: Context) -> int:
    project = context.project
    if arguments.files:
        generation = find_generation(profile_of(project), arguments.number)
        changed = _put_back(project.root, generation.sources)
        project = Project(project.root, context.settings)
        for name in changed:
            sys.stderr.write(f"devenv: {name} is as it was\n")
        arguments.number = generation.number
    ask_before_entering(context, project)
    generation, _ = roll_back(project, arguments.number)
    refresh(project.root, context.settings)
    context.close()
    if not arguments.quiet:
        until = "" if arguments.files else ", until its files change"
        sys.stderr.write(
            f"devenv: {printable(project.root)} has environment {generation.number} again{until}\n"
        )
    return 0


def _put_back(root: str, sources: str | None) -> list[str]:
    """Copy the files of an environment into the project; names of those that were different."""
    if sources is None:
        raise DevenvError("the files of this environment were not kept")
    changed = []
    for folder, _, names in os.walk(sources):
        for name in sorted(set(names) - {OUTSIDE}):
            source = os.path.join(folder, name)
            place = os.path.join(root, os.path.relpath(source, sources))
            if _same(source, place):
                continue
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                aside = f"{place}.{os.getpid()}.tmp"
                shutil.copyfile(source, aside)
                os.rename(aside, place)
            except OSError as error:
                raise DevenvError(f"putting back {place}: {error.strerror}") from error
            changed.append(os.path.relpath(place, root))
    return sorted(changed)


def _same(one: str, other: str) -> bool:
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False
