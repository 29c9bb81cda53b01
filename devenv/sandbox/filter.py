"""A seccomp filter under which no file gets what a store cannot hold: set-user-id bits, extended attributes.

Programs are told at once, as in Nix's sandbox, rather than have it taken away afterwards: chmod with such bits is not
permitted, attributes are not supported. Pure: a machine's name in, the bytes of a program for seccomp(2) out.

    instruction = code u16, jump if true u8, jump if false u8, operand u32        (<linux/filter.h>)
    input       = system call number u32, architecture u32, address u64, arguments 6 * u64    (struct seccomp_data)
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

_LOAD, _AND, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x06  # BPF_LD|W|ABS and so on
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000  # SECCOMP_RET_*
_SPECIAL_BITS = 0o6000


@dataclass(frozen=True, slots=True)
class _Calls:
    """Numbers of system calls. Modes are argument 1 of `chmod`, 2 of `chmod_at`."""

    architecture: int  # AUDIT_ARCH_*
    chmod: tuple[int, ...]
    chmod_at: tuple[int, ...]
    attributes: tuple[int, ...]
    mask: int = 0xFFFFFFFF


_GENERIC = ((52,), (53, 452), (5, 6, 7, 463))
_AMD64 = _Calls(
    0xC000003E, (90, 91), (268, 452), (188, 189, 190, 463), mask=0xBFFFFFFF
)  # x32's bit is not looked at
_I386 = _Calls(0x40000003, (15, 94), (306, 452), (226, 227, 228, 463))

_MACHINES = {
    "x86_64": (_AMD64, _I386),
    "aarch64": (_Calls(0xC00000B7, *_GENERIC),),
    "riscv64": (_Calls(0xC00000F3, *_GENERIC),),
}


def plain_files_filter(machine: str) -> bytes:
    """The filter for a machine (uname -m); b"" for one whose numbers are not known here."""
    return b"".join(_for_architecture(calls) for calls in _MACHINES.get(machine, ())) + (
        _instruction(_RETURN, _ALLOW) if machine in _MACHINES else b""
    )


def _for_architecture(calls: _Calls) -> bytes:
    """Goes on with what follows when the architecture is another."""
    body = [_instruction(_LOAD, _NUMBER_AT), _instruction(_AND, calls.mask)]
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
    body.append(_instruction(_RETURN, _ALLOW))
    head = _instruction(_LOAD, _ARCHITECTURE_AT)
    return head + _instruction(_EQUAL, calls.architecture, 0, len(body)) + b"".join(body)


def _when(number: int, then: list[bytes]) -> list[bytes]:
    return [_instruction(_EQUAL, number, 0, len(then)), *then]


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    # Little-endian machines only, where the low half of an argument comes first.
    return struct.pack("<HBBI", code, if_true, if_false, operand)
