"""The process that moves into a root and becomes a foreign program. Started with a JSON document in its one argument.

    {"root": ..., "state": ..., "argv": [...], "environ": {...}, "binds": [[source, target, writable], ...], "tied": ...}

A new process, because the kernel gives a user namespace only to one with a single thread.
"""

from __future__ import annotations

import os
import signal
import sys

from devenv.errors import DevenvError
from devenv.fhs.session import NOT_FOUND, NOT_STARTED, find_program, move_in
from devenv.fhs.session import variables as session_variables
from devenv.sandbox import syscalls
from devenv.sandbox.spec import Bind
from devenv.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devenv.foreign.launching import main; main()"


class NotThere(DevenvError):
    """The root has no program of this name."""


@value(frozen=True, slots=True, kw_only=True)
class Launch:
    """A program to start in a root. binds: (source, target, writable); tied: it ends when its parent does"""

    root: str
    state: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    binds: tuple[tuple[str, str, bool], ...] = ()
    tied: bool = False


def command(launch: Launch) -> list[str]:
    """The words that start a process which becomes the program."""
    import json

    place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    document = {
        "root": launch.root,
        "state": launch.state,
        "argv": list(launch.argv),
        "environ": dict(launch.environ),
        "binds": [list(bind) for bind in launch.binds],
        "tied": launch.tied,
    }
    return [sys.executable, "-I", "-S", "-c", _START, place, json.dumps(document)]


def main() -> None:
    """`become` what the argument says. Exits with 126 or 127 and a line on stderr where that fails."""
    import json

    asked = json.loads(sys.argv[1])
    asked["binds"] = tuple((source, target, writable) for source, target, writable in asked["binds"])
    try:
        become(Launch(**asked))
    except NotThere as error:
        _end(error, NOT_FOUND)
    except DevenvError as error:
        _end(error, NOT_STARTED)


def become(launch: Launch) -> NoReturn:
    """This process, which has one thread, is the program from now on. Raises DevenvError, NotThere among them."""
    inside = session_variables(launch.root, launch.environ)
    move_in(launch.root, launch.state, [Bind(*bind) for bind in launch.binds])
    if launch.tied:  # only now: a new namespace takes it back
        syscalls.die_with_parent(signal.SIGKILL)
    argv = list(launch.argv)
    program = find_program(argv[0], inside["PATH"])
    if program is None:
        raise NotThere(f"starting {argv[0]}: there is no such program in this root")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two; a program inherits that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, argv, inside)  # noqa: S606
    except OSError as error:
        raise DevenvError(f"starting {program}: {_meaning(program, argv, error)}") from error


def _meaning(program: str, argv: Sequence[str], error: OSError) -> str:
    """The kernel says "no such file" of the program, too, when it means the loader or the script's interpreter."""
    if isinstance(error, FileNotFoundError) and os.path.exists(program):
        return "its loader or interpreter is not in this root"
    return os.strerror(error.errno or 0)


def _end(error: DevenvError, status: int) -> NoReturn:
    hint = f"\n  hint: {error.hint}" if error.hint else ""
    sys.stderr.write(f"devenv: error: {error}{hint}\n")
    sys.stderr.flush()
    os._exit(status)
