"""Why there are no sandboxes, and what to do about it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from devenv.sandbox.building import Refused
from devenv.sandbox.filter import _instruction
from devenv.sandbox.probe import diagnose, explained, probe

CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
MAXIMUM = "/proc/sys/user/max_user_namespaces"
APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
NAMESPACES = "making namespaces"

CASES: list[tuple[str, str, int, Mapping[str, str], str, str]] = [
    ("Debian's switch", NAMESPACES, errno.EPERM, {CLONE: "0"}, "unprivileged_userns_clone is 0", "=1"),
    ("the maximum", NAMESPACES, errno.ENOSPC, {MAXIMUM: "0"}, "max_user_namespaces is 0", "sysctl -w"),
    ("used up", NAMESPACES, errno.ENOSPC, {MAXIMUM: "100"}, "limit on namespaces is reached", "raise"),
    ("AppArmor", "mounting the root", errno.EACCES, {APPARMOR: "1"}, "AppArmor restricts", "userns,"),
    ("AppArmor, of ids", "mapping user ids", errno.EPERM, {APPARMOR: "1"}, "AppArmor restricts", "sysctl"),
    ("AppArmor, off", "mounting the root", errno.EACCES, {APPARMOR: "0"}, "security module", "log"),
    ("a chroot", NAMESPACES, errno.EPERM, {}, "this is a chroot, or a container", "seccomp=unconfined"),
    (
        "a filter",
        NAMESPACES,
        errno.EPERM,
        {"/proc/self/status": "Name:\tx\nSeccomp:\t2"},
        "forbids it here under a seccomp filter",
        "seccomp=unconfined",
    ),
    ("an old kernel", NAMESPACES, errno.ENOSYS, {}, "no user namespaces", "CONFIG_USER_NS"),
    ("root without a capability", "mapping user ids", errno.EPERM, {}, "may not map", "--cap-add SETFCAP"),
    ("a masked /proc", "mounting /proc", errno.EPERM, {}, "parts of /proc are hidden", "systempaths"),
    ("a ramdisk", "moving to the new root", errno.EINVAL, {}, "ramdisk", "disk"),
    ("anything else", "mounting the root", errno.ENOMEM, {}, "mounting the root failed: Cannot allocate", ""),
]


@pytest.mark.parametrize(
    ("step", "code", "files", "reason", "remedy"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_the_cause_is_found(step: str, code: int, files: Mapping[str, str], reason: str, remedy: str) -> None:
    found = diagnose(step, code, files.get)
    assert not found.works
    assert reason in found.reason
    assert remedy in found.remedy
    assert "{" not in found.reason


def test_a_missing_program_is_not_blamed_on_namespaces() -> None:
    error = explained(Refused("starting /x", errno.ENOENT), "building y")
    assert str(error) == "building y: starting /x failed: No such file or directory"
    assert "namespaces" not in str(explained(Refused("mounting /usr", errno.ENOENT), "building y"))


def said_in(*command: str, before: str = "") -> str:
    """What a trial says in a process that `command` starts, after `before`."""
    program = (
        f"{before}\nfrom devenv.sandbox.probe import probe\nfound = probe()\nprint(found.works, found.reason)"
    )
    done = subprocess.run(
        [*command, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_trial_says_whether_it_works_here() -> None:
    """By the same measure as another program's."""
    unshare = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False)
    assert probe().works == (unshare.returncode == 0)


def needs_unshare() -> None:
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces to try it in")


def test_a_limit_of_none_is_found() -> None:
    needs_unshare()
    before = f"open({MAXIMUM!r}, 'w').write('0')"
    assert said_in("unshare", "-Ur", before=before).startswith(
        "False the setting user.max_user_namespaces is 0"
    )


def test_a_chroot_is_found() -> None:
    needs_unshare()
    script = 'mount --rbind / /mnt && exec chroot /mnt "$@"'
    if subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no chroot to try it in")
    before = f"import os, sys; os.chdir({str(Path(__file__).parents[2])!r}); sys.path.insert(0, os.getcwd())"
    said = said_in("unshare", "-Urm", "sh", "-c", script, "sh", before=before)
    assert said.startswith("False the kernel forbids it here: this is a chroot, or")


def test_a_container_s_filter_is_found() -> None:
    numbers = {"x86_64": 56, "aarch64": 220}
    if os.uname().machine not in numbers:
        pytest.skip("the number of clone is not known here")
    rules = [
        _instruction(0x20, 0),
        _instruction(0x15, numbers[os.uname().machine], 0, 3),
        _instruction(0x20, 16),
        _instruction(0x45, 0x10000000, 0, 1),  # CLONE_NEWUSER
        _instruction(0x06, 0x00050000 | errno.EPERM),
        _instruction(0x06, 0x7FFF0000),
    ]
    before = (
        "from devenv.sandbox import syscalls\nsyscalls.forbid_new_privileges()\n"
        f"syscalls.filter_calls({b''.join(rules)!r})"
    )
    assert said_in(before=before).startswith("False the kernel forbids it here under a seccomp filter")
