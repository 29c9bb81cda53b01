"""devenv diff"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from devenv.cli.context import Context
from devenv.cli.printable import printable_lines
from devenv.history import SHELL, Difference, compare

_MOST_SHOWN = 120  # characters of one value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", nargs="?", metavar="A", help="default: current")
    parser.add_argument("after", nargs="?", metavar="B", help="default: files")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    before = arguments.before or "current"
    # A shell is compared with what it should be in, whatever the files say by now.
    after = arguments.after or ("current" if before == SHELL else "files")
    found = compare(context.project, before, after)
    if arguments.json:
        document = [
            {"kind": each.kind, "name": each.name, "before": each.before, "after": each.after}
            for each in found
        ]
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write(printable_lines(lines(found)))
    return 1 if found else 0


def lines(found: Sequence[Difference]) -> Iterator[str]:
    """One line a difference: "+" for what comes, "-" for what goes, "~" for what changes."""
    for each in found:
        what = each.name if each.kind == "package" else f"{each.kind} {each.name}"
        if each.before is None:
            yield f"+ {what} {_shown(each.after)}".rstrip()
        elif each.after is None:
            yield f"- {what} {_shown(each.before)}".rstrip()
        else:
            yield f"~ {what} {_shown(each.before)} -> {_shown(each.after)}"


def _shown(text: str | None) -> str:
    plain = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text or "")
    return plain if len(plain) <= _MOST_SHOWN else plain[:_MOST_SHOWN] + "..."
