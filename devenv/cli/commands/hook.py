"""devenv hook"""

from __future__ import annotations

import argparse
import os
import sys

from devenv.cli.context import Context
from devenv.errors import DevenvError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", nargs="?", metavar="SHELL", help="whose code to print")
    parser.add_argument(
        "--cd",
        action="store_true",
        help="bash only: cd, pushd and popd react as well, not only the next prompt",
    )
    # What the hook itself starts in the background.
    parser.add_argument("--refresh", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.refresh:
        return _refresh(arguments, context)
    from devenv.plugins import load_shells
    from devenv.shell import HookSettings
    from devenv.state_home import hook_directory

    shells = {name: shell for name, shell in load_shells().items() if hasattr(shell, "hook")}
    name = os.path.basename(arguments.shell or "")
    if name not in shells:
        raise DevenvError(
            f"printing the hook: there is none for {name!r}"
            if name
            else "printing the hook: of which shell?",
            hint=f"there are hooks for {', '.join(shells)}",
        )
    settings = HookSettings(program=own_command(), tree=hook_directory(context.environ), wrap_cd=arguments.cd)
    sys.stdout.write(shells[name].hook(settings))
    return 0


def own_command() -> tuple[str, ...]:
    """How to start this devenv again, whatever PATH and the current directory are then."""
    program = os.path.abspath(sys.argv[0])
    if os.path.basename(program) == "devenv" and os.access(program, os.X_OK):
        return (program,)
    return (sys.executable, "-P", "-m", "devenv")


def _refresh(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.cli.background import start_compiling
    from devenv.hooking import refresh
    from devenv.project import Project

    root = os.path.realpath(arguments.project or ".")
    # Whatever is started from here must find nothing in the directory that a repository has filled.
    os.chdir("/")
    if os.getpgrp() != os.getpid():
        os.setsid()  # closing the terminal must not stop a download half-way
    done = refresh(root, context.settings)
    if (
        done is not None
        and done.uncompiled
        and context.environ.get("DEVENV_COMPILE", "background") != "never"
    ):
        start_compiling(Project(root, context.settings), context)
    return 0
