"""devenv store"""

from __future__ import annotations

import argparse

from devenv.cli.commands import store_builds, store_care, store_objects, store_queries
from devenv.cli.context import Context
from devenv.cli.subverbs import add_subverbs, run_subverb

SUBVERBS = (*store_queries.SUBVERBS, *store_objects.SUBVERBS, *store_builds.SUBVERBS, *store_care.SUBVERBS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subverbs(parser, SUBVERBS)


def run(arguments: argparse.Namespace, context: Context) -> int:
    return run_subverb(arguments, context)
