"""devenv status"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from devenv.cli.context import Context
from devenv.cli.printable import printable_lines
from devenv.preparation import Status, project_status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    found = project_status(context.project)
    if arguments.json:
        sys.stdout.write(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    else:
        sys.stdout.write(printable_lines(_lines(found)))
    return 0


def _lines(found: Status) -> list[str]:
    lines = [f"project    {found.name} in {found.project}"]
    lines += [f"{tool['name']:<10} {tool['version']}" for tool in found.toolchains]
    lines += [f"lockfile   {entry['path']}: {entry['packages']} packages" for entry in found.lockfiles]
    if found.base is not None:
        dates = ", ".join(f"{suite} of {date[:10]}" for suite, date in found.base["suites"].items())
        lines.append(f"base       {found.base['name']}: {found.base['packages']} packages ({dates})")
    if found.lock == "current":
        lines.append("lock       devenv.lock fits")
    else:
        lines.append(f"lock       devenv.lock is {found.lock}")
        lines += [f"             {reason}" for reason in found.reasons]
    if found.missing is not None:
        lines.append(f"store      {found.missing} of {found.objects} objects missing in {found.store}")
    lines += [f"view       {view['root']}: {view['state']}" for view in found.views]
    lines += [f"override   {row['sentence']}" for row in found.overrides]
    lines += [f"drift      {row['view']}: {row['sentence']}" for row in found.drift]
    lines.append(f"next       {found.next_step}")
    return lines
