"""devenv fhs"""

from __future__ import annotations

import argparse
import sys

from devenv.cli.context import Context
from devenv.cli.warm import find_project
from devenv.errors import DevenvError
from devenv.roots import Wanted, machine_architecture, make, remembered, state_directory, with_shell

_FRESH = 7 * 86400.0  # seconds for which what was seen of a base counts as present


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "packages", nargs="*", metavar="PKG", help="a package, also NAME:i386 or NAME=VERSION"
    )
    parser.add_argument("--base", metavar="BASE", help="debian/bookworm, debian/trixie, ...")
    parser.add_argument(
        "--update", action="store_true", help="take the newest versions, not those of the last time"
    )
    parser.add_argument(
        "--print-root", action="store_true", help="make it and print where it is; enter nothing"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    start = find_project(arguments.project or ".")
    place = context.workplace()
    packages = tuple(arguments.packages)
    if not arguments.program:
        packages = with_shell(packages, dict(context.environ))
    base = arguments.base or _default_base(start, context)
    wanted = Wanted(base=base, packages=packages, architecture=machine_architecture())
    root = None if arguments.update else remembered(place.layout, wanted)
    if root is None:
        root = make(place, wanted, max_age=0.0 if arguments.update else _FRESH)
    context.close()
    if arguments.print_root:
        print(root)
        return 0
    state = state_directory(place.layout, start, wanted.base)
    return _enter(root, state, arguments, context)


def _default_base(start: str | None, context: Context) -> str:
    """The project's base, or that of this machine."""
    from devenv.debian.browse import default_base
    from devenv.project import Project

    return default_base(Project(start, context.settings).config.base if start is not None else None)


def _enter(root: str, state: str, arguments: argparse.Namespace, context: Context) -> int:
    from devenv.fhs.session import become, shell_inside

    environ = dict(context.environ) | {"DEVENV_STATE": state}
    argv = list(arguments.program or ())
    if not argv:
        program, missing = shell_inside(root, environ)
        if missing is not None and not arguments.quiet:
            sys.stderr.write(f"devenv: {missing} is not in this root, so this is bash\n")
        argv = [program]
        environ["SHELL"] = program
    sys.stdout.flush()
    sys.stderr.flush()
    become(root, state, argv, environ)
    raise DevenvError("a program that was started came back")
