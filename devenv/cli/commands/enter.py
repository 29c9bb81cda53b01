"""devenv enter, when the warm path does not do"""

from __future__ import annotations

import argparse
import sys

from devenv import known
from devenv.basis import find_locked_python
from devenv.cli import warm
from devenv.cli.background import start_compiling
from devenv.cli.commands import lock as lock_command
from devenv.cli.commands.allow import ask_before_entering, note_plain_entry
from devenv.cli.commands.cache import offer_to_trust
from devenv.cli.context import Context
from devenv.cli.environment_libraries import library_notices
from devenv.errors import DevenvError
from devenv.instantiation import instantiate_project
from devenv.locking import lock_project
from devenv.preparation import prepare, realise_bytecode
from devenv.project import Project, StaleLock
from devenv.stamp import note_shell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", metavar="DIR", help="go into this directory first")
    parser.add_argument("-c", dest="line", metavar="LINE", help="run one line in your shell instead")
    parser.add_argument("--shell", metavar="NAME", help="which shell (default: your own)")
    parser.add_argument("--pure", action="store_true", help="start without the variables of your session")
    parser.add_argument(
        "--no-fhs",
        action="store_true",
        help="stay in the machine's own file system: system packages are found through variables, programs are patched copies",
    )
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="give a parameter of the environment a value"
    )
    parser.add_argument("--profile", action="append", metavar="NAME", help="add a profile of devenv.toml")
    parser.add_argument(
        "--build", metavar="NAME|DRV", help="enter the build of a recipe or derivation instead"
    )
    parser.add_argument(
        "--sandbox-path",
        action="append",
        metavar="PATH[=SOURCE][?]",
        help="with --build: show a path of this machine to all builds",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only say what would be fetched and built"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.build is not None:
        from devenv.cli.commands import enter_build

        return enter_build.run(arguments, context)
    request = _request(arguments)
    arguments.project = request.project or request.directory
    project = context.project
    if arguments.dry_run:
        return _foresee(arguments, project)
    try:
        project.current_lock()
    except StaleLock as stale:
        if not _offer_to_lock(context, stale):
            raise
        lock_command.report(lock_project(project))
    offer_to_trust(context, project)
    shell = request.line is None and request.program is None and context.interactive
    ask_before_entering(context, project, shell=shell)
    compile_when = context.environ.get("DEVENV_COMPILE", "background")
    if compile_when == "now":
        realise_bytecode(project)
    prepared = prepare(project)
    if shell:
        note_shell(project.root, prepared.spec, context.environ)
    if arguments.no_fhs:
        request.system = _relocated(prepared.spec, project, context)
    libraries = []
    if not known.was_entered(known.key(project.root, context.environ), context.environ):
        libraries = library_notices(project, prepared.spec, context)
        if not libraries and not prepared.notices:
            note_plain_entry(context, project)
    context.close()
    if not arguments.quiet:
        for notice in (*prepared.notices, *libraries):
            sys.stderr.write(f"devenv: {notice}\n")
    sys.stderr.flush()
    sys.stdout.flush()
    if prepared.uncompiled and compile_when == "background":
        start_compiling(project, context)
    warm.become(request, prepared.spec, project.root, context.environ)
    return 0


def _relocated(spec: str, project: Project, context: Context) -> str | None:
    """The system packages of the environment for use outside of their root; None if it has none."""
    from devenv.fhs.entering import root_of
    from devenv.fhs.relocation import relocated

    root = root_of(spec)
    if root is None:
        return None
    lock = project.lock
    python = find_locked_python(lock, context.environ) if lock is not None else None
    if python is not None and python.in_root:
        raise DevenvError(
            f"entering without the root of packages: Python {python.version} is one of them, and the Python "
            "environment of this project is made for its place in the root",
            hint="Enter without --no-fhs, or choose a Python of this machine in [packages].",
        )
    return relocated(root, events=context.settings.reporter)


def _foresee(arguments: argparse.Namespace, project: Project) -> int:
    from devenv.cli.commands.build import show_foreseen
    from devenv.foresight import foresee

    made, _ = instantiate_project(project)
    return show_foreseen(arguments, foresee(project.workplace.layout, made.targets))


def _offer_to_lock(context: Context, stale: StaleLock) -> bool:
    if context.interactive and not context.arguments.yes:
        sys.stderr.write(f"devenv: {stale}\n")
    return context.confirm("Lock now?")


def _request(arguments: argparse.Namespace) -> warm.Request:
    """The parsed command line in the warm path's form."""
    request = warm.Request()
    request.line, request.shell, request.pure = arguments.line, arguments.shell, arguments.pure
    request.program = arguments.program or None
    request.directory, request.project = arguments.directory, arguments.project
    if request.line is not None and request.program is not None:
        raise DevenvError("both -c LINE and -- PROG are given", hint="give one of them")
    return request
