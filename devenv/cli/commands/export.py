"""devenv export"""

from __future__ import annotations

import argparse
import json
import os
import sys

from devenv.cli.commands.allow import ask_before_entering
from devenv.cli.context import Context
from devenv.errors import DevenvError
from devenv.exporting import steps, text

_FILES = ("oci", "dockerfile")
# Formats that bring the root of system packages along, or enter it.
_WITH_ROOT = (*_FILES, "devcontainer")
_GITHUB = {"GITHUB_ENV": text.github_environment, "GITHUB_PATH": text.github_path}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    formats = ("json", *text.WRITERS, "direnv-lib", *_FILES)
    parser.add_argument("format", choices=formats, metavar="FORMAT", help=", ".join(formats))
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write there; needed for oci (a file) and dockerfile (a directory)",
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.format == "direnv-lib":  # of no project
        _write(text.direnv_library(), arguments.output)
        return 0
    project = context.project
    if arguments.format in _FILES and not arguments.output:
        raise DevenvError(f"devenv export {arguments.format} writes files", hint="Say where: -o PATH")
    ask_before_entering(context, project)
    exported = steps.read(_spec(context), project.root)
    if arguments.format not in _WITH_ROOT:
        _say_what_lacks(exported, context)
    if arguments.format in _FILES:
        from devenv.exporting import image

        if arguments.format == "oci":
            digest = image.write(project, exported, arguments.output)
            context.close()
            sys.stdout.write(f"{digest}\n")
        else:
            image.write_context(project, exported, arguments.output)
        return 0
    if arguments.format == "json":
        changed = dict(steps.changes(context.environ, exported.apply(context.environ)))
        _write(json.dumps(changed, indent=2) + "\n", arguments.output)
    elif arguments.format == "github" and not arguments.output and "GITHUB_ENV" in context.environ:
        _append_for_github(exported, context)
    else:
        _write(text.WRITERS[arguments.format](exported), arguments.output)
    return 0


def _say_what_lacks(exported: steps.Exported, context: Context) -> None:
    """System packages lie in a root, which variables alone cannot enter."""
    from devenv.fhs.entering import root_of

    if root_of(exported.spec) is not None and not context.arguments.quiet:
        sys.stderr.write(
            "devenv: the system packages are not in this: oci and dockerfile have them, and so has `devenv enter -c`\n"
        )


def _spec(context: Context) -> str:
    """The project's environment, current or made so."""
    from devenv.preparation import prepare
    from devenv.stamp import current_spec

    project = context.project
    current = current_spec(project.root, context.environ)
    if current is not None:
        return current
    project.current_lock()
    prepared = prepare(project)
    context.close()
    return prepared.spec


def _append_for_github(exported: steps.Exported, context: Context) -> None:
    """A step of GitHub Actions names the files; the steps behind it then have the environment."""
    for variable, made in _GITHUB.items():
        path = context.environ.get(variable)
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(made(exported))


def _write(contents: str, output: str | None) -> None:
    if output is None:
        sys.stdout.write(contents)
        return
    aside = f"{output}.{os.getpid()}.tmp"
    try:
        with open(aside, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(contents)
        os.rename(aside, output)
    except OSError as error:
        raise DevenvError(f"writing {output}: {error.strerror}") from error
