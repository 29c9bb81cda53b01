"""What the verbs about packages of a base have in common: their options, and where they look."""

from __future__ import annotations

import argparse
from typing import Any

from devenv.cli.context import Context
from devenv.cli.warm import find_project
from devenv.debian.browse import Match
from devenv.packages import Where, chosen_where
from devenv.project import Project
from devenv.workplace import Workplace


def add_base_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base",
        metavar="BASE",
        help="such as \"debian/trixie\" (default: the project's, else this machine's own distribution)",
    )
    parser.add_argument("--arch", metavar="ARCH", help="such as amd64 or i386 (default: this machine's)")
    parser.add_argument(
        "--refresh", action="store_true", help="ask for the present indices, even if some are new enough"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def place_and_base(arguments: argparse.Namespace, context: Context) -> tuple[Workplace, Where]:
    root = find_project(arguments.project or ".")
    project = Project(root, context.settings) if root is not None else None
    where = chosen_where(arguments.base, arguments.arch, project, refresh=arguments.refresh)
    return (project.workplace if project is not None else context.bare_workplace()), where


def match_json(match: Match) -> dict[str, Any]:
    details = match.details
    package = details.package
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "suite": match.suite,
        "section": details.section,
        "description": details.description,
        "size": package.size,
    }
