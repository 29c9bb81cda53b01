"""What the header of a program for Windows says. After Microsoft's "PE Format", and "New Executable" for 16 bits."""

from __future__ import annotations

from typing import NamedTuple

_MACHINES = {0x14C: "i386", 0x8664: "amd64", 0xAA64: "arm64", 0x1C4: "armhf"}
_DLL = 0x2000
_CLI = 14  # the number of the data directory that only programs of the .NET runtime have


class Portable(NamedTuple):
    """machine: as distributions call it, "i8086" for 16-bit programs, "" for others; library: a DLL
    managed: code for the .NET runtime, whichever the system
    """

    machine: str
    library: bool = False
    managed: bool = False


def portable(head: bytes) -> Portable | None:
    """What the first bytes of a file say that begins with "MZ"; None where it is a program for DOS, or cut off."""
    at = int.from_bytes(head[60:64], "little")
    if head[at : at + 2] == b"NE":
        return Portable("i8086")
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 24:
        return None
    machine = int.from_bytes(head[at + 4 : at + 6], "little")
    flags = int.from_bytes(head[at + 22 : at + 24], "little")
    optional = at + 24
    wide = head[optional : optional + 2] == b"\x0b\x02"
    directory = optional + (112 if wide else 96) + 8 * _CLI
    managed = any(head[directory : directory + 4])
    return Portable(_MACHINES.get(machine, ""), bool(flags & _DLL), managed)
