"""Symbol versions: what a file needs of each library, what it defines, and where their names stand.

Source: LSB core specification, "Symbol Versioning" (structures Elfxx_Verneed, Vernaux, Verdef, Verdaux).
"""

from __future__ import annotations

import struct

from devenv.elf.elf import Elf
from devenv.elf.numbers import DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM

MAX_VERSIONS = 65_536  # version indexes are 15 bits wide
WEAK = 2


class Needed:
    """One version wanted of one library; the `_at` are offsets in the file of the fields that name and hash it."""

    __slots__ = ("file", "file_at", "flags", "hash_at", "index", "name", "name_at")

    def __init__(
        self, file: int, file_at: int, name: int, name_at: int, hash_at: int, flags: int, index: int
    ) -> None:
        self.file = file
        self.file_at = file_at
        self.name = name
        self.name_at = name_at
        self.hash_at = hash_at
        self.flags = flags
        self.index = index


class Defined:
    """One version that the file defines; the first of its names is its own, the others are its parents."""

    __slots__ = ("flags", "hash_at", "index", "name_ats", "names")

    def __init__(self, index: int, flags: int, hash_at: int, names: list[int], name_ats: list[int]) -> None:
        self.index = index
        self.flags = flags
        self.hash_at = hash_at
        self.names = names
        self.name_ats = name_ats


def _start(elf: Elf, table: int, number: int) -> tuple[int | None, int]:
    address, count = elf.value(table), elf.value(number)
    if address is None or not count:
        return None, 0
    if count > MAX_VERSIONS:
        raise elf.damaged(f"it has version records for {count} files")
    offset = elf.offset_of(address)
    if offset is None:
        raise elf.damaged(f"its version records at {address:#x} are not in the file")
    return offset, count


def needed_versions(elf: Elf) -> list[Needed]:
    """Every version that DT_VERNEED asks for, in order. Names are offsets into the string table."""
    at, count = _start(elf, DT_VERNEED, DT_VERNEEDNUM)
    outer, inner = struct.Struct(elf.shape.order + "HHIII"), struct.Struct(elf.shape.order + "IHHII")
    found: list[Needed] = []
    for _ in range(count):
        if at is None:
            break
        _, entries, file, aux, following = outer.unpack(elf.source.read(at, 16, "the needed versions"))
        inside = at + aux
        for _ in range(entries):
            _, flags, other, name, step = inner.unpack(elf.source.read(inside, 16, "the needed versions"))
            found.append(Needed(file, at + 4, name, inside + 8, inside, flags, other & 0x7FFF))
            _bound(elf, len(found))
            if not step:
                break
            inside += step
        at = at + following if following else None
    return found


def defined_versions(elf: Elf) -> list[Defined]:
    """Every version in DT_VERDEF, in order; the one flagged 1 (VER_FLG_BASE) names the file itself."""
    at, count = _start(elf, DT_VERDEF, DT_VERDEFNUM)
    outer, inner = struct.Struct(elf.shape.order + "HHHHIII"), struct.Struct(elf.shape.order + "II")
    found: list[Defined] = []
    total = 0
    for _ in range(count):
        if at is None:
            break
        _, flags, index, entries, _, aux, following = outer.unpack(elf.source.read(at, 20, "the versions"))
        names, name_ats, inside = [], [], at + aux
        for _ in range(entries):
            name, step = inner.unpack(elf.source.read(inside, 8, "the versions"))
            names.append(name)
            name_ats.append(inside)
            if not step:
                break
            inside += step
        found.append(Defined(index, flags, at + 8, names, name_ats))
        total += len(names)
        _bound(elf, total)
        at = at + following if following else None
    return found


def _bound(elf: Elf, count: int) -> None:
    if count > MAX_VERSIONS:
        raise elf.damaged(f"it has more than {MAX_VERSIONS} versions")


def needed_by_library(elf: Elf) -> dict[str, list[str]]:
    """Library -> the versions wanted of it, both in order of appearance."""
    found: dict[str, list[str]] = {}
    for entry in needed_versions(elf):
        found.setdefault(elf.string(entry.file), []).append(elf.string(entry.name))
    return found


def defined_names(elf: Elf) -> list[str]:
    """The names of the versions that the file defines, its own name left out."""
    return [
        elf.string(entry.names[0]) for entry in defined_versions(elf) if entry.names and not entry.flags & 1
    ]
