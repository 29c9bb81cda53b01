"""The program's entry: the warm paths of `enter`, `fhs` and `run` first, everything else after its imports."""

from __future__ import annotations

import os
import sys


def _raise(error: BaseException) -> int:
    raise error


def run() -> None:
    """Run the command line of this process and exit with its status."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["enter"], ["fhs"], ["run"]):
        from devenv.errors import DevenvError

        try:
            # Replaces this process when nothing changed since the last time; returns otherwise.
            _start_warm(*arguments)
        except (DevenvError, KeyboardInterrupt) as error:
            from functools import partial

            from devenv.cli.failures import report_failures

            sys.exit(report_failures(partial(_raise, error), os.environ))
    if arguments[:1] == ["env"]:
        from devenv.cli import warm

        text = warm.show(arguments[1:], os.environ)
        if text is not None:
            sys.exit(_print(text))
    if arguments[:1] == ["patchelf"]:
        sys.exit(_patchelf(arguments[1:]))
    from devenv.cli.dispatch import main

    sys.exit(main(arguments))


def _start_warm(verb: str, *arguments: str) -> None:
    if verb == "enter":
        from devenv.cli import warm

        warm.enter(arguments, os.environ)
    elif verb == "run":
        from devenv.cli import warm_run

        warm_run.run(arguments, os.environ)
    else:
        from devenv.cli.commands import fhs

        fhs.enter_remembered(arguments, os.environ)


def _print(text: str) -> int:
    from devenv.cli.failures import report_failures

    def write() -> int:
        sys.stdout.write(text)
        sys.stdout.flush()
        return 0

    return report_failures(write, os.environ)


def _patchelf(arguments: list[str]) -> int:
    """Often started thousands of times in a row: without the imports of the other verbs."""
    from devenv.cli.commands import patchelf

    try:
        status = patchelf.main(arguments)
        sys.stdout.flush()
        return status
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - where it ends for every verb
        from functools import partial

        from devenv.cli.failures import report_failures

        return report_failures(partial(_raise, error), os.environ)
