"""What `inspect` and `run` share: the surroundings of a verdict, as the command line and this machine give them."""

from __future__ import annotations

import argparse
import os

from devenv.cli.context import Context
from devenv.cli.warm import find_project
from devenv.foreign.surroundings import Surroundings
from devenv.foreign.systems import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from devenv.foreign.suppliers import Suppliers

_FRESH = 7 * 86400.0  # seconds for which what was seen of a base counts as present


def add_root_options(parser: argparse.ArgumentParser) -> None:
    """What decides about the root that a program is started in."""
    parser.add_argument("--base", metavar="BASE", help="where libraries come from, such as debian/trixie")
    parser.add_argument(
        "--package",
        metavar="PKG",
        action="append",
        default=[],
        help="also wanted in its root; may be repeated",
    )
    parser.add_argument("--root", action="store_true", help="in a root of packages, even if it runs as it is")


def surroundings(
    context: Context, base: str | None, *, forced: bool = False, packages: tuple[str, ...] = ()
) -> Surroundings:
    from devenv.debian.default import default_base
    from devenv.debian.family import architecture_of, parse_base
    from devenv.project import Project

    start = find_project(context.arguments.project or ".")
    named = base or (Project(start, context.settings).config.base if start is not None else None)
    chosen = default_base(named)
    parse_base(chosen)
    place = context.workplace()
    machine = architecture_of(os.uname().machine)

    def suppliers(wanted: str) -> Suppliers:
        from devenv.debian.suites import Places
        from devenv.foreign.suppliers import Suppliers

        places = Places(place.client, place.layout.cache, place.settings.reporter)
        return Suppliers(places, wanted, machine=machine, max_age=_FRESH)

    return Surroundings(
        machine=machine,
        base=chosen,
        home=context.environ.get("HOME", "/"),
        cache=place.layout.cache,
        suppliers=suppliers,
        host=System(),
        path=context.environ.get("PATH", os.defpath),
        forced=forced,
        packages=packages,
    )
