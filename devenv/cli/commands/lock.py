"""devenv lock"""

from __future__ import annotations

import argparse
import sys

from devenv.cli.context import Context
from devenv.locking import Locked, lock_project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--update", action="store_true", help="choose the newest versions again, even where nothing changed"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    done = lock_project(context.project, update=arguments.update)
    context.close()
    if not arguments.quiet:
        report(done)
    return 0


def report(done: Locked) -> None:
    """Say what was locked, on stderr."""
    for notice in done.notices:
        sys.stderr.write(f"devenv: {notice}\n")
    for change in done.changes:
        sys.stderr.write(f"  {change}\n")
    sys.stderr.write("devenv: wrote devenv.lock\n" if done.written else "devenv: devenv.lock is up to date\n")
