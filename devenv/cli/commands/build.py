"""devenv build"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from devenv.cli.commands.store_builds import add_build_options, build_options
from devenv.cli.commands.store_queries import named_paths
from devenv.cli.context import Context
from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.foresight import Foreseen, Work


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME|DRV", help="recipes, or .drv files (default: all recipes)"
    )
    parser.add_argument("--from", dest="start", metavar="PHASE", help="run again from this phase on")
    parser.add_argument(
        "-k", "--keep-going", action="store_true", help="go on with what does not need what failed"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_build_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    drvs = [name for name in arguments.names if is_derivation(name)]
    names = [name for name in arguments.names if not is_derivation(name)]
    if drvs and names:
        raise DevenvError(
            f"both recipes ({', '.join(names)}) and derivations ({', '.join(drvs)}) are given",
            hint="build one kind at a time",
        )
    if drvs:
        return _derivations(arguments, context, drvs)
    from devenv.building import BuildRequest, build_recipes, foresee_recipes

    if arguments.dry_run:
        return show_foreseen(arguments, foresee_recipes(context.project, tuple(names)))
    request = BuildRequest(
        names=tuple(dict.fromkeys(names)), start=arguments.start, keep_going=arguments.keep_going
    )
    built = build_recipes(context.project, request, build_options(arguments, context))
    context.close()
    if arguments.json:
        sys.stdout.write(json.dumps({each.name: each.path for each in built}, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{each.path}\n" for each in built))
    return 0


def is_derivation(name: str) -> bool:
    """Is it a file's name, not a recipe's?"""
    return "/" in name or name.endswith(".drv")


def _derivations(arguments: argparse.Namespace, context: Context, drvs: Sequence[str]) -> int:
    from devenv.realisation import foresee_derivations, realise_derivations

    if arguments.start is not None:
        raise DevenvError("--from is for recipes, and a derivation has no phases that devenv knows")
    place = context.workplace()
    paths = named_paths(place.layout, [os.fspath(drv) for drv in drvs])
    others = [path for path in paths if not path.endswith(".drv")]
    if others:
        raise DevenvError(
            f"{', '.join(others)}: only derivations can be built, files that end in .drv",
            hint="`devenv store query --deriver PATH` says what made a path",
        )
    if arguments.dry_run:
        return show_foreseen(arguments, foresee_derivations(place, paths))
    outputs = realise_derivations(
        place, paths, build_options(arguments, context), keep_going=arguments.keep_going
    )
    context.close()
    if arguments.json:
        sys.stdout.write(json.dumps(outputs, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{path}\n" for path in outputs))
    return 0


# What would be done


def show_foreseen(arguments: argparse.Namespace, found: Foreseen) -> int:
    """Print it, for people or for programs."""
    if getattr(arguments, "json", False):
        import dataclasses

        sys.stdout.write(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in foreseen_lines(found)))
    return 0


def foreseen_lines(found: Foreseen) -> list[str]:
    if not (found.fetches or found.builds or found.open):
        return ["nothing to do: everything is there"]
    lines = []
    if found.fetches:
        sizes = [work.size for work in found.fetches if work.size is not None]
        unknown = len(found.fetches) - len(sizes)
        known = f", {_size(sum(sizes))}" if sizes else ""
        more = f" and {unknown} of unknown size" if sizes and unknown else ""
        lines.append(f"would fetch {_count(len(found.fetches), 'file')}{known}{more}")
        lines += _listed([work.label for work in found.fetches])
    if found.builds:
        times = [work.seconds for work in found.builds if work.seconds is not None]
        known = f"; {len(times)} of them took {_time(sum(times))} before" if times else ""
        lines.append(f"would build {_count(len(found.builds), 'thing')}{known}")
        lines += _listed([_with_time(work) for work in found.builds])
    lines += [f"cannot be known before: {text}" for text in found.open]
    return lines


_MOST_LISTED = 40


def _listed(labels: Sequence[str]) -> list[str]:
    more = len(labels) - _MOST_LISTED
    return [f"  {label}" for label in labels[:_MOST_LISTED]] + ([f"  and {more} more"] if more > 0 else [])


def _with_time(work: Work) -> str:
    return work.label if work.seconds is None else f"{work.label} ({_time(work.seconds)})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
