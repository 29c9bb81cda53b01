"""devenv generations"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

from devenv.cli.context import Context
from devenv.history import arguments_of, current_generation, profile_of, profiles_of
from devenv.store.generations import Generation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _given(generation: Generation) -> str:
    profiles = "".join(f"  {name}" for name in profiles_of(generation))
    return profiles + "".join(f"  {name}={value}" for name, value in sorted(arguments_of(generation).items()))


def run(arguments: argparse.Namespace, context: Context) -> int:
    profile = profile_of(context.project)
    current = current_generation(profile).number
    if arguments.json:
        document = [
            {
                "number": each.number,
                "current": each.number == current,
                "environment": each.target,
                "sources": each.sources,
                "created": each.created,
                "parameters": arguments_of(each),
                "profiles": list(profiles_of(each)),
            }
            for each in profile.generations
        ]
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return 0
    for each in profile.generations:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.created))
        mark = "*" if each.number == current else " "
        sys.stdout.write(f"{mark} {each.number:>3}  {when}  {os.path.basename(each.target)}{_given(each)}\n")
    return 0
