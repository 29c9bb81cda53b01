"""devenv inspect"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from devenv.cli.commands.store_queries import print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.foreign import surroundings
from devenv.foreign.judging import judge
from devenv.foreign.verdict import HOST, NOTHING, Verdict, verdict_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program, script, archive, package or directory")
    parser.add_argument(
        "--base", metavar="BASE", help="where to look for what is missing, such as debian/trixie"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    verdict = judge(arguments.file, surroundings(context, arguments.base))
    context.close()
    if arguments.json:
        print_json(verdict_json(verdict))
    else:
        print_lines(lines(verdict))
    return 1 if verdict.route == NOTHING else 0


def lines(verdict: Verdict) -> Iterator[str]:
    """The verdict for people."""
    yield f"{verdict.path}: {verdict.subject}"
    rows = list(_rows(verdict))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"  {name:<{width}}  {value}".rstrip()


def _rows(verdict: Verdict) -> Iterator[tuple[str, str]]:
    if verdict.start is not None and verdict.start != verdict.path:
        yield "starts", os.path.relpath(verdict.start)
    if verdict.frameworks:
        yield "made with", ", ".join(verdict.frameworks)
    if verdict.interpreter is not None:
        yield "interpreter", verdict.interpreter
    if verdict.libraries:
        yield "libraries", _counted(verdict)
    for name, number in sorted(verdict.wanted.items()):
        here = verdict.present.get(name)
        yield f"needs {name}", f"{number}" + (f" (this machine has {here})" if here else "")
    if verdict.features:
        yield "opens", f"libraries for {', '.join(verdict.features)}"
    for each in verdict.missing:
        who = each.package or ("no package has it" if verdict.looked_up else "not looked up")
        yield "missing" if each.required else "missing, optional", f"{each.soname}: {who}"
    yield "verdict", _conclusion(verdict)
    for reason in verdict.reasons:
        yield "", f"because {reason}"
    if verdict.route not in (HOST, NOTHING):
        yield "packages", " ".join(verdict.packages)
    for note in verdict.notes:
        yield "note", note


def _counted(verdict: Verdict) -> str:
    counts: dict[str, int] = {}
    for each in verdict.libraries:
        counts[each.where] = counts.get(each.where, 0) + 1
    names = {"system": "of this machine", "bundled": "bundled", "beside": "beside it", "missing": "missing"}
    return ", ".join(f"{counts[where]} {name}" for where, name in names.items() if where in counts)


def _conclusion(verdict: Verdict) -> str:
    if verdict.start is None and verdict.route == HOST:
        return "nothing in it is to be started by itself"
    if verdict.route == HOST:
        return "runs as it is"
    if verdict.route == NOTHING:
        return "cannot be run here"
    return f"runs in a root of {verdict.base} with {_plural(verdict.packages)}"


def _plural(packages: Sequence[str]) -> str:
    return f"{len(packages)} package{'' if len(packages) == 1 else 's'} and what they need"
