"""devenv cache push|pull|serve|key|trust"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from devenv.cli.context import Context
from devenv.cli.subverbs import Subverb, add_subverbs, run_subverb
from devenv.errors import DevenvError

if TYPE_CHECKING:
    from devenv.formats.store_path import StorePath
    from devenv.project import Project

_DEFAULT_LISTEN = "127.0.0.1:8080"


# push


def _add_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url", metavar="URL", help="the cache: file:///DIRECTORY, or https://... that takes PUT"
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="store paths (default: the environment of this project)"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="sign with this secret key: a name or a file",
    )
    parser.add_argument(
        "--compression", metavar="NAME", help="none, gzip, bzip2, xz or zstd (default: zstd, or else gzip)"
    )
    parser.add_argument("--derivations", action="store_true", help="the derivations as well")
    parser.add_argument("--again", action="store_true", help="also what the cache has, in case it is damaged")
    parser.add_argument("--json", action="store_true", help="what was pushed, for programs")


def _push(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import PushOptions, push
    from devenv.cli.commands.store_queries import named_paths, print_json
    from devenv.cli.progress import size_text
    from devenv.store.compression import check_name

    if arguments.compression is not None:
        check_name(arguments.compression)
    place = context.workplace()
    paths = named_paths(place.layout, arguments.paths) or _environment(arguments, context)
    options = PushOptions(
        compression=arguments.compression,
        keys=tuple(arguments.key),
        derivations=arguments.derivations,
        again=arguments.again,
    )
    done = push(place, arguments.url, paths, options)
    context.close()
    if arguments.json:
        document = {
            "written": done.written,
            "signed": done.signed,
            "present": done.present,
            "size": done.size,
        }
        print_json(document)
    if not arguments.quiet:
        signed = f", {len(done.signed)} signed" if done.signed else ""
        sys.stderr.write(
            f"devenv: {len(done.written)} objects pushed ({size_text(done.size)}){signed}, "
            f"{len(done.present)} were there\n"
        )
    return 0


def _environment(arguments: argparse.Namespace, context: Context) -> list[StorePath]:
    """What the project's environment consists of, made first where it is not there."""
    from devenv.caching import derivation_paths, environment_paths
    from devenv.preparation import prepare, realise_bytecode

    project = context.project
    project.current_lock()
    realise_bytecode(project)
    prepare(project)
    paths = environment_paths(project)
    return [*paths, *derivation_paths(project)] if arguments.derivations else paths


# pull


def _add_pull(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the cache")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a store path")


def _pull(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import pull
    from devenv.cli.commands.store_queries import print_lines

    found = pull(context.workplace(), arguments.url, arguments.paths)
    context.close()
    print_lines(sorted(found.valid))
    return 0


# serve


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        default=_DEFAULT_LISTEN,
        metavar="HOST:PORT",
        help=f"where to be reached; port 0 is any free one (default: {_DEFAULT_LISTEN}, this machine only)",
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="sign with this secret key: a name or a file",
    )


def _serve(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import read_secret_key
    from devenv.cli.commands.store_queries import chosen_layout
    from devenv.store.serving import Server

    keys = [read_secret_key(context.workplace(), name) for name in arguments.key]
    verbose = arguments.verbose

    def log(line: str) -> None:
        if verbose:
            sys.stderr.write(f"devenv: {line}\n")

    server = Server(chosen_layout(context), _address(arguments.listen), keys=keys, log=log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: server.close())
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    server.serve()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536) or (
        colon and not host
    ):
        raise DevenvError(
            f"cannot listen on {text!r}", hint=f"write HOST:PORT, such as {_DEFAULT_LISTEN} or [::1]:8080"
        )
    return host, int(port)


# key


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it is called in signatures, for example team-1")
    parser.add_argument("--output", metavar="FILE", help="where to put it (default: among your own settings)")


def _generate(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import generate_key
    from devenv.cli.commands.store_queries import print_lines

    output = None if arguments.output is None else _as_file(arguments.output)
    path, public = generate_key(context.bare_workplace(), arguments.name, output)
    print_lines([public.to_text()])
    if not arguments.quiet:
        sys.stderr.write(
            f"devenv: the secret key is in {path}; above is its public half, for `trusted-keys` under [caches]\n"
        )
    return 0


def _as_file(text: str) -> str:
    return text if "/" in text else f"./{text}"


def _add_public(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="a secret key: a name or a file")


def _public(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import read_secret_key
    from devenv.cli.commands.store_queries import print_lines

    print_lines([read_secret_key(context.bare_workplace(), arguments.key).public.to_text()])
    return 0


_KEY_SUBVERBS = (
    Subverb(
        name="generate",
        summary="make a key to sign with",
        description="Writes a new secret key to a file that only you can read, and prints its public half.",
        add_arguments=_add_generate,
        run=_generate,
        examples=(("devenv cache key generate team-1", ""),),
    ),
    Subverb(
        name="public", summary="print the public half of a secret key", add_arguments=_add_public, run=_public
    ),
)


def _add_key(parser: argparse.ArgumentParser) -> None:
    add_subverbs(parser, _KEY_SUBVERBS)


# trust


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "keys", nargs="*", metavar="KEY", help="public keys (default: those of this project's devenv.toml)"
    )


def _trust(arguments: argparse.Namespace, context: Context) -> int:
    from devenv.caching import trust_keys, untrusted_keys, user_config
    from devenv.formats.signing import PublicKey

    place = context.workplace() if arguments.keys else context.project.workplace
    given = [PublicKey.parse(key).to_text() for key in arguments.keys]
    keys = given or list(untrusted_keys(place, user_config(place)))
    if not keys:
        sys.stderr.write("devenv: there is no key in devenv.toml that you do not trust already\n")
        return 0
    path = trust_keys(place, keys)
    if not arguments.quiet:
        sys.stderr.write("".join(f"devenv: trusting {key}, noted in {path}\n" for key in keys))
    return 0


def offer_to_trust(context: Context, project: Project) -> None:
    """Ask whether keys that only devenv.toml names are trusted, where somebody is there to answer."""
    if not project.config.caches.trusted_keys or not (context.interactive or context.arguments.yes):
        return
    from devenv.caching import trust_keys, untrusted_keys, user_config

    place = project.workplace
    for key in untrusted_keys(place, user_config(place)):
        question = (
            f"devenv.toml names the key {key}.\nWhoever holds it can put objects into your store, which all your "
            "projects use. Trust it?"
        )
        if context.confirm(question, default=False):
            trust_keys(place, [key])


SUBVERBS = (
    Subverb(
        name="push",
        summary="copy objects into a cache",
        description=(
            "Copies store paths and all that they refer to into a cache, by default the environment of this project. "
            "What the cache has already is left alone."
        ),
        add_arguments=_add_push,
        run=_push,
        examples=(
            ("devenv cache push file:///srv/cache --key team-1", "this project's environment, signed"),
            ("devenv cache push https://cache.example.org .devenv/env", "what a link names"),
        ),
    ),
    Subverb(
        name="pull",
        summary="copy objects from a cache",
        description="Copies store paths and all that they refer to from one cache. `enter` does that by itself.",
        add_arguments=_add_pull,
        run=_pull,
    ),
    Subverb(
        name="serve",
        summary="be a cache for others",
        description=(
            "Serves everything in the store over HTTP, to devenv and to Nix, until it is ended. It prints its URL. "
            "There is no encryption and no login: put a web server in front of it where that matters."
        ),
        add_arguments=_add_serve,
        run=_serve,
    ),
    Subverb(name="key", summary="keys to sign with", add_arguments=_add_key, run=run_subverb),
    Subverb(
        name="trust",
        summary="trust the keys of this project's devenv.toml",
        description=(
            "Notes public keys in your own config.toml. What a trusted key signed may be put into your store, which "
            "all your projects use."
        ),
        add_arguments=_add_trust,
        run=_trust,
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subverbs(parser, SUBVERBS)


def run(arguments: argparse.Namespace, context: Context) -> int:
    return run_subverb(arguments, context)
