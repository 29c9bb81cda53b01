"""From a command line to a verb: parser from the verbs' records, context, exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from devenv.cli.failures import report_failures
from devenv.cli.verbs import VERBS, Verb, verb
from devenv.errors import DevenvError


class Parser(argparse.ArgumentParser):
    """argparse with our closing hint; exit status 2 as it has it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def common_options(*, again: bool = False) -> Parser:
    """Options that mean the same for every verb. `again`: for a verb below a verb that has them already."""
    common = Parser(add_help=False)
    group = common.add_argument_group("options of every verb")
    text: dict[str, Any] = {"default": argparse.SUPPRESS if again else None}
    flag: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS if again else False}
    group.add_argument(
        "--project", metavar="DIR", help="the project (default: nearest devenv.toml upwards)", **text
    )
    group.add_argument(
        "--store-dir", metavar="DIR", help="the store (default: in your data directory)", **text
    )
    group.add_argument("--offline", help="fail rather than use the network", **flag)
    group.add_argument(
        "--max-jobs", type=int, metavar="N", help="builds at a time (default: one a processor)", **text
    )
    group.add_argument(
        "--substituters", metavar="URL,...", help="ask these binary caches, not the configured ones", **text
    )
    group.add_argument("--trusted-keys", metavar="KEY,...", help="public keys to trust as well", **text)
    group.add_argument("-y", "--yes", help="answer yes to questions", **flag)
    group.add_argument("-q", "--quiet", help="no progress, only errors", **flag)
    group.add_argument("-v", "--verbose", help="more about what is done", **flag)
    return common


def examples_text(examples: Sequence[tuple[str, str]]) -> str | None:
    """The end of a help text: commands and what each is for."""
    if not examples:
        return None
    width = max(len(command) for command, _ in examples)
    lines = (f"  {command:<{width}}  # {what}" for command, what in examples)
    return "examples:\n" + "\n".join(lines)


def verb_parser(entry: Verb) -> argparse.ArgumentParser:
    """The parser of a verb that does not read its own arguments."""
    parser = Parser(
        prog=f"devenv {entry.name}",
        description=entry.description,
        epilog=examples_text(entry.examples),
        parents=[common_options()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    importlib.import_module(f"devenv.cli.commands.{entry.module}").add_arguments(parser)
    return parser


def overview() -> str:
    """The help of `devenv` itself."""
    width = max(len(entry.name) for entry in VERBS)
    verbs = "\n".join(f"  {entry.name:<{width}}  {entry.summary}" for entry in VERBS)
    return (
        "devenv gives a project the environment that its lockfiles describe.\n\n"
        "usage: devenv VERB [options]\n\n"
        f"verbs:\n{verbs}\n\n"
        "first steps:\n"
        "  devenv init    # write devenv.toml\n"
        "  devenv lock    # pin versions\n"
        "  devenv enter   # a shell with everything\n\n"
        "devenv VERB --help explains a verb; devenv --version prints the version.\n"
    )


def _unknown(name: str) -> int:
    import difflib

    close = difflib.get_close_matches(name, [entry.name for entry in VERBS], n=1)
    guess = f" Did you mean '{close[0]}'?" if close else ""
    sys.stderr.write(f"devenv: there is no verb '{name}'.{guess}\nTry: devenv --help\n")
    return 2


def main(arguments: Sequence[str]) -> int:
    """Run one command line; the exit status."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[0] == "help":
            return main([arguments[1], "--help"])
        sys.stdout.write(overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"devenv {version('devenv-spec')}\n")
        return 0
    if arguments[0] not in {entry.name for entry in VERBS}:
        return _unknown(arguments[0])
    chosen = verb(arguments[0])
    if chosen.reads_own_arguments:
        own = importlib.import_module(f"devenv.cli.commands.{chosen.module}")
        return report_failures(lambda: int(own.main(arguments[1:])), os.environ)
    return report_failures(lambda: _run(chosen, arguments[1:]), os.environ)


def _run(entry: Verb, arguments: Sequence[str]) -> int:
    # What follows the first "--" belongs to the program to run, options of its own included.
    own, program = list(arguments), []
    if "--" in own and not entry.passes_rest:
        cut = own.index("--")
        own, program = own[:cut], own[cut + 1 :]
    from devenv.cli.context import Context

    parser = verb_parser(entry)
    parsed = parser.parse_args(own)
    if program and not entry.takes_program:
        parser.error(f"takes no program after --, found: {' '.join(program)}")
    parsed.program = program
    command = importlib.import_module(f"devenv.cli.commands.{entry.module}")
    with Context(parsed, os.environ) as context:
        try:
            return int(command.run(parsed, context) or 0)
        except DevenvError as error:
            if "devenv.derivations.process" in sys.modules:  # else nothing was built
                from devenv.cli.build_needs import add_packages

                add_packages(error, context)
            raise
