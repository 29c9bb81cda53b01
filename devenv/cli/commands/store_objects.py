"""devenv store add|dump|restore|export|import|delete: objects in and out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable

from devenv.cli.commands.store_queries import chosen_layout, named_paths, print_json, print_lines
from devenv.cli.context import Context
from devenv.cli.progress import size_text
from devenv.cli.subverbs import Subverb
from devenv.errors import DevenvError


def _write(chunks: Iterable[bytes]) -> None:
    """Bytes to standard output, unless that is a terminal."""
    if sys.stdout.isatty():
        raise DevenvError("this writes binary data", hint="Send it to a file or a program: ... > FILE")
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _read(size: int) -> bytes:
    return os.read(sys.stdin.fileno(), size)


def _require_stream() -> None:
    if sys.stdin.isatty():
        raise DevenvError("this reads binary data from standard input", hint="Give it some: ... < FILE")


# add


def _add_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file or directory")
    parser.add_argument("--name", metavar="NAME", help="its name in the store (default: that of the file)")
    parser.add_argument("--root", metavar="LINK", help="make LINK a link to it, which keeps it")


def _add(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.formats.store_path import check_name
    from devenv.store.local import Store
    from devenv.store.roots import add_indirect_root

    if len(arguments.files) > 1 and (arguments.name or arguments.root):
        raise DevenvError("--name and --root are for one file", hint="Add the others by themselves.")
    names = [
        check_name(arguments.name or os.path.basename(os.path.abspath(file))) for file in arguments.files
    ]
    with Store.open(chosen_layout(context), reporter=context.reporter) as store:
        for name, file in zip(names, arguments.files, strict=True):
            path = store.add_tree(name, file)
            if arguments.root:
                add_indirect_root(store.layout, arguments.root, path)
            print_lines([path])
    return 0


# dump, restore


def _add_dump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="any file or directory")


def _dump(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.tree import dump

    _write(dump(arguments.path))
    return 0


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="must not exist")


def _restore(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.tree import make_ordinary, restore

    _require_stream()
    if os.path.lexists(arguments.target):
        raise DevenvError(f"{arguments.target} exists already", hint="Name a path that does not.")
    restore(iter(lambda: _read(1 << 16), b""), arguments.target)
    make_ordinary(arguments.target)
    return 0


# export, import


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a store path, or a link to one")
    parser.add_argument("--only", action="store_true", help="just these, not what they refer to")


def _export(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.local import Store
    from devenv.store.queries import asking
    from devenv.store.transfer import export

    layout = chosen_layout(context)
    paths = named_paths(layout, arguments.paths)
    with asking(layout) as queries:
        everything = queries.requisites(paths)
    chosen = [path for path in everything if path in paths] if arguments.only else everything
    with Store.open(layout, reporter=context.reporter) as store:
        _write(export(store, chosen, reporter=context.reporter))
    return 0


def _import(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.store.local import Store
    from devenv.store.transfer import import_stream

    _require_stream()
    with Store.open(chosen_layout(context), reporter=context.reporter) as store:
        done = import_stream(store, _read, reporter=context.reporter)
    context.close()
    print_lines(done.paths)
    if done.trusted and not arguments.quiet:
        sys.stderr.write(
            f"devenv: for {len(done.trusted)} of {len(done.paths)} objects only the stream says what they are: "
            "their paths do not follow from their contents\n"
        )
    return 0


# delete


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a store path, or a link to one")
    parser.add_argument("--referrers", action="store_true", help="what refers to the paths as well")
    parser.add_argument("--json", action="store_true", help="for programs")


def _delete(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.errors import raise_problems
    from devenv.store.sweep import delete_paths

    layout = chosen_layout(context)
    paths = named_paths(layout, arguments.paths)
    done = delete_paths(layout, paths, with_referrers=arguments.referrers, reporter=context.reporter)
    context.close()
    if arguments.json:
        print_json({"paths": list(done.paths), "freed": done.freed})
    else:
        print_lines(done.paths)
        sys.stderr.write(f"devenv: {size_text(done.freed)} freed\n")
    raise_problems(done.problems)
    return 0


SUBVERBS = (
    Subverb(
        name="add",
        summary="copy files or directories into the store",
        run=_add,
        add_arguments=_add_add,
        description="Prints their store paths. Without --root the next collection deletes them.",
    ),
    Subverb(name="dump", summary="write a file or directory as a NAR", run=_dump, add_arguments=_add_dump),
    Subverb(
        name="restore", summary="unpack a NAR from standard input", run=_restore, add_arguments=_add_restore
    ),
    Subverb(
        name="export",
        summary="write objects with all that they need as one stream",
        run=_export,
        add_arguments=_add_export,
        description="The stream is in the format of nix-store --export.",
        examples=(("devenv store export .devenv/env | ssh HOST devenv store import", "to another machine"),),
    ),
    Subverb(
        name="import",
        summary="take in what export or nix-store --export wrote",
        run=_import,
        description=(
            "Reads standard input and prints the paths. Take streams only from those whom you trust: what is not "
            "addressed by its contents is what the stream says it is."
        ),
    ),
    Subverb(
        name="delete",
        summary="delete objects that nothing uses",
        run=_delete,
        add_arguments=_add_delete,
    ),
)
