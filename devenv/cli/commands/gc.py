"""devenv gc"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from devenv.cli.commands.store_queries import chosen_layout, print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.progress import size_text
from devenv.errors import raise_problems

if TYPE_CHECKING:
    from devenv.foreign.leftovers import Swept
    from devenv.store.sweep import Collected

_UNUSED_FOR = 30 * 86400.0  # seconds
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def age(text: str) -> float:
    """ "30d" as seconds. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,9})([smhdwy])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write 12h, 30d, 8w or 1y")
    return float(int(match[1]) * _AGES[match[2]])


def size(text: str) -> int:
    """ "10G" as bytes. Raises ArgumentTypeError."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kKMGT]?)B?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 500M, 10G or 1.5T")
    return int(float(match[1]) * _SIZES[match[2].replace("K", "k")])


def count(text: str) -> int:
    """A number from 1. Raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number from 1: the present environment always stays"
        )
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, delete nothing")
    parser.add_argument(
        "--older-than",
        type=age,
        metavar="AGE",
        help="also drop environments out of use for so long: 12h, 30d, 8w",
    )
    parser.add_argument(
        "--keep",
        type=count,
        metavar="N",
        help="drop all but a project's N newest environments; with --older-than: keep these however old",
    )
    parser.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help="delete only until the store has at most SIZE: 500M, 10G; old environments go if they must",
    )
    parser.add_argument(
        "--programs-older-than",
        type=age,
        default=_UNUSED_FOR,
        metavar="AGE",
        help="delete what `devenv run` unpacked and nobody used for so long (default: 30d)",
    )
    parser.add_argument(
        "--programs-max-size",
        type=size,
        metavar="SIZE",
        help="of what it unpacked keep at most SIZE: 500M, 10G; what was not used for longest goes first",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.foreign.leftovers import sweep
    from devenv.store.sweep import Limits, collect

    limits = Limits(older_than=arguments.older_than, keep=arguments.keep, max_size=arguments.max_size)
    layout = chosen_layout(context)
    programs = sweep(
        layout,
        unused_for=arguments.programs_older_than,
        max_size=arguments.programs_max_size,
        roots_unused_for=arguments.older_than,
        dry_run=arguments.dry_run,
    )  # first, so that what only they kept goes in the same run
    done = collect(layout, limits=limits, dry_run=arguments.dry_run, reporter=context.reporter)
    context.close()
    if arguments.json:
        print_json(to_json(done, programs))
    else:
        print_lines([*_lines_of_programs(programs, arguments.dry_run), *_lines(done, arguments.dry_run)])
        sys.stderr.write(f"devenv: {_summary(done, programs, arguments.dry_run)}\n")
    raise_problems([*programs.problems, *done.problems])
    return 0


def to_json(done: Collected, programs: Swept) -> dict[str, object]:
    """What was deleted, in the words of `Collected` and `Swept`."""
    return {
        "programs": [{"path": path, "size": size} for path, size in programs.unpacked.items()],
        "programRoots": programs.roots,
        "paths": [{"path": path, "narSize": size} for path, size in done.paths.items()],
        "size": sum(done.paths.values()),
        "others": [*done.others, *done.downloads],
        "views": done.views,
        "generations": [
            {"link": generation.link, "path": generation.target} for generation in done.generations
        ],
        "staleRoots": done.stale,
        "live": done.live,
        "kept": done.kept,
        "freed": done.freed,
        "problems": [problem.message for problem in (*programs.problems, *done.problems)],
    }


def _lines_of_programs(programs: Swept, dry_run: bool) -> Iterator[str]:
    yield from programs.roots
    for path, size in programs.unpacked.items():
        yield f"{path}  {size_text(size)}" if dry_run else path


def _lines(done: Collected, dry_run: bool) -> Iterator[str]:
    for generation in done.generations:
        yield f"{generation.link} -> {generation.target}"
    yield from done.stale
    if dry_run:
        yield from (f"{path}  {size_text(size)}" for path, size in done.paths.items())
    else:
        yield from done.paths
    yield from done.others
    yield from done.downloads
    yield from done.views


def _summary(done: Collected, programs: Swept, dry_run: bool) -> str:
    unpacked = sum(programs.unpacked.values())
    total = (
        len(programs.unpacked) + len(done.paths) + len(done.others) + len(done.downloads) + len(done.views)
    )
    objects = f"{total} object" if total == 1 else f"{total} objects"
    size = size_text(sum(done.paths.values()) + unpacked)
    stays = f"{done.live} in use stay" + (f", {done.kept} others fit" if done.kept else "")
    if dry_run:
        return f"would delete {objects}, {size}; {stays}"
    return f"deleted {objects}, {size_text(done.freed + unpacked)} freed; {stays}"
