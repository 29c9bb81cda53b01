"""Entering a root: this process moves into it and becomes the program. Nothing is forked.

So process id, terminal, job control, signals, open files and the exit status are those of the program, without a line
of code for any of them. The user keeps their number; a setuid program has no effect inside.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence

from devenv.env import compiler_cache
from devenv.errors import DevenvError
from devenv.fhs import state as states
from devenv.fhs.mounts import mounts
from devenv.sandbox import enter, syscalls
from devenv.sandbox.building import Refused
from devenv.sandbox.spec import Mount, SandboxSpec

# What a PATH made for another layout may lack.
PATHS = (
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/games",
    "/usr/games",
)
_CERTIFICATES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"),
    *("REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO"),
)
_OWN_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NOT_FOUND, NOT_STARTED = 127, 126


class SessionError(DevenvError):
    """A root cannot be entered."""


def move_in(root: str, state: str, more: Sequence[Mount] = ()) -> None:
    """Put this process into the composed root, in the directory where it is now, if there is such inside.

    `more` is mounted last, onto what is there. Raises SessionError where the machine does not allow it, saying how it can be allowed.
    """
    here = os.getcwd()
    made = prepared(root, state, more)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    except OSError as error:
        raise _refused("making namespaces", error.errno or errno.EPERM) from error
    try:
        enter.perform(made)
    except Refused as refused:
        raise _refused(refused.step, refused.code) from refused
    try:
        os.chdir(here)
    except OSError:
        os.chdir("/")


def prepared(root: str, state: str, more: Sequence[Mount] = ()) -> enter.Entry:
    """What entering the root does on this machine as it is now; the state directory is ready for it then."""
    shown = states.root(root)
    states.prepare(state, shown)
    spec = SandboxSpec(
        mounts=(*mounts(states.machine(), shown, state), *more),
        network=True,
        processes=False,
        ipc=False,
        hostname=None,
        uid=None,
        gid=None,
        base=f"{state}/base",
    )
    return enter.entry(spec)


def _refused(step: str, code: int) -> SessionError:
    from devenv.sandbox.probe import diagnose, read_setting

    found = diagnose(step, code, read_setting)
    return SessionError(
        f"entering a root of packages: {step}: {os.strerror(code)}; {found.reason}",
        hint=f"{found.remedy} `devenv doctor` looks at everything that is needed.",
    )


def variables(root: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` as it is to be inside: every directory of programs on PATH, certificates where they are."""
    found = dict(environ)
    path = [part for part in found.get("PATH", "").split(":") if part]
    found["PATH"] = ":".join([*path, *(each for each in PATHS if each not in path)])
    for name in _CERTIFICATES:
        place = found.get(name, "")
        if (
            place.startswith(("/etc/", "/usr/"))
            and not os.path.exists(root + place)
            and os.path.exists(place)
        ):
            found[name] = f"/run/host{place}"
    missing = "SSL_CERT_FILE" not in found and not os.path.exists(root + _OWN_CERTIFICATES)
    if missing and os.path.exists(_OWN_CERTIFICATES):
        found["SSL_CERT_FILE"] = f"/run/host{_OWN_CERTIFICATES}"
    if "SSL_CERT_FILE" in found and os.path.exists(f"{root}/usr/bin/cargo"):
        found.setdefault("CARGO_HTTP_CAINFO", found["SSL_CERT_FILE"])  # its libcurl heeds nothing else
    return found | compiler_cache.identity(root)


# The kernel gives a new user namespace only to a process with a single thread.
_AGAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devenv.fhs.session import main; main()"


def become(root: str, state: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """Enter the root and be `argv[0]` there, found by PATH inside. Raises SessionError, or does not return.

    With threads about it starts over as a new program, in the same process.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        import sys

        place = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        again = [sys.executable, "-I", "-S", "-c", _AGAIN, place, root, state, *argv]
        os.execve(sys.executable, again, dict(environ))  # noqa: S606
    _become(root, state, argv, environ)


def main() -> None:
    """`become`, by the arguments of this process: root, state, program ..."""
    import sys

    root, state, *argv = sys.argv[1:]
    try:
        _become(root, state, argv, dict(os.environ))
    except DevenvError as error:
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"devenv: error: {error}{hint}\n")
        sys.exit(1)


def _become(root: str, state: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
    inside = variables(root, environ)
    move_in(root, state)
    program = find_program(argv[0], inside["PATH"])
    if program is None:
        raise SessionError(
            f"starting {argv[0]}: there is no such program in this root",
            hint=f"`devenv locate bin/{os.path.basename(argv[0])}` says which package has it.",
        )
    # Python ignores these two; the program inherits what is ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(program, list(argv), inside)  # noqa: S606
    except OSError as error:
        raise SessionError(f"starting {program}: {error.strerror}") from error


def find_program(name: str, path: str) -> str | None:
    """The file that a program's name stands for."""
    if "/" in name:
        return name if os.path.isfile(name) and os.access(name, os.X_OK) else None
    for place in path.split(":"):
        program = f"{place or '.'}/{name}"
        if os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    return None


def shell_inside(root: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The user's shell, where the root has it, else bash; the name of theirs, if it is not there."""
    wanted = os.path.basename(environ.get("SHELL", "") or "bash")
    for place in ("usr/bin", "usr/local/bin"):
        if os.path.exists(f"{root}/{place}/{wanted}"):
            return f"/{place}/{wanted}", None
    return "/usr/bin/bash", wanted
