"""devenv install"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from devenv.cli.commands.run import agreed
from devenv.cli.context import Context
from devenv.cli.foreign import add_root_options, surroundings
from devenv.foreign.judging import judge
from devenv.foreign.plans import plan_of
from devenv.foreign.running import ready
from devenv.installing.programs import Places, check_name, default_name, install, own_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program, script, AppImage, archive or directory")
    parser.add_argument("--name", metavar="NAME", help="what to call it (default: by the file's name)")
    add_root_options(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    packages = tuple(arguments.package)
    around = surroundings(context, arguments.base, forced=arguments.root or bool(packages), packages=packages)
    place = context.workplace()
    name = check_name(arguments.name) if arguments.name else default_name(arguments.file)
    places = Places.of(place.layout, context.environ)
    verdict = judge(arguments.file, around)
    plan = own_files(places, name, plan_of(verdict, around.machine), verdict, place.layout.cache)
    started = ready(place, plan, around.machine, (), context.environ, partial(agreed, context, plan))
    files = install(places, name, os.path.abspath(arguments.file), started, plan, verdict)
    context.close()
    for path in files:
        print(path)
    if places.programs not in context.environ.get("PATH", "").split(":"):
        sys.stderr.write(f"devenv: {places.programs} is not on your PATH\n")
    return 0
