"""Seccomp filters. Pure: a machine's name in, the bytes of a program for seccomp(2) out.

For builders, one under which no file gets what a store cannot hold: set-user-id bits, extended attributes. Programs are
told at once, as in Nix's sandbox, rather than have it taken away afterwards: chmod with such bits is not
permitted, attributes are not supported.

For programs that install packages, one that answers "done" to what root can do and a namespace with a single user
cannot: giving files to other users, becoming another user, making devices, setting extended attributes. Nothing is done.

    instruction = code u16, jump if true u8, jump if false u8, operand u32        (<linux/filter.h>)
    input       = system call number u32, architecture u32, address u64, arguments 6 * u64    (struct seccomp_data)
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass

_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06  # BPF_LD|W|ABS and so on
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000  # SECCOMP_RET_*
_SPECIAL_BITS = 0o6000


_TYPE_BITS, _CHARACTER_DEVICE, _BLOCK_DEVICE = 0o170000, 0o020000, 0o060000


@dataclass(frozen=True, slots=True)
class _Calls:
    """Numbers of system calls. Modes are argument 1 of `chmod`, 2 of `chmod_at`."""

    architecture: int  # AUDIT_ARCH_*
    chmod: tuple[int, ...]
    chmod_at: tuple[int, ...]
    attributes: tuple[int, ...]
    owner: tuple[int, ...]  # chown and its kin
    user: tuple[int, ...]  # setuid, setgid, setgroups and their kin
    mknod: tuple[int, ...]
    mknod_at: tuple[int, ...]
    mask: int = 0xFFFFFFFF


# Each in the order of the fields above, by the kernel's tables of system calls.
_GENERIC = (
    (52,),
    (53, 452),
    (5, 6, 7, 463),
    (54, 55),
    (143, 144, 145, 146, 147, 149, 151, 152, 159),
    (),
    (33,),
)
_AMD64 = _Calls(
    0xC000003E,
    (90, 91),
    (268, 452),
    (188, 189, 190, 463),
    (92, 93, 94, 260),
    (105, 106, 113, 114, 116, 117, 119, 122, 123),
    (133,),
    (259,),
    mask=0xBFFFFFFF,  # x32's bit is not looked at
)
_I386 = _Calls(
    0x40000003,
    (15, 94),
    (306, 452),
    (226, 227, 228, 463),
    (16, 95, 182, 198, 207, 212, 298),
    (23, 46, 70, 71, 81, 138, 139, 164, 170, 203, 204, 206, 208, 210, 213, 214, 215, 216),
    (14,),
    (297,),
)

_MACHINES = {
    "x86_64": (_AMD64, _I386),
    "aarch64": (_Calls(0xC00000B7, *_GENERIC),),
    "riscv64": (_Calls(0xC00000F3, *_GENERIC),),
}


def plain_files_filter(machine: str) -> bytes:
    """The filter for a machine (uname -m); b"" for one whose numbers are not known here."""
    return _whole(machine, _plain_files)


def installing_filter(machine: str) -> bytes:
    """The filter for installing packages; b"" for a machine whose numbers are not known here."""
    return _whole(machine, _installing)


def _whole(machine: str, body: Callable[[_Calls], list[bytes]]) -> bytes:
    parts = [_for_architecture(calls, body(calls)) for calls in _MACHINES.get(machine, ())]
    return b"".join(parts) + (_instruction(_RETURN, _ALLOW) if parts else b"")


def _for_architecture(calls: _Calls, rules: list[bytes]) -> bytes:
    """Goes on with what follows when the architecture is another."""
    body = [_instruction(_LOAD, _NUMBER_AT), _instruction(_AND, calls.mask), *rules]
    body.append(_instruction(_RETURN, _ALLOW))
    head = _instruction(_LOAD, _ARCHITECTURE_AT)
    return head + _instruction(_EQUAL, calls.architecture, 0, len(body)) + b"".join(body)


def _plain_files(calls: _Calls) -> list[bytes]:
    body: list[bytes] = []
    for argument, numbers in ((1, calls.chmod), (2, calls.chmod_at)):
        for number in numbers:
            body += _when(
                number,
                [
                    _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument),
                    _instruction(_ANY_BIT, _SPECIAL_BITS, 0, 1),
                    _instruction(_RETURN, _ERROR | errno.EPERM),
                    _instruction(_RETURN, _ALLOW),
                ],
            )
    for number in calls.attributes:
        body += _when(number, [_instruction(_RETURN, _ERROR | errno.ENOTSUP)])
    return body


def _installing(calls: _Calls) -> list[bytes]:
    done = _instruction(_RETURN, _ERROR)  # the error 0
    body: list[bytes] = []
    for number in (*calls.owner, *calls.user, *calls.attributes):
        body += _when(number, [done])
    for argument, numbers in ((1, calls.mknod), (2, calls.mknod_at)):
        for number in numbers:
            # Pipes and plain files can be made.
            body += _when(
                number,
                [
                    _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument),
                    _instruction(_AND, _TYPE_BITS),
                    _instruction(_EQUAL, _CHARACTER_DEVICE, 1, 0),
                    _instruction(_EQUAL, _BLOCK_DEVICE, 0, 1),
                    done,
                    _instruction(_RETURN, _ALLOW),
                ],
            )
    return body


def _when(number: int, then: list[bytes]) -> list[bytes]:
    return [_instruction(_EQUAL, number, 0, len(then)), *then]


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    # Little-endian machines only, where the low half of an argument comes first.
    return struct.pack("<HBBI", code, if_true, if_false, operand)
