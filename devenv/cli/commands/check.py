"""devenv check"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from devenv.building import check_recipes
from devenv.cli.context import Context
from devenv.instantiation import instantiate_project

if TYPE_CHECKING:
    from devenv.rc_files import Override


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rc", action="store_true", help="which of your shell's own files override the environment"
    )
    parser.add_argument("--shell", metavar="NAME", help="with --rc: which shell (default: your own)")
    parser.add_argument("--json", action="store_true", help="with --rc: for programs")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE", help="with this value of a parameter")
    parser.add_argument("--profile", action="append", metavar="NAME", help="with this profile")


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.rc:
        return _check_rc(arguments, context)
    check_recipes(context.project)
    made, notices = instantiate_project(context.project)
    for notice in notices:
        sys.stderr.write(f"devenv: {notice}\n")
    packages = sum(len(recipe.trees) for recipe in made.recipes)
    sys.stdout.write(f"devenv.toml, devenv.lock and the lockfiles fit: {packages} packages\n")
    return 0


def _check_rc(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.cli.commands.allow import ask_before_entering
    from devenv.env.enter import choose_shell
    from devenv.preparation import prepare
    from devenv.rc_files import find_overrides

    project = context.project
    ask_before_entering(context, project)
    place = prepare(project).spec
    context.close()
    made, _ = instantiate_project(project)
    shell, program = choose_shell(arguments.shell, place, context.environ)
    found = find_overrides(
        shell=shell,
        program=program,
        spec=made.spec,
        place=place,
        project=project.root,
        environ=context.environ,
    )
    if arguments.json:
        sys.stdout.write(json.dumps([_document(each, shell) for each in found], indent=2) + "\n")
    elif found:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(found, context.environ.get("HOME", ""))))
    else:
        sys.stdout.write(f"the files of your {shell} leave the environment as it is\n")
    return 1 if found else 0


def _document(override: Override, shell: str) -> dict[str, object]:
    departure = override.departure
    return {
        "shell": shell,
        "login": override.login,
        "variable": departure.variable,
        "origin": departure.origin,
        "expected": departure.expected,
        "found": departure.found,
        "file": override.file,
        "line": override.line,
    }


def _lines(found: Sequence[Override], home: str) -> Iterator[str]:
    for each in found:
        departure = each.departure
        place = _shortened(each.file, home) if each.file else "your shell's files"
        place += f":{each.line}" if each.line is not None else ""
        when = " in login shells" if each.login else ""
        yield f"{place}: {departure.variable} {departure.found}{when}"
        yield f"    {departure.origin} says {departure.expected}"


def _shortened(path: str, home: str) -> str:
    return f"~/{os.path.relpath(path, home)}" if home and path.startswith(f"{home}/") else path
