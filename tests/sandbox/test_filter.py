"""The filter, as instructions that a small interpreter runs, and in the kernel."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from devenv.sandbox.filter import installing_filter, plain_files_filter

ALLOW = 0x7FFF0000
DENY, UNSUPPORTED = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOTSUP
AMD64, I386, ARM64 = 0xC000003E, 0x40000003, 0xC00000B7


def run(program: bytes, number: int, architecture: int, *arguments: int) -> int:
    """What the kernel would do, see bpf(4): only the instructions that are used here."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("<HBBI", program, 8 * position)
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x45:
                position += if_true if accumulator & operand else if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"code {code:#x}")


CASES = [
    ("chmod 755", "x86_64", 90, AMD64, (0, 0o755), ALLOW),
    ("chmod 4755", "x86_64", 90, AMD64, (0, 0o4755), DENY),
    ("chmod 2755", "x86_64", 90, AMD64, (0, 0o2755), DENY),
    ("chmod 1777", "x86_64", 90, AMD64, (0, 0o1777), ALLOW),
    ("fchmod 6755", "x86_64", 91, AMD64, (0, 0o6755), DENY),
    ("fchmodat 4755", "x86_64", 268, AMD64, (0, 0, 0o4755), DENY),
    ("fchmodat with an odd path", "x86_64", 268, AMD64, (0, 0o4755, 0o755), ALLOW),
    ("fchmodat2 4755", "x86_64", 452, AMD64, (0, 0, 0o4755, 0), DENY),
    ("setxattr", "x86_64", 188, AMD64, (), UNSUPPORTED),
    ("getxattr", "x86_64", 191, AMD64, (), ALLOW),
    ("open", "x86_64", 2, AMD64, (0, 0o4755), ALLOW),
    ("chmod of x32", "x86_64", 90 | 0x40000000, AMD64, (0, 0o4755), DENY),
    ("chmod of i386", "x86_64", 15, I386, (0, 0o4755), DENY),
    ("number 90 of i386", "x86_64", 90, I386, (0, 0o4755), ALLOW),
    ("setxattr of i386", "x86_64", 226, I386, (), UNSUPPORTED),
    ("fchmodat of arm", "aarch64", 53, ARM64, (0, 0, 0o4755), DENY),
    ("number 90 of arm", "aarch64", 90, ARM64, (0, 0o4755), ALLOW),
    ("another architecture", "aarch64", 53, 1, (0, 0, 0o4755), ALLOW),
]


@pytest.mark.parametrize(
    ("machine", "number", "architecture", "arguments", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_only_special_bits_and_attributes_are_stopped(
    machine: str, number: int, architecture: int, arguments: tuple[int, ...], expected: int
) -> None:
    assert run(plain_files_filter(machine), number, architecture, *arguments) == expected


DONE = 0x00050000  # the error 0

INSTALLING_CASES = [
    *((f"owner {number}", "x86_64", number, AMD64, (), DONE) for number in (92, 93, 94, 260)),
    *(
        (f"owner of i386 {number}", "x86_64", number, I386, (), DONE)
        for number in (16, 95, 182, 198, 207, 212, 298)
    ),
    *((f"owner of arm {number}", "aarch64", number, ARM64, (), DONE) for number in (54, 55)),
    ("setgroups", "x86_64", 116, AMD64, (), DONE),
    ("setresuid", "x86_64", 117, AMD64, (), DONE),
    ("setgroups of i386", "x86_64", 81, I386, (), DONE),
    ("setgroups32 of i386", "x86_64", 206, I386, (), DONE),
    ("setgroups of arm", "aarch64", 159, ARM64, (), DONE),
    ("setxattr", "x86_64", 188, AMD64, (), DONE),
    ("mknod of a character device", "x86_64", 133, AMD64, (0, 0o020666), DONE),
    ("mknod of a block device", "x86_64", 133, AMD64, (0, 0o060666), DONE),
    ("mknod of a pipe", "x86_64", 133, AMD64, (0, 0o010666), ALLOW),
    ("mknod of a socket", "x86_64", 133, AMD64, (0, 0o140666), ALLOW),
    ("mknod of a file", "x86_64", 133, AMD64, (0, 0o100666), ALLOW),
    ("mknodat of a device", "x86_64", 259, AMD64, (0, 0, 0o020666), DONE),
    ("mknodat, its path no mode", "x86_64", 259, AMD64, (0, 0o020666, 0o010666), ALLOW),
    ("mknod of i386", "x86_64", 14, I386, (0, 0o020666), DONE),
    ("mknodat of i386", "x86_64", 297, I386, (0, 0, 0o060666), DONE),
    ("mknodat of arm", "aarch64", 33, ARM64, (0, 0, 0o020666), DONE),
    ("chmod 4755", "x86_64", 90, AMD64, (0, 0o4755), ALLOW),
    ("open", "x86_64", 2, AMD64, (), ALLOW),
    ("number 92 of i386", "x86_64", 92, I386, (), ALLOW),
    ("another architecture", "x86_64", 92, 1, (), ALLOW),
]


@pytest.mark.parametrize(
    ("machine", "number", "architecture", "arguments", "expected"),
    [case[1:] for case in INSTALLING_CASES],
    ids=[case[0] for case in INSTALLING_CASES],
)
def test_who_installs_is_told_that_it_is_done(
    machine: str, number: int, architecture: int, arguments: tuple[int, ...], expected: int
) -> None:
    assert run(installing_filter(machine), number, architecture, *arguments) == expected


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    assert plain_files_filter("vax") == installing_filter("vax") == b""
    assert plain_files_filter(os.uname().machine) != b"", "the sandbox tests of this machine need one"
