"""devenv allow"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator

from devenv.cli.context import Context
from devenv.cli.printable import printable
from devenv.hooking import refresh
from devenv.preparation import prepare
from devenv.project import Project, StaleLock
from devenv.trust import Grant, Trust
from devenv.trust_request import Item
from devenv.trusting import project_request

_MOST_SHOWN = 300  # characters of one value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="the project (default: the nearest upwards)"
    )
    parser.add_argument("--list", action="store_true", help="show what was answered, change nothing")
    parser.add_argument("--json", action="store_true", help="with --list: for programs")


def run(arguments: argparse.Namespace, context: Context) -> int:
    trust = Trust(context.environ)
    if arguments.list:
        _list(trust, as_json=arguments.json)
        return 0
    arguments.project = arguments.directory or arguments.project
    project = context.project
    request = project_request(project)
    before = trust.allowed_here(project.root)
    sys.stderr.write("".join(f"{line}\n" for line in question(request.name, before, request.items)))
    # Without a terminal the command itself is the answer.
    if (
        set(request.items) - set(before)
        and context.interactive
        and not context.confirm("Allow?", default=False)
    ):
        sys.stderr.write("devenv: nothing is allowed that was not before\n")
        return 1
    trust.allow(project.root, request)
    try:
        prepare(project)
    except StaleLock as stale:
        context.close()
        sys.stderr.write(f"devenv: allowed; {str(stale).splitlines()[0]}: run `devenv lock`\n")
    refresh(project.root, context.settings)
    return 0


def question(name: str, before: Iterable[Item], now: Iterable[Item]) -> Iterator[str]:
    """Lines that show what is asked for: "+" what is new, "-" what is no more, " " what was allowed already."""
    old, new = set(before), set(now)
    if not new:
        yield f"devenv: {name} asks for nothing: its toolchains and variables run nothing by themselves"
        return
    yield f"devenv: {name} decides what runs by these:" if new - old else f"devenv: nothing of {name} is new:"
    for item in sorted(old | new):
        mark = " " if item in old & new else "+" if item in new else "-"
        yield f"  {mark} {sentence(item)}"


def sentence(item: Item) -> str:
    """What an item means, on one line, with nothing in it that a terminal obeys."""
    value = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in item.value)
    if len(value) > _MOST_SHOWN:
        value = value[:_MOST_SHOWN] + f"... ({len(item.value)} characters)"
    name = "".join(letter if letter.isprintable() else "?" for letter in item.name)
    return {
        "directory": f"programs in {value} are found on PATH",
        "packages": f"programs of the {value} packages of {name} are found before yours",
        "override": f"the package {name} is made differently: {value}",
        "variable": f"sets {name} to {value!r}",
        "prepend": f"puts {value} in front of {name}",
        "append": f"puts {value} behind {name}",
        "alias": f"the alias {name} runs {value}",
        "function": f"the function {name} runs: {value}",
        "script": f"the command {name} runs: {value}",
        "registry": f"packages of {name} come from {value}",
        "npmrc": f".npmrc sets {name} to {value!r}",
        "secret": f".npmrc sends the variables in {value!r} to another machine: {name}",
        "cache": f"the binary cache {name} is asked",
        "extends": f"extends {name}: {value}",
        "system": f"packages of {name} are found before yours: {value}",
        "download": f"{name} comes from {value}",
    }.get(item.kind, f"{item.kind} {name}: {value}")


def _list(trust: Trust, *, as_json: bool) -> None:
    grants = trust.grants()
    if as_json:
        document = {kind: [_document(grant) for grant in found] for kind, found in grants.items()}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    for kind, title in (("places", "allowed"), ("contents", "allowed anywhere"), ("denied", "denied")):
        for grant in grants.get(kind, []):
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(grant.time))
            gone = "" if os.path.isdir(grant.project) else " (gone)"
            key = f"  {grant.content[:12]}" if kind == "contents" else ""
            sys.stdout.write(f"{title}  {when}  {grant.name}  {printable(grant.project)}{gone}{key}\n")
            for item in grant.items if kind == "places" else ():
                sys.stdout.write(f"    {sentence(item)}\n")


def _document(grant: Grant) -> dict[str, object]:
    items = [
        {"kind": item.kind, "name": item.name, "value": item.value, "when": item.when} for item in grant.items
    ]
    return {
        "project": grant.project,
        "name": grant.name,
        "time": grant.time,
        "digest": grant.content,
        "items": items,
    }


def note_plain_entry(context: Context, project: Project) -> None:
    """Record that nobody needs to be asked, or told, anything before a line of theirs runs in this environment."""
    from devenv import known

    trust = Trust(context.environ)
    request = project_request(project)
    if not request.on_entry and (not request.items or trust.verdict(project.root, request) == "unknown"):
        key = known.key(project.root, context.environ)
        known.note_entered(key, trust.content_path(request), context.environ)


def ask_before_entering(context: Context, project: Project, *, shell: bool = False) -> None:
    """What somebody who enters on purpose must still be asked. Raises Untrusted where the answer is no.

    shell: a shell will prompt at this terminal
    """
    from devenv.trust import Untrusted
    from devenv.trusting import is_trusted, require_entry

    trust = Trust(context.environ)
    request = project_request(project)
    is_trusted(project, trust, request)  # a clone of what was allowed becomes a place of its own
    new = require_entry(project, trust, request, shell=shell)
    if not new:
        return
    if context.interactive and not context.arguments.yes:
        # All of it, since the answer holds for all of it.
        known = trust.allowed_here(project.root)
        sys.stderr.write("".join(f"{line}\n" for line in question(request.name, known, request.items)))
    if not context.confirm("Enter with that?", default=False):
        raise Untrusted(
            f"{request.name} wants to decide what runs in its environment:\n"
            + "\n".join(sentence(item) for item in new),
            items=new,
            hint="`devenv allow` shows and allows it; --yes allows it as well",
        )
    trust.allow(project.root, request)
