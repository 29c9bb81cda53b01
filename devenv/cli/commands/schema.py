"""devenv schema"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files

from devenv.cli.context import Context

_FILES = {
    "devenv.toml": ("devenv.config", "devenv.schema.json"),
    "env.json": ("devenv.env", "env.schema.json"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", choices=sorted(_FILES), default="devenv.toml", help="default: devenv.toml"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    package, name = _FILES[arguments.file]
    sys.stdout.write(files(package).joinpath(name).read_text("utf-8"))
    return 0
