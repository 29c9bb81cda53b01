"""Notes: build id, the kernel an ABI asks for, and the libraries a program opens by itself.

Sources: System V ABI, "Note Section"; the UAPI group's "ELF dlopen metadata" for owner FDO.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from devenv.elf.elf import Elf, text
from devenv.elf.numbers import NT_FDO_DLOPEN, NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, PT_NOTE, SHT_NOTE

MAX_NOTE = 1 << 20
MAX_NOTES = 4096


def notes(elf: Elf) -> Iterator[tuple[bytes, int, bytes]]:
    """(owner, type, description) of every note, from the segments, or the sections of a file that has none.

    Raises DamagedElf.
    """
    places = [(s.offset, s.filesz, s.align) for s in elf.segments if s.type == PT_NOTE]
    if not places:
        places = [(s.offset, s.size, s.align) for s in elf.sections if s.type == SHT_NOTE]
    count = 0
    for offset, size, align in places:
        if size > MAX_NOTE:
            raise elf.damaged(f"a note has {size} bytes")
        data = elf.source.read(offset, size, "a note")
        for note in _parse(elf, data, 8 if align == 8 else 4):
            count += 1
            if count > MAX_NOTES:
                raise elf.damaged(f"it has more than {MAX_NOTES} notes")
            yield note


def _parse(elf: Elf, data: bytes, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    head = struct.Struct(elf.shape.order + "III")
    at = 0
    while at + head.size <= len(data):
        owner_size, size, kind = head.unpack_from(data, at)
        owner_at = at + head.size
        at = _up(owner_at + owner_size, align)
        if at + size > len(data):
            raise elf.damaged(f"a note extends past its segment ({at + size} of {len(data)} bytes)")
        yield data[owner_at : owner_at + owner_size].rstrip(b"\0"), kind, data[at : at + size]
        at = _up(at + size, align)


def _up(value: int, align: int) -> int:
    return (value + align - 1) & -align


def build_id(elf: Elf) -> str | None:
    """The build id in hexadecimal."""
    for owner, kind, description in notes(elf):
        if owner == b"GNU" and kind == NT_GNU_BUILD_ID:
            return description.hex()
    return None


def kernel_wanted(elf: Elf) -> tuple[int, int, int] | None:
    """The oldest Linux that the file says it runs on."""
    for owner, kind, description in notes(elf):
        if owner == b"GNU" and kind == NT_GNU_ABI_TAG and len(description) >= 16:
            system, *version = struct.unpack_from(elf.shape.order + "IIII", description)
            if system == 0:
                return version[0], version[1], version[2]
    return None


class Opening:
    """Libraries of which a program opens one by itself. priority: required, recommended or suggested."""

    __slots__ = ("description", "feature", "priority", "sonames")

    def __init__(self, sonames: tuple[str, ...], feature: str, description: str, priority: str) -> None:
        self.sonames = sonames
        self.feature = feature
        self.description = description
        self.priority = priority


def dlopen_notes(elf: Elf) -> list[Opening]:
    """What the file declares that it opens. A declaration that cannot be read is left out: it is only advice."""
    found = []
    for owner, kind, description in notes(elf):
        if owner == b"FDO" and kind == NT_FDO_DLOPEN:
            found += _openings(text(description.rstrip(b"\0")))
    return found


def _openings(json_text: str) -> list[Opening]:
    import json

    try:
        declared = json.loads(json_text)
    except (ValueError, RecursionError):
        return []
    found = []
    for entry in declared if isinstance(declared, list) else []:
        names = entry.get("soname") if isinstance(entry, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
            continue
        priority = entry.get("priority")
        if priority not in ("required", "recommended", "suggested"):
            priority = "recommended"
        found.append(
            Opening(tuple(names), str(entry.get("feature", "")), str(entry.get("description", "")), priority)
        )
    return found
