"""devenv store realise|log: building derivations, and what their builders printed."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import IO, TYPE_CHECKING

from devenv.cli.commands.store_queries import chosen_layout, named_paths, print_lines
from devenv.cli.context import Context
from devenv.cli.subverbs import Subverb
from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.derivations.process import BuildOptions

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(text: str) -> int:
    """A number of bytes, with K, M or G for as many kibi-, mebi- and gibibytes."""
    unit = text[-1:].upper() if text[-1:].isalpha() else ""
    number = text[: len(text) - len(unit)]
    if unit not in _UNITS or not number.isdecimal() or not int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 512M or 2G")
    return int(number) * _UNITS[unit]


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return found


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that builds; `build_options` reads them."""
    parser.add_argument(
        "--keep-failed", action="store_true", help="keep the build directory of a failed build"
    )
    parser.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="how long a build may take")
    parser.add_argument(
        "--max-silent-time", type=_seconds, metavar="SECONDS", help="how long a build may print nothing"
    )
    parser.add_argument(
        "--max-memory",
        type=_size,
        metavar="SIZE",
        help="address space of each process of a build, such as 2G",
    )
    parser.add_argument("--cores", type=int, metavar="N", help="how many a build is told to use")
    parser.add_argument(
        "--sandbox-path",
        action="append",
        metavar="PATH[=SOURCE][?]",
        help="show a path of this machine to all builds (? if there); again for more",
    )


def build_options(arguments: argparse.Namespace, context: Context) -> BuildOptions:
    from devenv.derivations.process import BuildOptions

    options = BuildOptions(
        keep_failed=arguments.keep_failed,
        timeout=arguments.timeout,
        silence=arguments.max_silent_time,
        memory=arguments.max_memory,
        sandbox_paths=None if arguments.sandbox_path is None else tuple(arguments.sandbox_path),
        environ=dict(context.environ),
    )
    if arguments.cores is None:
        return options
    import dataclasses

    return dataclasses.replace(options, cores=max(arguments.cores, 1))


def _add_realise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("derivations", nargs="+", metavar="DRV", help="a .drv file in the store")
    add_build_options(parser)


def _realise(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.realisation import realise_derivations

    place = context.workplace()
    drvs = named_paths(place.layout, arguments.derivations)
    others = [path for path in drvs if not path.endswith(".drv")]
    if others:
        raise DevenvError(
            f"{', '.join(others)}: only derivations can be built, files that end in .drv",
            hint="`devenv store query --deriver PATH` says what made a path.",
        )
    outputs = realise_derivations(place, drvs, build_options(arguments, context))
    context.close()
    print_lines(outputs)
    return 0


def _add_log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a derivation, or what it made")


def _log(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.realisation import build_logs

    layout = chosen_layout(context)
    for log in build_logs(layout, named_paths(layout, arguments.paths)):
        with _opened(log) as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    return 0


def _opened(log: str) -> IO[bytes]:
    if log.endswith(".bz2"):  # Nix's
        import bz2

        return bz2.open(log, "rb")
    return open(log, "rb")


SUBVERBS = (
    Subverb(
        name="realise",
        summary="build derivations and print their outputs",
        run=_realise,
        add_arguments=_add_realise,
        description=(
            "Builds .drv files, whoever wrote them, with all that they need. Builders run in a sandbox: see "
            "docs/sandbox.md."
        ),
        examples=(
            ("devenv store realise .devenv/shell.drv", "prints the paths of its outputs"),
            (
                "devenv store realise --keep-failed --sandbox-path /bin/sh=/usr/bin/busybox X.drv",
                "leaves the build directory for you to look at when it fails",
            ),
        ),
    ),
    Subverb(
        name="log",
        summary="print what the builders of paths printed",
        run=_log,
        add_arguments=_add_log,
        examples=(("devenv store log X.drv", "the whole of it"),),
    ),
)
