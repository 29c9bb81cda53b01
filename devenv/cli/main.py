"""The program's entry: the warm path of `enter` first, everything else after its imports."""

from __future__ import annotations

import os
import sys


def run() -> None:
    """Run the command line of this process and exit with its status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["enter"]:
        from devenv.cli import warm

        # Replaces this process when nothing changed since the last time; returns otherwise.
        warm.enter(arguments[1:], os.environ)
    from devenv.cli.dispatch import main

    sys.exit(main(arguments))
