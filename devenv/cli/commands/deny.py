"""devenv deny"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress

from devenv.cli.context import Context
from devenv.cli.printable import printable
from devenv.errors import DevenvError
from devenv.hooking import refresh
from devenv.stamp import stamp_path
from devenv.trust import Trust
from devenv.trusting import project_request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="the project (default: the nearest upwards)"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    arguments.project = arguments.directory or arguments.project
    project = context.project
    try:
        request = project_request(project)
    except DevenvError:
        request = None  # what cannot be read can be denied all the same
    Trust(context.environ).deny(project.root, request)
    with suppress(OSError):
        os.unlink(stamp_path(project.root, context.environ))  # entering must look again
    refresh(project.root, context.settings)
    sys.stderr.write(f"devenv: {printable(project.root)} is denied; `devenv allow` undoes it\n")
    return 0
