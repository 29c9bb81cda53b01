"""Verbs below a verb (`devenv store query`): one record each, the source of help, parser and dispatch."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devenv.cli.context import Context
from devenv.cli.dispatch import Parser, common_options, examples_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Subverb:
    """`add_arguments` and `run` are as those of a verb's module."""

    name: str
    summary: str
    run: Callable[[argparse.Namespace, Context], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    description: str = ""
    examples: tuple[tuple[str, str], ...] = ()


def add_subverbs(parser: argparse.ArgumentParser, subverbs: Sequence[Subverb]) -> None:
    """Let `parser` take one of `subverbs`; `run_subverb` then runs it."""
    group = parser.add_subparsers(
        title="verbs", dest="subverb", metavar="VERB", required=True, parser_class=Parser
    )
    for entry in subverbs:
        below = group.add_parser(
            entry.name,
            help=entry.summary,
            description=entry.description or f"{entry.summary[0].upper()}{entry.summary[1:]}.",
            epilog=examples_text(entry.examples),
            parents=[common_options(again=True)],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        entry.add_arguments(below)
        below.set_defaults(run_subverb=entry.run)


def run_subverb(arguments: argparse.Namespace, context: Context) -> int:
    """Run the one that was chosen."""
    chosen: Callable[[argparse.Namespace, Context], int] = arguments.run_subverb
    return chosen(arguments, context)
