"""devenv loader install|remove|list"""

from __future__ import annotations

import argparse
import os
import sys

from devenv.cli.context import Context
from devenv.cli.foreign import surroundings
from devenv.cli.subverbs import Subverb, add_subverbs, run_subverb
from devenv.errors import DevenvError
from devenv.installing import loaders


def _add_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        help="where programs look: /lib64/ld-linux-x86-64.so.2, of a container's root perhaps",
    )
    parser.add_argument(
        "--base", metavar="BASE", help="where loader and libraries come from, such as debian/trixie"
    )
    parser.add_argument(
        "--package",
        metavar="PKG",
        action="append",
        default=[],
        help="also libraries of this package; may be repeated",
    )
    parser.add_argument("--loader", metavar="FILE", help="this real loader, not one of packages")
    parser.add_argument(
        "--library-path", metavar="DIR:...", default="", help="with --loader: where it finds libraries"
    )
    parser.add_argument(
        "--architecture", choices=("amd64", "i386"), help="of the programs (default: by the name of PATH)"
    )
    parser.add_argument(
        "--bare", action="store_true", help="no real loader: DEVENV_LD or NIX_LD will name it"
    )


def _install(arguments: argparse.Namespace, context: Context) -> int:
    place = loaders.check_place(arguments.path)
    architecture = arguments.architecture or loaders.architecture_of(place)
    if (arguments.bare or arguments.loader) and (arguments.base or arguments.package):
        raise DevenvError("installing a loader: --base and --package say what --loader and --bare leave out")
    if arguments.library_path and not arguments.loader:
        raise DevenvError("installing a loader: --library-path goes with --loader")
    root, loader, libraries = "", "", [part for part in arguments.library_path.split(":") if part]
    if arguments.loader:
        loader = os.path.abspath(arguments.loader)
    elif not arguments.bare:
        root, loader, libraries = _of_packages(arguments, context, architecture)
    loaders.place_loader(place, loader, libraries, architecture)
    loaders.keep_root(context.workplace().layout, place, root)
    context.close()
    print(place)
    return 0


def _of_packages(
    arguments: argparse.Namespace, context: Context, architecture: str
) -> tuple[str, str, list[str]]:
    """A root with the usual libraries and the packages named; its loader and its directories of libraries."""
    from devenv.fhs.relocation import library_directories, relocated
    from devenv.foreign.program import LOADERS
    from devenv.roots import Wanted, make, remembered

    around = surroundings(context, arguments.base)
    place = context.workplace()
    with around.suppliers(around.base) as suppliers:
        found = [suppliers.library(soname, architecture) for soname in loaders.USUAL]
        usual = {suppliers.qualified(name, architecture) or name for name in found if name is not None}
    packages = tuple(sorted({*usual, *arguments.package}))
    wanted = Wanted(base=around.base, packages=packages, architecture=around.machine)
    root = remembered(place.layout, wanted) or make(place, wanted, max_age=0.0)
    tree = relocated(root, events=place.settings.reporter)
    loader = f"{tree}{LOADERS[architecture]}"
    if not os.path.exists(loader):
        raise DevenvError(f"installing a loader: {around.base} has none at {LOADERS[architecture]}")
    return root, os.path.realpath(loader), [f"{tree}{name}" for name in library_directories(tree)]


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="where it was installed")


def _remove(arguments: argparse.Namespace, context: Context) -> int:
    loaders.remove_loader(context.workplace().layout, arguments.path)
    return 0


def _list(arguments: argparse.Namespace, context: Context) -> int:
    sys.stdout.write("".join(f"{path}\n" for path in loaders.installed_loaders(context.workplace().layout)))
    return 0


_VERBS = (
    Subverb(
        name="install",
        summary="place a loader for programs that find none",
        run=_install,
        add_arguments=_add_install,
        description=(
            "Writes a small static program to PATH. The kernel starts it for every program that names PATH as its loader; it maps\n"
            "the real one, which finds the libraries of packages, or those that you name, through LD_LIBRARY_PATH. That\n"
            "variable is gone before the program begins, so nothing that it starts sees it.\n\n"
            "Variables, first found first, each also with _x86_64_linux or _i686_linux at its end, which counts more:\n"
            "  DEVENV_LD, NIX_LD                              the real loader, in place of the one written in\n"
            "  DEVENV_LD_LIBRARY_PATH, NIX_LD_LIBRARY_PATH    directories of libraries, behind those of LD_LIBRARY_PATH"
        ),
        examples=(
            (
                "sudo env DEVENV_STORE_DIR=... devenv loader install /lib64/ld-linux-x86-64.so.2",
                "on a machine without /lib64",
            ),
            (
                "devenv loader install --bare root/lib64/ld-linux-x86-64.so.2",
                "in a container's root; variables say the rest",
            ),
            (
                "devenv loader install --loader /opt/glibc/ld.so --library-path /opt/glibc/lib PATH",
                "a C library of your own",
            ),
        ),
    ),
    Subverb(name="remove", summary="take a loader away", run=_remove, add_arguments=_add_path),
    Subverb(name="list", summary="show where loaders were placed", run=_list),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subverbs(parser, _VERBS)


run = run_subverb
