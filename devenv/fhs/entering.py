"""Entering an environment that has a root of packages: into the root first, then as anywhere else.

What is needed inside is imported before: the machine's own Python library cannot be seen from there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from devenv.env import apply as _apply  # noqa: F401 - imported lazily where there is no root
from devenv.env import compiler_cache
from devenv.env import launch as _launch  # noqa: F401
from devenv.env.enter import FALLBACK_SHELL, enter_command
from devenv.errors import DevenvError
from devenv.fhs.session import SessionError, find_program, move_in, shell_inside, variables

_AGAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devenv.fhs.entering import main; main()"


def enter(
    *,
    root: str,
    spec: str,
    project: str,
    environ: Mapping[str, str],
    shell: str | None,
    line: str | None,
    argv: Sequence[str] | None,
    pure: bool,
) -> None:
    """Become the shell or program inside the composed root. Raises SessionError, or does not return.

    A new user namespace is given to a process with a single thread only; with more it starts over as a new program.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        asked = json.dumps([root, spec, project, shell, line, list(argv) if argv else None, pure])
        place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        again = [sys.executable, "-I", "-S", "-c", _AGAIN, place, asked]
        os.execve(sys.executable, again, dict(environ))  # noqa: S606
    _enter(root, spec, project, environ, shell, line, argv, pure)


def main() -> None:
    """`enter` in a new program: what is asked for is JSON in the one argument."""
    root, spec, project, shell, line, argv, pure = json.loads(sys.argv[1])
    try:
        _enter(root, spec, project, dict(os.environ), shell, line, argv, pure)
    except DevenvError as error:
        _end(error)


def _end(error: DevenvError) -> None:
    hint = f"\n  hint: {error.hint}" if error.hint else ""
    sys.stderr.write(f"devenv: error: {error}{hint}\n")
    sys.stderr.flush()
    os._exit(1)


def _enter(
    root: str,
    spec: str,
    project: str,
    environ: Mapping[str, str],
    shell: str | None,
    line: str | None,
    argv: Sequence[str] | None,
    pure: bool,
) -> None:
    state = os.path.join(project, ".devenv/state")
    inside = variables(root, environ)
    if shell is None and not argv:
        inside["SHELL"], missing = shell_inside(root, environ)
        if missing is not None:
            shell = FALLBACK_SHELL
            sys.stderr.write(
                f"devenv: {missing} is not among the system packages of this project, so this is {FALLBACK_SHELL}; "
                f'add "{missing}" to [packages] system to have it\n'
            )
    own = {"DEVENV_STATE": state, **compiler_cache.shell_variables(root, project, environ)}
    inside |= own
    has_cache = compiler_cache.is_in(root)  # which cannot be asked from inside
    if has_cache:
        from devenv.env.compiled_objects import trim_shell_daily

        trim_shell_daily(project)
    move_in(root, state)
    try:  # from here on nothing of the machine's Python can be loaded
        words, made = enter_command(
            shell=shell, spec=spec, project=project, environ=inside, line=line, argv=argv, pure=pure
        )
        made |= own
        if has_cache:
            made["PATH"] = compiler_cache.search_path(made.get("PATH", ""))
        program = find_program(words[0], made.get("PATH", ""))
        if program is None:
            raise SessionError(
                f"starting {words[0]}: there is no such program in this environment",
                hint=f"`devenv locate bin/{os.path.basename(words[0])}` says which package has it.",
            )
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execve(program, words, made)  # noqa: S606
    except DevenvError as error:
        _end(error)
    except OSError as error:
        _end(SessionError(f"starting {words[0]}: {error.strerror}"))


def root_of(spec: str) -> str | None:
    """The directory of the root that the spec object names, None for an environment without."""
    try:
        with open(os.path.join(spec, "root"), encoding="utf-8", errors="surrogateescape") as file:
            recipe = file.read().rstrip("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SessionError(f"entering the environment: reading root of {spec}: {error.strerror}") from error
    # As `Layout.views` has it, beside the store.
    return os.path.join(os.path.dirname(os.path.dirname(spec)), "state/views", os.path.basename(recipe))
