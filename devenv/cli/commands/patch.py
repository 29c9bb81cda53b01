"""devenv patch"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from devenv.autopatching import patch
from devenv.cli.commands.store_queries import print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.foreign import surroundings
from devenv.cli.warm import find_project
from devenv.foreign.surveying import Survey, survey
from devenv.formats.store_path import StorePath
from devenv.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program, library, archive or directory")
    parser.add_argument("--base", metavar="BASE", help="where libraries come from, such as debian/trixie")
    parser.add_argument(
        "--package", metavar="PKG", action="append", default=[], help="in the set; may be repeated"
    )
    parser.add_argument("--add", action="store_true", help="add the packages that the set lacks")
    parser.add_argument("--root", metavar="LINK", help="make LINK a link to the copy, which keeps it")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    place = context.workplace()
    around = surroundings(context, arguments.base)
    project = _project(context, around.base)
    system = project.config.system if project is not None else ()
    found = survey(arguments.file, around, arguments.package, system)
    agreed = not found.added or arguments.add or context.confirm(f"Add {' '.join(found.added)}?")
    path = None
    if agreed and not found.unresolved:
        path = patch(
            place, found, around, project.lock.base if project is not None and project.lock else None
        )
    if path is not None and arguments.root:
        from devenv.store.roots import add_indirect_root

        add_indirect_root(place.layout, os.path.abspath(arguments.root), path)
    context.close()
    if arguments.json:
        print_json(as_json(found, path))
    else:
        print_lines(_lines(found, path))
    return 0 if path is not None else 1


def _project(context: Context, base: str) -> Project | None:
    """The project whose system packages are of that base."""
    directory = find_project(context.arguments.project or ".")
    project = Project(directory, context.settings) if directory is not None else None
    return project if project is not None and project.config.base == base else None


def as_json(found: Survey, path: StorePath | None) -> dict[str, object]:
    from dataclasses import asdict

    unresolved = [each.soname for each in found.unresolved]
    return {**asdict(found), "unresolved": unresolved, "path": path}


def _lines(found: Survey, path: StorePath | None) -> Iterator[str]:
    for name, reason in sorted(found.left.items()):
        yield f"left as it is  {name}: {reason}"
    for each in found.asked:
        if each.unresolved:
            kind = "unresolved" if each in found.unresolved else "not found, optional"
            yield f"{kind}  {each.soname} ({each.architecture}), for {', '.join(each.by[:3])}: no package of {found.base} has it"
    for script in found.scripts:
        if script.place is None:
            who = (
                f"the package {script.package} has it"
                if script.package
                else f"no package of {found.base} has it"
            )
            yield f"script  {script.path}: its interpreter {script.interpreter} is not here; {who}"
    for note in found.notes:
        yield f"note  {note}"
    if path is not None:
        yield path
    elif found.added:
        yield f"needed of {found.base}: {' '.join(found.added)}"
        yield "not patched; --add adds them"
