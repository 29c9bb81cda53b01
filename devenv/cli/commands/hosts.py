"""devenv hosts"""

from __future__ import annotations

import argparse
import sys

from devenv.cli.context import Context
from devenv.cli.subverbs import Subverb, add_subverbs, run_subverb
from devenv.fhs import state as states


def _add(arguments: argparse.Namespace, context: Context) -> int:
    states.add_host(_state(context), arguments.name, arguments.address)
    return 0


def _remove(arguments: argparse.Namespace, context: Context) -> int:
    if states.remove_host(_state(context), arguments.name):
        return 0
    sys.stderr.write(f"devenv: {arguments.name} was not added here\n")
    return 1


def _list(arguments: argparse.Namespace, context: Context) -> int:
    sys.stdout.write("".join(states.added_hosts(_state(context))))
    return 0


def _state(context: Context) -> str:
    return f"{context.project.root}/.devenv/state"


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a host name")


def _name_and_address(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("address", metavar="ADDRESS", help="an IPv4 or IPv6 address")


_VERBS = (
    Subverb(
        name="add",
        summary="give a name an address in this project's root",
        run=_add,
        add_arguments=_name_and_address,
        examples=(("devenv hosts add db.test 127.0.0.9", "seen at once by sessions that run"),),
    ),
    Subverb(name="remove", summary="forget a name", run=_remove, add_arguments=_name),
    Subverb(name="list", summary="show what was added", run=_list),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subverbs(parser, _VERBS)


run = run_subverb
