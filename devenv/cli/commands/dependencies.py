"""What `devenv add`, `remove` and `update` have in common."""

from __future__ import annotations

import argparse

from devenv.cli.commands.lock import report
from devenv.cli.context import Context
from devenv.dependencies.drivers import Action


def add_options(parser: argparse.ArgumentParser, count: str, *, group: bool) -> None:
    parser.add_argument(
        "packages",
        nargs=count,
        metavar="KIND:NAME",
        help="pip:httpx, npm:left-pad@1, crate:serde, r:sf, system:jq",
    )
    parser.add_argument(
        "--lockfile", metavar="PATH", help="which lockfile, where the project has several of that kind"
    )
    if group:
        parser.add_argument("--group", metavar="NAME", help='a group of dependencies, such as "dev"')


def change_project(action: Action, arguments: argparse.Namespace, context: Context) -> int:
    """Change the manifest and its lockfile, then devenv.lock, and say what came of it."""
    from devenv.dependencies.changing import Wanted, change
    from devenv.dependencies.request import parse_requests

    wanted = Wanted(
        action=action,
        requests=parse_requests(arguments.packages),
        group=getattr(arguments, "group", None),
        lockfile=arguments.lockfile,
    )
    done = change(context.project, wanted)
    context.close()
    if not arguments.quiet:
        report(done)
    return 0
