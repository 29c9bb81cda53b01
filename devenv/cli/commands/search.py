"""devenv search"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence

from devenv.cli.commands.bases import add_base_options, match_json, place_and_base
from devenv.cli.commands.store_queries import print_json, print_lines
from devenv.cli.context import Context
from devenv.debian.browse import Match
from devenv.packages import search_packages

_MOST = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words", nargs="+", metavar="WORD", help="each must be in the name or the description"
    )
    parser.add_argument("--all", action="store_true", help=f"more than the {_MOST} likeliest")
    add_base_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    place, where = place_and_base(arguments, context)
    found = search_packages(place, where, arguments.words)
    context.close()
    shown = found if arguments.all or arguments.json else found[:_MOST]
    if arguments.json:
        print_json([match_json(match) for match in shown])
        return 0
    print_lines(_lines(shown))
    if len(found) > len(shown):
        sys.stderr.write(f"devenv: and {len(found) - len(shown)} more in {where.base}; --all shows them\n")
    return 0


def _lines(found: Sequence[Match]) -> Iterator[str]:
    width = max(len(match.details.package.name) for match in found)
    versions = max(len(match.details.package.version) for match in found)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1 << 20
    for match in found:
        package = match.details.package
        line = f"{package.name:<{width}}  {package.version:<{versions}}  {match.details.description}"
        yield line if len(line) <= columns else line[: columns - 1] + "…"
