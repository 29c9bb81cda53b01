"""`builtin:devenv-configure`: what the maintainer scripts of a set of packages change in its root.

env: `packages` the unpacked packages (see `deb`), by blanks; `architecture` the machine's, in dpkg's words. The output is
described in `devenv.views.root`.

The scripts are the packages' own and run in a sandbox: no network, nothing of the machine but /dev/null and its like,
user 0 of a namespace with a single user. They see the composed root through an overlay, whose upper layer takes what they
write; where the kernel has no such overlays, in a copy of it. What must not be kept is left out (`cleaning`).
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from devenv.derivations.builders.job import Job
from devenv.derivations.configuring import database, driver
from devenv.derivations.configuring.changes import copy_changes, keep, overlay_changes
from devenv.derivations.configuring.packages import Package, in_order, read_packages
from devenv.derivations.configuring.steps import Steps
from devenv.derivations.errors import BuildError
from devenv.errors import DevenvError
from devenv.events import Reporter
from devenv.sandbox import enter
from devenv.sandbox.building import Refused
from devenv.sandbox.errors import SandboxError
from devenv.sandbox.spec import (
    DEVICES,
    Bind,
    Directory,
    Mount,
    Overlay,
    Proc,
    SandboxSpec,
    Tmpfs,
    root_guards,
)
from devenv.store.tree import canonicalise, copy_tree, remove
from devenv.views.root import fill

# One that waits for an answer would wait for ever.
_LONGEST = 3600.0  # seconds
_LOOK_EVERY = 0.1  # seconds
_SHOWN_LINES = 12
_LITTLE = 1 << 20  # bytes
_POLICY = b"#!/bin/sh\nexit 101\n"  # invoke-rc.d(8): start nothing


def build(job: Job) -> tuple[str, ...]:
    """Configure. Returns what failed; raises BuildError when nothing could be done at all."""
    scratch = f"{job.target}.configuring"
    trees = job.env["packages"].split()
    try:
        packages = in_order(read_packages(trees))
        os.mkdir(scratch, 0o700)
        try:
            room = _Room(scratch, trees, packages, job.env["architecture"])
            room.run(job)
            room.keep(job.target)
            canonicalise(job.target)
            return tuple(room.failures())
        finally:
            remove(scratch)
    except BuildError:
        raise
    except DevenvError as error:
        raise BuildError(
            f"cannot configure {job.label}: {error}", package=job.label, hint=error.hint
        ) from error


class _Room:
    """The directories of one configuration, in `scratch`.

    lower    the composed root                  upper, work    an overlay's
    copy     another root, where there is none  run            /run/devenv inside
    base     empty
    """

    def __init__(
        self, scratch: str, trees: Sequence[str], packages: Sequence[Package], architecture: str
    ) -> None:
        self._scratch = scratch
        self._packages = packages
        self._is_copy = False
        self._since = 0
        for name in ("base", "upper", "work", "run", "run/bin", "run/log"):
            os.mkdir(f"{scratch}/{name}", 0o755)
        fill(f"{scratch}/lower", trees, None, Reporter())
        self._added = self._files(architecture)
        for name, (text, program) in driver.files(packages).items():
            _write(f"{scratch}/run/{name}", text.encode(), program=program)

    def _files(self, architecture: str) -> Mapping[str, tuple[bytes, bool]]:
        """What has to be there before scripts run: path -> contents, and whether it is a program."""
        text = database.status(sorted(self._packages, key=lambda each: each.key), self._contents)
        return {
            database.STATUS: (text.encode(), False),
            database.ARCHITECTURES: (database.architectures(self._packages, architecture).encode(), False),
            database.FORMAT: (database.FORMAT_TEXT.encode(), False),
            "usr/sbin/policy-rc.d": (_POLICY, True),
        }

    def _contents(self, path: str) -> bytes | None:
        place = f"{self._scratch}/lower{path}"
        if not os.path.isfile(place) or os.path.islink(place):
            return None
        with open(place, "rb") as file:
            return file.read()

    def run(self, job: Job) -> None:
        """Run the scripts. Raises BuildError when they cannot be run, or do not come to an end."""
        label = job.label
        count = self._read("run/scripts").count("\n")
        steps = Steps(f"{self._scratch}/run/running", job.target, count, job.reporter)
        self._prepare("upper")
        try:
            self._run(label, steps)
        except SandboxError as error:
            if not _is_about_overlays(error):
                raise BuildError(
                    f"cannot configure {label}: {error}", package=label, hint=error.hint
                ) from error
            self._copy()
            self._run(label, steps)
        steps.end()

    def _prepare(self, root: str) -> None:
        """Lay files and first links into the layer that takes the changes."""
        for path, (contents, program) in self._added.items():
            place = f"{self._scratch}/{root}/{path}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with suppress(FileNotFoundError):
                os.unlink(place)
            _write(place, contents, program=program)
        # Scripts call awk before mawk's own has made the link.
        for name in ("mawk", "gawk", "original-awk"):
            if os.path.exists(f"{self._scratch}/lower/usr/bin/{name}"):
                for path, target in (
                    ("etc/alternatives/awk", f"/usr/bin/{name}"),
                    ("usr/bin/awk", "/etc/alternatives/awk"),
                ):
                    place = f"{self._scratch}/{root}/{path}"
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    if not os.path.lexists(f"{self._scratch}/lower/{path}"):
                        os.symlink(target, place)
                return

    def _copy(self) -> None:
        """Make a second root that may be written to."""
        copy_tree(f"{self._scratch}/lower", f"{self._scratch}/copy")
        _make_writable(f"{self._scratch}/copy")
        marker = f"{self._scratch}/marker"
        _write(marker, b"")
        self._since = os.stat(marker).st_ctime_ns
        self._prepare("copy")
        self._is_copy = True

    def _run(self, label: str, steps: Steps) -> None:
        log = os.open(f"{self._scratch}/log", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            child = enter.run(
                self._sandbox(),
                ["/bin/sh", driver.DRIVER],
                driver.ENVIRONMENT,
                "/",
                stdin=nothing,
                stdout=log,
                stderr=log,
            )
            status = _wait(child, _LONGEST, steps)
        finally:
            os.close(log)
            os.close(nothing)
        if status is None:
            raise BuildError(
                f"cannot configure {label}: the scripts of {self._running()} did not end within {_LONGEST / 60:g} minutes",
                package=label,
            )
        if status or not os.path.exists(f"{self._scratch}/run/failed"):
            said = "".join(f"\n  {line}" for line in self._read("log").splitlines()[-_SHOWN_LINES:])
            raise BuildError(
                f"cannot configure {label}: the script that runs all others ended with status {status}{said}",
                package=label,
            )

    def _sandbox(self) -> SandboxSpec:
        root: Mount = (
            Bind(f"{self._scratch}/copy", "/", writable=True) if self._is_copy else Overlay(self._scratch)
        )
        devices = [Tmpfs("/dev"), *(mount for mount in DEVICES if mount != Directory("/dev"))]
        return SandboxSpec(
            mounts=(
                root,
                *devices,
                Proc(),
                *(root_guards(os.path.exists) if os.geteuid() == 0 else ()),
                Tmpfs("/run"),
                Tmpfs("/tmp", 0o1777),  # noqa: S108
                Bind(f"{self._scratch}/run", driver.RUN, writable=True),
            ),
            abstract_sockets=False,
            uid=0,
            gid=0,
            installs=True,
            base=f"{self._scratch}/base",
        )

    def keep(self, target: str) -> None:
        """Make the output."""
        self._check_space()
        lower = f"{self._scratch}/lower"
        changed = f"{self._scratch}/{'copy' if self._is_copy else 'upper'}"
        changes = (
            copy_changes(changed, lower, self._since) if self._is_copy else overlay_changes(changed, lower)
        )
        keep(changes, changed, target)

    def _check_space(self) -> None:
        """Scripts that found the disk full did something else than they do, and nothing of that may be kept."""
        found = os.statvfs(self._scratch)
        is_full = found.f_bavail * found.f_frsize < _LITTLE
        full = os.strerror(errno.ENOSPC)
        if is_full or any(
            full in self._read(f"run/log/{name}") for name in os.listdir(f"{self._scratch}/run/log")
        ):
            raise OSError(errno.ENOSPC, full, self._scratch)

    def failures(self) -> list[str]:
        """A line for each package whose scripts failed twice, with the last that they said."""
        found = []
        for line in self._read("run/failed").splitlines():
            number, key, *_ = line.split()
            said = self._read(f"run/log/{number}").splitlines()[-_SHOWN_LINES:]
            found.append(
                "; ".join([f"the configuration script of {key} failed", *(text.strip() for text in said)])
            )
        return found

    def _running(self) -> str:
        lines = self._read("run/running").splitlines()
        return lines[-1] if lines else "a package"

    def _read(self, name: str) -> str:
        try:
            with open(f"{self._scratch}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""


def _write(path: str, contents: bytes, *, program: bool = False) -> None:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755 if program else 0o644
    )
    with open(descriptor, "wb") as file:
        file.write(contents)


def _make_writable(root: str) -> None:
    for place, _, _ in os.walk(root):
        os.chmod(place, 0o700)


def _wait(child: int, longest: float, steps: Steps) -> int | None:
    """The exit status of a child, None for one that had to be killed."""
    ends = time.monotonic() + longest
    pidfd = os.pidfd_open(child)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while not (ended := bool(poll.poll(1000 * _LOOK_EVERY))) and time.monotonic() < ends:
            steps.look()
        if not ended:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(status) if ended else None


def _is_about_overlays(error: SandboxError) -> bool:
    """Whether it was the kernel's overlays that failed, as before Linux 5.11 or on file systems without attributes."""
    cause = error.__cause__
    return isinstance(cause, Refused) and cause.step == "mounting an overlay"
