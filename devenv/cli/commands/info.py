"""devenv info"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from devenv.cli.commands.bases import add_base_options, match_json, place_and_base
from devenv.cli.commands.store_queries import print_json, print_lines
from devenv.cli.context import Context
from devenv.debian.browse import source_name
from devenv.packages import Described, describe_package


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="PACKAGE", help='its name, such as "gdal-bin" or "libgl1:i386"')
    add_base_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    place, where = place_and_base(arguments, context)
    described = describe_package(place, where, arguments.package)
    context.close()
    if arguments.json:
        print_json(_json(described))
    else:
        print_lines(_lines(described))
    return 0


def _json(described: Described) -> dict[str, object]:
    latest = described.matches[0].details
    return {
        **match_json(described.matches[0]),
        "source": source_name(latest),
        "homepage": latest.homepage,
        "installed_size": latest.installed_size * 1024,
        "depends": latest.package.depends,
        "recommends": latest.recommends,
        "conflicts": latest.package.conflicts,
        "provides": latest.package.provides,
        "versions": [{"version": m.details.package.version, "suite": m.suite} for m in described.matches],
        "needs": {"packages": described.packages, "bytes": described.size, "problem": described.problem},
    }


def _lines(described: Described) -> Iterator[str]:
    latest = described.matches[0].details
    package = latest.package
    yield f"{package.name} {package.version}: {latest.description}"
    rows = {
        "from": f"{described.matches[0].suite}, {package.architecture}, source package {source_name(latest)}",
        "section": latest.section,
        "homepage": latest.homepage,
        "size": f"{package.size / 1e6:.1f} MB to fetch, {latest.installed_size * 1024 / 1e6:.1f} MB unpacked",
        "depends": package.depends,
        "recommends": latest.recommends,
        "conflicts": package.conflicts,
        "provides": package.provides,
        "also": ", ".join(f"{m.details.package.version} ({m.suite})" for m in described.matches[1:]),
        "in all": _cost(described),
    }
    for name, value in rows.items():
        if value:
            yield f"  {name:<11} {value}"


def _cost(described: Described) -> str:
    if described.packages is None or described.size is None:
        return f"cannot be had: {described.problem}"
    return f"{described.packages} packages with all it needs, {described.size / 1e6:.0f} MB to fetch"
