"""devenv locate"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from devenv.cli.commands.bases import add_base_options, place_and_base
from devenv.cli.commands.store_queries import print_json, print_lines
from devenv.cli.context import Context
from devenv.debian.contents import Found
from devenv.packages import Located, locate_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="a file's name, the end of its path, its path, or a pattern"
    )
    add_base_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    place, where = place_and_base(arguments, context)
    located = locate_file(place, where, arguments.name)
    context.close()
    if arguments.json:
        files = ("found", "elsewhere", "variants")
        print_json(
            {
                **{name: [each._asdict() for each in getattr(located, name)] for name in files},
                "similar": list(located.similar),
            }
        )
    else:
        print_lines(_lines(located.found))
        _tell_more(located, arguments.name, where.base)
    return 0 if located.found or located.elsewhere or located.variants else 1


def _lines(found: Sequence[Found]) -> Iterator[str]:
    width = max((len(each.package) for each in found), default=0)
    for each in found:
        yield f"{each.package:<{width}}  {each.path}"


def _tell_more(located: Located, name: str, base: str) -> None:
    """What is not quite what was asked for: explained on stderr, listed on stdout."""
    if located.elsewhere:
        sys.stderr.write(f"devenv: {base} has no {name}; of that name it has:\n")
        sys.stderr.flush()
        print_lines(_lines(located.elsewhere))
    if located.variants:
        sys.stderr.write(f"devenv: programs that may be offered as {name.rpartition('/')[2]}:\n")
        sys.stderr.flush()
        print_lines(_lines(located.variants))
    if not (located.found or located.elsewhere or located.variants):
        sys.stderr.write(
            f"devenv: no package of {base} has {name} among its programs, libraries and headers\n"
        )
        if located.similar:
            sys.stderr.write(f"  hint: did you mean {' or '.join(located.similar)}?\n")
