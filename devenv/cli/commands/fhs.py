"""devenv fhs"""

from __future__ import annotations

import sys

from devenv.cli.warm import find_project
from devenv.errors import DevenvError
from devenv.roots import Wanted, machine_architecture, make, remembered, state_directory, with_shell
from devenv.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from devenv.cli.context import Context

_FRESH = 7 * 86400.0  # seconds for which what was seen of a base counts as present


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "packages", nargs="*", metavar="PKG", help="a package, also NAME:i386 or NAME=VERSION"
    )
    parser.add_argument("--base", metavar="BASE", help="debian/bookworm, debian/trixie, ...")
    parser.add_argument(
        "--update", action="store_true", help="take the newest versions, not those of the last time"
    )
    parser.add_argument(
        "--print-root", action="store_true", help="make it and print where it is; enter nothing"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    start = find_project(arguments.project or ".")
    place = context.workplace()
    packages = tuple(arguments.packages)
    if not arguments.program:
        packages = with_shell(packages, dict(context.environ))
    base = arguments.base or _default_base(start, context)
    wanted = Wanted(base=base, packages=packages, architecture=machine_architecture())
    root = None if arguments.update else remembered(place.layout, wanted)
    if root is None:
        root = make(place, wanted, max_age=0.0 if arguments.update else _FRESH)
    context.close()
    if arguments.print_root:
        print(root)
        return 0
    state = state_directory(place.layout, start, wanted.base)
    return _enter(root, state, arguments, context)


def enter_remembered(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Enter the root that this command line had before, if nothing but that is asked for; else return.

    Without the argument parser and what else makes roots, which take longer to load than entering takes.
    """
    request = _plain_request(words)
    start = find_project(".")
    if request is None or (request.base is None and start is not None):
        return
    from devenv.debian.default import default_base
    from devenv.store.layout import Layout

    packages = request.packages if request.program else with_shell(request.packages, dict(environ))
    base = request.base or default_base(None)
    layout = Layout.find(None, environ)
    wanted = Wanted(base=base, packages=packages, architecture=machine_architecture())
    root = remembered(layout, wanted)
    if root is not None:
        _become(root, state_directory(layout, start, base), request.program, environ, quiet=False)


@value(frozen=True)
class _Plain:
    """A command line that names a base at most, packages, and a program after "--"."""

    base: str | None
    packages: tuple[str, ...]
    program: tuple[str, ...]


def _plain_request(words: Sequence[str]) -> _Plain | None:
    own, mark, program = _divided(list(words))
    base = None
    if own[:1] == ["--base"] and len(own) > 1:
        base, own = own[1], own[2:]
    if any(word.startswith("-") for word in own) or (mark and not program):
        return None
    return _Plain(base=base, packages=tuple(own), program=tuple(program))


def _divided(words: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in words:
        return words, False, []
    place = words.index("--")
    return words[:place], True, words[place + 1 :]


def _default_base(start: str | None, context: Context) -> str:
    """The project's base, or that of this machine."""
    from devenv.debian.default import default_base
    from devenv.project import Project

    return default_base(Project(start, context.settings).config.base if start is not None else None)


def _enter(root: str, state: str, arguments: argparse.Namespace, context: Context) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    _become(root, state, arguments.program or (), context.environ, quiet=arguments.quiet)
    raise DevenvError("a program that was started came back")


def _become(
    root: str, state: str, program: Sequence[str], environ: Mapping[str, str], *, quiet: bool
) -> None:
    from devenv.fhs.session import become, shell_inside

    variables = dict(environ) | {"DEVENV_STATE": state}
    argv = list(program)
    if not argv:
        shell, missing = shell_inside(root, variables)
        if missing is not None and not quiet:
            sys.stderr.write(f"devenv: {missing} is not in this root, so this is bash\n")
            sys.stderr.flush()
        argv = [shell]
        variables["SHELL"] = shell
    become(root, state, argv, variables)
