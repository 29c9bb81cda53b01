"""What to execute for `devenv enter`: the user's shell, a line for it, or a program, in an environment.

This is on the way of every entering, so it imports next to nothing and reads two small files of the spec
object, at most.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from devenv.errors import DevenvError

FALLBACK_SHELL = "bash"

# With --pure, what belongs to the session and the machine stays: who and where the user is, terminal, display,
# language, and how the network is reached. Beside the environment, programs come from the base system.
PURE_PATH = "/usr/local/bin:/usr/bin:/bin"
_PURE_NAMES = frozenset(
    (
        *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "TERMINFO", "COLORTERM", "NO_COLOR"),
        *("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XAUTHORITY", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK"),
        *("DBUS_SESSION_BUS_ADDRESS", "GPG_TTY", "TMPDIR", "TZ", "LANG", "LANGUAGE", "DEVENV_NO_PROMPT"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"),
        *("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
        *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"),
    )
)
_PURE_PREFIXES = ("LC_",)


# Programs that read the files of a shell of another name.
_FAMILIES = {
    "csh": "tcsh",
    "powershell": "pwsh",
    **dict.fromkeys(("dash", "ash", "busybox", "ksh", "ksh93", "mksh", "lksh", "yash", "posh"), "sh"),
}


class EnterError(DevenvError):
    """The environment cannot be entered in the way that was asked for."""


def enter_command(
    *,
    shell: str | None,
    spec: str,
    project: str,
    environ: Mapping[str, str],
    line: str | None = None,
    argv: Sequence[str] | None = None,
    pure: bool = False,
    surroundings: Callable[[Mapping[str, str]], dict[str, str]] | None = None,
    hooks: str | None = None,
) -> tuple[list[str], dict[str, str]]:
    """The arguments and variables to execute with: `argv` itself, or the shell running `line`, or the shell.

    `shell` is a name or a path; without it the user's own is taken. `spec` is the store path of the spec object,
    `project` the project's absolute directory. `surroundings` changes the variables that the environment is laid over.
    `hooks`: the directory of the prompt hook's files, where the hook may enter instead. Raises EnterError.
    """
    kept = pure_environ(environ) if pure else dict(environ)
    if surroundings is not None:
        kept = surroundings(kept)
    if argv:
        return list(argv), apply_steps(spec, project, kept)
    own_name, program = choose_shell(shell, spec, environ)
    name = _FAMILIES.get(own_name, own_name)
    from devenv.env.launch import Refused, load

    try:
        launch = load(_read(spec, f"launch.{name}"), "interactive" if line is None else "command")
    except Refused as error:
        raise EnterError(
            f"entering the environment with {name}: {error}", hint="choose another shell with --shell"
        ) from error
    except ValueError as error:
        raise _unreadable(spec, f"launch.{name}", error) from error
    if launch.files and hooks is not None and not pure and _expects_hook(own_name, launch.files, hooks, kept):
        arguments, variables = list(launch.plain_arguments), kept
    else:
        arguments, variables = launch.command(environ=kept, spec=spec, line=line, pure=pure)
    variables["__devenv_spec"] = spec
    variables["__devenv_project"] = project
    return [program, *arguments], variables


def _expects_hook(name: str, files: tuple[str, ...], hooks: str, environ: dict[str, str]) -> bool:
    from devenv.env.hooked import expects_hook  # lines and programs have no use for it

    return expects_hook(name, files, hooks, environ)


def apply_steps(spec: str, project: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the environment entered, for a program that no shell stands before. Raises EnterError."""
    from devenv.env.apply import apply

    try:
        return apply(_read(spec, "steps"), environ, project=project, spec=spec)
    except ValueError as error:
        raise _unreadable(spec, "steps", error) from error


def pure_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What --pure leaves of the user's variables, and a PATH with only the base system in it."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _PURE_NAMES or name.startswith(_PURE_PREFIXES)
    }
    kept["PATH"] = PURE_PATH
    return kept


def choose_shell(asked: str | None, spec: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The name of the shell and the program to start. Raises EnterError for one that is not there.

    A login shell that devenv does not know is answered by bash and one line on standard error.
    """
    own = environ.get("SHELL", "")
    wanted = asked or own or FALLBACK_SHELL
    name = os.path.basename(wanted)
    supported = _supported(spec)
    if _FAMILIES.get(name, name) not in supported and asked is None and FALLBACK_SHELL in supported:
        sys.stderr.write(f"devenv: {name} is not supported yet, so this is {FALLBACK_SHELL}\n")
        name = wanted = FALLBACK_SHELL
    if _FAMILIES.get(name, name) not in supported:
        raise EnterError(
            f"entering the environment with {name}: this environment has files for {', '.join(supported) or 'no shell'}",
            hint="choose one of them with --shell, or run a program directly: devenv enter -- PROGRAM",
        )
    if "/" not in wanted and os.path.basename(own) == name:
        wanted = own
    program = _find_program(wanted, environ)
    if program is None and asked != wanted:  # a container may lack the path that $SHELL came with
        program = _find_program(name, environ)
    if program is None:
        raise EnterError(
            f"entering the environment with {name}: there is no program {wanted}",
            hint=f"install {name}, or choose one of {', '.join(supported)} with --shell",
        )
    return name, program


def _supported(spec: str) -> list[str]:
    try:
        entries = os.listdir(spec)
    except OSError as error:
        raise EnterError(
            f"entering the environment: {spec}: {error.strerror}",
            hint="it may have been collected as garbage: run `devenv enter` in the project to make it again",
        ) from error
    return sorted(entry.removeprefix("launch.") for entry in entries if entry.startswith("launch."))


def _find_program(wanted: str, environ: Mapping[str, str]) -> str | None:
    places = [""] if "/" in wanted else (environ.get("PATH") or PURE_PATH).split(":")
    for place in places:
        program = os.path.join(place, wanted)
        if os.path.isfile(program) and os.access(program, os.X_OK):
            return os.path.abspath(program)
    return None


def _read(spec: str, name: str) -> str:
    try:
        with open(os.path.join(spec, name), encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(spec, name, error.strerror) from error


def _unreadable(spec: str, name: str, problem: object) -> EnterError:
    return EnterError(
        f"entering the environment: reading {name} of {spec}: {problem}",
        hint="the object is incomplete or of another version of devenv; make the environment again",
    )
