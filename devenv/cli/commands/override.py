"""devenv override"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys

from devenv.cli.context import Context
from devenv.errors import DevenvError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "package",
        nargs="?",
        metavar="PKG",
        help="esbuild, npm:esbuild, or npm:esbuild@0.21.5 for one version only",
    )
    parser.add_argument("--full", action="store_true", help="begin with all that is known of the package")
    parser.add_argument("--print", action="store_true", help="only print the file's path, open no editor")
    parser.add_argument("--list", action="store_true", help="what is overridden, and whether it is locked")
    parser.add_argument("--json", action="store_true", help="for programs, with --list")


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.list or arguments.package is None:
        return _list(arguments, context)
    name = _file(arguments, context)
    path = os.path.join(context.project.root, name)
    editor = context.environ.get("VISUAL") or context.environ.get("EDITOR")
    if arguments.print or not editor or not context.interactive:
        sys.stdout.write(f"{path}\n")
        return 0
    context.close()
    status = _edit(editor, path)
    if status:
        raise DevenvError(f"{editor} ended with status {status}; {name} is as it left it")
    return _look_again(arguments, context, name)


def _file(arguments: argparse.Namespace, context: Context) -> str:
    """The override's file, relative to the project; one that is there is opened even where something is wrong in it."""
    from devenv.overriding import existing_file, find, write

    project = context.project
    try:
        meant = find(project, arguments.package)
        write(project, meant, full=arguments.full)
        return meant.path
    except DevenvError:
        name = None if arguments.full else existing_file(project.root, arguments.package)
        if name is None:
            raise
        return name


def _edit(editor: str, path: str) -> int:
    """Run an editor, which may have arguments. Raises DevenvError."""
    import shlex

    try:
        return subprocess.run([*shlex.split(editor), path], check=False).returncode
    except (OSError, ValueError) as error:
        raise DevenvError(
            f"cannot start the editor {editor!r}: {error}", hint="$VISUAL and $EDITOR name it"
        ) from error


def _look_again(arguments: argparse.Namespace, context: Context, name: str) -> int:
    """Say what is wrong with the file now, and what makes it count."""
    from devenv.project import Project

    Project(context.project.root, context.settings).config  # noqa: B018  # raises what is wrong in the file
    if not arguments.quiet:
        sys.stderr.write(f"devenv: {name}: `devenv lock` makes it count\n")
    return 0


def _list(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.overriding import listed

    found = listed(context.project)
    if arguments.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(row) for row in found], indent=2) + "\n")
        return 0
    for row in found:
        sys.stdout.write(f"{row.sentence}\n")
    return 0
