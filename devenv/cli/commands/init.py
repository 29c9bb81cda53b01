"""devenv init"""

from __future__ import annotations

import argparse
import os
import sys

from devenv.cli.context import Context
from devenv.errors import DevenvError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", default=None, metavar="DIR", help="default: the current directory"
    )
    parser.add_argument("--print", action="store_true", help="print the file instead of writing it")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.beginning import describe_directory

    directory = os.path.realpath(arguments.directory or arguments.project or ".")
    found = describe_directory(directory, context.environ)
    for note in found.notes:
        sys.stderr.write(f"devenv: {note}\n")
    if arguments.print:
        sys.stdout.write(found.text)
        return 0
    path = os.path.join(directory, "devenv.toml")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(found.text)
    except FileExistsError:
        raise DevenvError(
            f"{path} exists already", hint="`devenv init --print` shows what init would write"
        ) from None
    except OSError as error:
        raise DevenvError(f"writing {path}: {error.strerror}") from error
    sys.stderr.write(f"devenv: wrote {path}\nNext: devenv lock && devenv enter\n")
    return 0
