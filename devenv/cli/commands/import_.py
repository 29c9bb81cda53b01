"""devenv import"""

from __future__ import annotations

import argparse
import os
import sys

from devenv.cli.context import Context
from devenv.errors import DevenvError
from devenv.importing import declared, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="what nix print-dev-env --json printed; - for standard input"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="devenv.toml", help="default: devenv.toml; - to print"
    )
    parser.add_argument(
        "--function",
        action="append",
        metavar="NAME",
        default=[],
        help="bring this function of bash along, or all by '*'; may be given more than once",
    )
    parser.add_argument("--name", help="of the environment (default: that of the directory)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    imported = read(_text(arguments.file), arguments.function)
    name = arguments.name or _name(os.getcwd())
    text = declared(imported, name)
    if arguments.output == "-":
        sys.stdout.write(text)
    else:
        try:
            with open(arguments.output, "x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise DevenvError(
                f"writing {arguments.output}: {error.strerror}",
                hint="Write elsewhere with -o FILE, or print with -o -.",
            ) from error
    for line in imported.left_out:
        sys.stderr.write(f"devenv: left out {line}\n")
    return 0


def _text(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DevenvError(f"reading {path}: {error}") from error


def _name(directory: str) -> str:
    kept = "".join(
        letter if letter.isascii() and letter.isalnum() else "-" for letter in os.path.basename(directory)
    )
    return kept.strip("-") or "project"
