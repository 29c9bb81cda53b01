"""devenv check"""

from __future__ import annotations

import argparse
import sys

from devenv.building import check_recipes
from devenv.cli.context import Context
from devenv.project import instantiate_project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace, context: Context) -> int:
    check_recipes(context.project)
    made, notices = instantiate_project(context.project)
    for notice in notices:
        sys.stderr.write(f"devenv: {notice}\n")
    packages = sum(len(recipe.trees) for recipe in made.recipes)
    sys.stdout.write(f"devenv.toml, devenv.lock and the lockfiles fit: {packages} packages\n")
    return 0
