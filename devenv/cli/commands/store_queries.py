"""devenv store path|env|query|path-info|roots: what is in the store. They change nothing."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from devenv.cli.context import Context
from devenv.cli.progress import size_text
from devenv.cli.subverbs import Subverb
from devenv.errors import DevenvError, raise_problems
from devenv.store.layout import Layout

if TYPE_CHECKING:
    from devenv.formats.store_path import StorePath
    from devenv.store.queries import Queries


def chosen_layout(context: Context) -> Layout:
    """The store of the command line and the environment; no project is needed."""
    return Layout.find(context.arguments.store_dir, context.environ)


def named_paths(layout: Layout, texts: Iterable[str]) -> list[StorePath]:
    """The store paths that the user means. Raises one error for all that are none."""
    from devenv.store.queries import find_path

    found, problems = [], []
    for text in texts:
        try:
            found.append(find_path(layout, text))
        except DevenvError as error:
            problems.append(error)
    raise_problems(problems)
    return list(dict.fromkeys(found))


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


# path, env


def _path(arguments: argparse.Namespace, context: Context) -> int:
    print_lines([chosen_layout(context).store])
    return 0


def _env(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.nix_environment import prepare, variables

    layout = chosen_layout(context)
    prepare(layout)
    print_lines(f"export {name}={shlex.quote(value)}" for name, value in variables(layout).items())
    return 0


# query

_QUESTIONS = (
    ("--references", "what the paths refer to directly"),
    ("--requisites", "the paths and all that they refer to"),
    ("--referrers", "what refers directly to the paths"),
    ("--referrers-closure", "the paths and all that need them"),
    ("--deriver", "the derivation that made each path"),
    ("--outputs", "the outputs of derivations"),
    ("--tree", "the references of each path, as a tree"),
    ("--roots", "what keeps the paths from being collected"),
)


def _add_query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a store path, or a link to one")
    group = parser.add_mutually_exclusive_group(required=True)
    for option, text in _QUESTIONS:
        group.add_argument(option, dest="question", action="store_const", const=option[2:], help=text)
    parser.add_argument(
        "--include-outputs", action="store_true", help="with --requisites: the outputs of derivations, too"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _query(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.queries import asking

    layout = chosen_layout(context)
    paths = named_paths(layout, arguments.paths)
    with asking(layout) as queries:
        lines, document = _answer(queries, arguments, paths)
    print_json(document) if arguments.json else print_lines(lines)
    return 0


def _answer(queries: Queries, arguments: argparse.Namespace, paths: list[StorePath]) -> tuple[list[str], Any]:
    """What to print, as lines and as JSON."""
    lists: dict[str, Callable[[], list[StorePath]]] = {
        "references": lambda: queries.references(paths),
        "requisites": lambda: queries.requisites(paths, with_outputs=arguments.include_outputs),
        "referrers": lambda: queries.referrers(paths),
        "referrers-closure": lambda: queries.referrers_closure(paths),
    }
    question = arguments.question
    if question in lists:
        found = lists[question]()
        return [*found], found
    if question == "deriver":
        derivers = {path: queries.deriver(path) for path in paths}
        return [drv or "unknown-deriver" for drv in derivers.values()], derivers
    if question == "outputs":
        outputs = {path: queries.outputs(path) for path in paths}
        return [out for each in outputs.values() for out in each.values()], outputs
    if question == "roots":
        roots = queries.roots(paths)
        return [f"{root.link} -> {root.path}" for root in roots], _roots_json(roots)
    objects = queries.objects(paths)
    trees = [line for path in paths for line in queries.tree(path)]
    return trees, {path: facts.references for path, facts in sorted(objects.items())}


def _roots_json(roots: Iterable[Any]) -> list[dict[str, str]]:
    return [{"root": root.link, "path": root.path} for root in roots]


# path-info


def _add_path_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a store path, or a link to one")
    parser.add_argument("--all", action="store_true", help="everything in the store")
    parser.add_argument("-r", "--recursive", action="store_true", help="all that the paths refer to as well")
    parser.add_argument("--json", action="store_true", help="everything known, for programs")


def _path_info(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.queries import asking

    if bool(arguments.paths) == arguments.all:
        from devenv.errors import DevenvError

        raise (
            DevenvError("no path is given", hint="Name some, or use --all.")
            if not arguments.all
            else (DevenvError("both --all and paths are given", hint="Give one of them."))
        )
    layout = chosen_layout(context)
    paths = named_paths(layout, arguments.paths)
    with asking(layout) as queries:
        if arguments.all:
            paths = queries.all_paths()
        elif arguments.recursive:
            paths = queries.requisites(paths)
        described = queries.describe(paths)
    if arguments.json:
        print_json([entry.to_json() for entry in described])
        return 0
    width = max((len(entry.info.path) for entry in described), default=0)
    print_lines(
        f"{entry.info.path:<{width}}  {size_text(entry.info.nar_size):>7}  {size_text(entry.closure_size):>7}"
        for entry in described
    )
    return 0


# roots


def _add_roots(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _roots(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.queries import asking

    with asking(chosen_layout(context)) as queries:
        roots = queries.all_roots()
    if arguments.json:
        print_json(_roots_json(roots))
    else:
        print_lines(f"{root.link} -> {root.path}" for root in roots)
    return 0


SUBVERBS = (
    Subverb(name="path", summary="where the store is", run=_path),
    Subverb(
        name="env",
        summary="shell lines with which nix commands use this store",
        run=_env,
        examples=(('eval "$(devenv store env)"', "then: nix-store -q --tree .devenv/env"),),
    ),
    Subverb(
        name="query",
        summary="how objects hang together",
        run=_query,
        add_arguments=_add_query,
        examples=(
            ("devenv store query --tree .devenv/env", "the environment and all that it needs"),
            ("devenv store query --roots PATH", "why PATH is not collected"),
        ),
    ),
    Subverb(
        name="path-info",
        summary="size of objects and of all that they need",
        run=_path_info,
        add_arguments=_add_path_info,
        description=(
            "Prints each path, the size of its NAR and that of all that it refers to, itself included. "
            "--json has hash, references, deriver, signatures and more, in the words of nix path-info."
        ),
        examples=(("devenv store path-info -r .devenv/env", "every package of the environment"),),
    ),
    Subverb(
        name="roots",
        summary="everything that keeps objects from being collected",
        run=_roots,
        add_arguments=_add_roots,
    ),
)
