"""Whether this machine lets its users make sandboxes, and if not, why and what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass

from devenv.sandbox.building import Refused
from devenv.sandbox.errors import SandboxError


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a trial showed. `reason` is a sentence's end ("..., because"), `remedy` a sentence; both "" where all is well."""

    works: bool
    reason: str = ""
    remedy: str = ""


def probe() -> Probe:
    """Make a sandbox, and see. Takes some milliseconds."""
    from devenv.sandbox import enter
    from devenv.sandbox.spec import DEVICES, Proc, SandboxSpec

    spec = SandboxSpec(mounts=(*DEVICES, Proc()))
    try:
        # There is no program in it, so the last step must fail, and no other.
        enter._start(*enter.request(spec, ["/no program"], {}, "/"), (0, 1, 2))
    except Refused as refused:
        if refused.step.startswith("starting "):
            return Probe(works=True)
        return diagnose(refused.step, refused.code, read_setting)
    raise AssertionError("a program that does not exist was started")


def read_setting(path: str) -> str | None:
    """A file of /proc or /sys without blanks around it, None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return None


Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class _Switch:
    """A setting that forbids user namespaces: `path` has the value `off`."""

    path: str
    off: str
    reason: str
    remedy: str


_SWITCHES = (
    _Switch(
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "the setting kernel.unprivileged_userns_clone is 0",
        "Have the administrator run: sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    _Switch(
        "/proc/sys/user/max_user_namespaces",
        "0",
        "the setting user.max_user_namespaces is 0",
        "Have the administrator run: sysctl -w user.max_user_namespaces=15000",
    ),
    _Switch(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)",
        "Have the administrator run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (or give this Python "
        "an AppArmor profile with the rule 'userns,')",
    ),
)


def diagnose(step: str, code: int, read: Read) -> Probe:
    """Why `step` of entering failed with errno `code`. `read` gives the contents of a file, or None."""
    for switch in _SWITCHES:
        if code in (errno.EPERM, errno.EACCES, errno.ENOSPC) and read(switch.path) == switch.off:
            return _fails(switch.reason, switch.remedy)
    for applies, reason, remedy in _CAUSES:
        if applies(step, code):
            return _fails(_filled(reason, step, code, read), remedy)
    return _fails(f"{step} failed: {os.strerror(code)}", "")


def _fails(reason: str, remedy: str) -> Probe:
    return Probe(works=False, reason=reason, remedy=remedy)


def _filled(reason: str, step: str, code: int, read: Read) -> str:
    confined = " under a seccomp filter" if _is_filtered(read) else ""
    return reason.format(step=step, error=os.strerror(code), confined=confined)


def _is_filtered(read: Read) -> bool:
    lines = (read("/proc/self/status") or "").splitlines()
    return any(line.split() == ["Seccomp:", "2"] for line in lines)


def _is(prefix: str, *codes: int) -> Callable[[str, int], bool]:
    return lambda step, code: step.startswith(prefix) and code in codes


_IN_CONTAINER = (
    "If this is a container, start it with user namespaces allowed, for example: --security-opt seccomp=unconfined "
    "--security-opt systempaths=unconfined"
)

_CAUSES: tuple[tuple[Callable[[str, int], bool], str, str], ...] = (
    (
        _is("making namespaces", errno.ENOSPC, errno.EUSERS),
        "the machine's limit on namespaces is reached",
        "Have the administrator raise user.max_user_namespaces and the other user.max_*_namespaces (sysctl).",
    ),
    (
        _is("making namespaces", errno.EPERM, errno.EACCES),
        "the kernel forbids it here{confined}: this is a chroot, or a container without that right",
        _IN_CONTAINER,
    ),
    (
        _is("making namespaces", errno.ENOSYS, errno.EINVAL),
        "this kernel has no user namespaces, or a filter hides them{confined}",
        "Use a kernel with CONFIG_USER_NS (all distributions have one), Linux 5.3 or newer.",
    ),
    (
        _is("mapping user ids", errno.EPERM, errno.EACCES),
        "this process may not map its own user id into a new user namespace",
        "As root in a container this needs a capability: start it with --cap-add SETFCAP, or be an ordinary user.",
    ),
    (
        _is("mounting /proc", errno.EPERM, errno.EACCES),
        "parts of /proc are hidden here, so no new one may be mounted",
        _IN_CONTAINER,
    ),
    (
        _is("mounting ", errno.EPERM, errno.EACCES),
        "a security module forbids to mount inside of a user namespace ({step}: {error})",
        "Have the administrator allow that for this Python, or see what the kernel's log says about it.",
    ),
    (
        _is("moving to the new root", errno.EINVAL, errno.EPERM),
        "the root directory of this system is not a mount of its own (an initial ramdisk)",
        "Start it from a disk or in a container.",
    ),
)


def explained(refused: Refused, doing: str) -> SandboxError:
    """The error that tells a person what the kernel refused, and how to allow it."""
    if refused.step.startswith(("starting ", "entering /")):  # all of the sandbox itself stands by then
        return SandboxError(f"{doing}: {refused.step} failed: {os.strerror(refused.code)}")
    found = diagnose(refused.step, refused.code, read_setting)
    if refused.code == errno.ENOENT or (not found.remedy and refused.step.startswith("mounting /")):
        return SandboxError(f"{doing}: {refused.step} failed: {os.strerror(refused.code)}")
    return SandboxError(
        f"{doing}: user namespaces do not work here, as {found.reason}", hint=found.remedy or None
    )
