"""Making a plan true: the root is made, drivers and libraries are brought in, the program is started and watched."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from devenv.fhs.relocation import library_directories, relocated
from devenv.foreign import drivers
from devenv.foreign.environ import variables
from devenv.foreign.errors import ForeignError
from devenv.foreign.launching import Launch, command
from devenv.foreign.patching import patched_copy
from devenv.foreign.plans import Plan
from devenv.foreign.systems import System
from devenv.foreign.verdict import HOST
from devenv.formats.hashes import Hash
from devenv.roots import lock, make, remembered, state_directory
from devenv.sandbox.syscalls import die_with_parent
from devenv.store.last_use import mark_program_used
from devenv.values import replaced
from devenv.workplace import Workplace

_FRESH = 7 * 86400.0  # seconds for which what was seen of a base counts as present
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT)
# (packages, bytes to fetch) -> go on?
Confirm = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is to be started: words, variables, and the launch that they came from where there is a root.

    drawing: the variables of drivers among those of the launch; made: what was made for it and may be cleaned away
    """

    argv: list[str]
    environ: dict[str, str]
    launch: Launch | None
    drawing: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()


def ready(
    place: Workplace,
    plan: Plan,
    machine: str,
    arguments: Iterable[str],
    environ: Mapping[str, str],
    confirm: Confirm,
    *,
    patched: bool = False,
) -> Started:
    """Make what the plan needs, and say what to start: `patched`, a copy that needs no namespaces.

    Raises what the making does.
    """
    words = (*plan.prefix, plan.start, *arguments)
    mark_program_used(place.layout.cache, plan.start)
    if plan.route == HOST:
        return Started(argv=[*words], environ=dict(environ), launch=None)
    root = root_for(place, plan, machine, confirm)
    if patched:
        tree = relocated(root, events=place.settings.reporter)
        libraries = [f"{tree}{name}" for name in library_directories(tree)]
        copy = patched_copy(plan, tree, libraries, place.layout.cache)
        words = (*plan.prefix, copy, *arguments)
        return Started(argv=[*words], environ=dict(environ), launch=None, made=(copy, tree))
    state = state_directory(place.layout, None, plan.base)
    launch = Launch(
        root=root, state=state, argv=words, environ=variables(root, environ), tied=not plan.proven
    )
    launch, drawing = _with_drivers(launch, plan)
    return Started(argv=command(launch), environ=dict(environ), launch=launch, drawing=drawing)


def root_for(place: Workplace, plan: Plan, machine: str, confirm: Confirm) -> str:
    """The directory of the plan's root, made if it is not there and the user agrees. Raises ForeignError if not."""
    wanted = plan.wanted(machine)
    root = remembered(place.layout, wanted)
    if root is not None:
        return root
    locked = lock(place, wanted, max_age=_FRESH)
    if not confirm(len(locked.packages), sum(deb.size for deb in locked.packages)):
        raise ForeignError(
            plan.start,
            f"needs {', '.join(plan.packages)} of {plan.base}, which are not here",
            hint="Answer the question on a terminal, or give --yes.",
        )
    return make(place, wanted, max_age=_FRESH, locked=locked)


def _with_drivers(launch: Launch, plan: Plan) -> tuple[Launch, Mapping[str, str]]:
    """The launch with this machine's drivers, and with libraries of the program's own, known to the root's loader.

    Also the variables of the drivers, which are among those of the launch.
    """
    key = Hash.of("sha256", "\0".join([launch.root, plan.architecture, *plan.beside]).encode()).nix32[:32]
    folder = f"{launch.state}/foreign/{key}"
    found = drivers.imported(
        drivers.graphics(), plan.features, plan.architecture, System(), folder, launch.environ
    )
    launch = replaced(launch, environ={**launch.environ, **found.environ})
    directories = list(plan.beside)
    if found.links:
        directories.append(f"{folder}/{drivers.library_directory(plan.architecture)}")
    _write(folder, found, plan.architecture)
    if not directories or plan.libc == "musl":
        return launch, found.environ
    _write_cache(launch, folder, directories)
    bind = (f"{folder}/ld.so.cache", "/etc/ld.so.cache", False)
    return replaced(launch, binds=(*launch.binds, bind)), found.environ


def _write(folder: str, found: drivers.Imported, architecture: str) -> None:
    place = f"{folder}/{drivers.library_directory(architecture)}"
    try:
        for name, target in found.links.items():
            os.makedirs(place, exist_ok=True)
            with suppress(FileNotFoundError):
                os.unlink(f"{place}/{name}")
            os.symlink(target, f"{place}/{name}")
        for name, text in found.files.items():
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ForeignError(folder, f"cannot be written to: {error.strerror}") from error


def _write_cache(launch: Launch, folder: str, directories: list[str]) -> None:
    """Have the root's own ldconfig write a cache with `directories`, so that no variable leaks into children."""
    os.makedirs(folder, exist_ok=True)
    lines = [*directories, "include /etc/ld.so.conf"]
    text = "".join(f"{line}\n" for line in lines)
    with suppress(OSError), open(f"{folder}/ld.so.conf", encoding="utf-8") as file:
        if file.read() == text and os.path.exists(f"{folder}/ld.so.cache"):
            return
    with open(f"{folder}/ld.so.conf", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    words = ("/sbin/ldconfig", "-X", "-C", f"{folder}/ld.so.cache", "-f", f"{folder}/ld.so.conf")
    done = subprocess.run(
        command(replaced(launch, argv=words)), capture_output=True, text=True, errors="replace"
    )
    if done.returncode != 0:
        raise ForeignError(folder, f"ldconfig failed in the root: {done.stderr.strip()}")


def become(started: Started) -> None:
    """This process becomes the program: its id, terminal and exit status are the program's. Raises ForeignError."""
    try:
        os.execve(started.argv[0], started.argv, started.environ)  # noqa: S606
    except OSError as error:
        raise _not_started(started.argv[0], error) from error


def watch(started: Started) -> int:
    """Start it, wait, and give its status as subprocess does: negative for a signal. Signals are passed on."""
    try:
        tied = None if started.launch is not None else partial(die_with_parent, signal.SIGKILL)
        # There are no threads by now: the display of progress is closed.
        child = subprocess.Popen(started.argv, env=started.environ, preexec_fn=tied)  # noqa: PLW1509
    except OSError as error:
        raise _not_started(started.argv[0], error) from error
    before = {number: signal.signal(number, lambda got, _: child.send_signal(got)) for number in _PASSED_ON}
    # The terminal sends these to the child as well, which decides for both.
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_started(path: str, error: OSError) -> ForeignError:
    hint = None
    if isinstance(error, PermissionError):
        hint = f"Downloads are often not executable: chmod +x {shlex.quote(path)}"
    if isinstance(error, FileNotFoundError) and os.path.exists(path):
        return ForeignError(path, "cannot be started: its loader or interpreter is not on this machine")
    return ForeignError(path, f"cannot be started: {error.strerror}", hint=hint)
