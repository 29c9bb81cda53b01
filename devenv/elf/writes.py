"""The writes that bring a file to a layout, in an order in which it is a correct one at every moment.

If the first of them only extends the file: new bytes, program headers, dynamic entries, section headers, and only then
the clearing of what has moved.
"""

from __future__ import annotations

import struct

from devenv.elf.layout import Layout
from devenv.elf.moving import Part
from devenv.elf.noting import LongerTable
from devenv.elf.numbers import DT_MIPS_RLD_MAP_REL, PT_PHDR, SHN_XINDEX
from devenv.elf.patch import Patch


def writes_of(made: Layout) -> Patch:
    """The writes that bring the file to this layout."""
    writes: list[tuple[int, bytes]] = []
    copies: list[tuple[int, int, int]] = []
    old_size = size = made.elf.source.size
    extends = True
    longer: LongerTable | None = None
    if made.moving and made.tail is not None:
        for part in made.moving.values():
            writes.append((made.placed[part.key][0], _bytes(made, part)))
        end, extends = made.tail.end, min(at for at, _ in writes) >= old_size
        longer = _longer_table(made, end)
        if longer is not None:
            writes += longer.writes
            end = longer.end
        size = max(end, old_size) if extends else end
        if made.payload < old_size and not _found_from_the_start(made):
            copies.append((made.payload, old_size - made.payload, end))
            size = end + old_size - made.payload
            extends = False
    writes += _header_writes(made, longer)
    dynamic = made.ground.dynamic
    if dynamic is not None and dynamic.key not in made.moving and made.draft.dynamic != made.elf.dynamic:
        writes.append((dynamic.offset, _dynamic_bytes(made, dynamic)))
    gone = [(part.offset, part.offset + part.size) for part in made.moving.values()]
    for at, data in sorted(made.draft.changes.items()):
        if not any(start <= at < stop for start, stop in gone):
            writes.append((at, data))
    for number, section in sorted(made.sections.items()) if longer is None else ():
        at = made.elf.shoff + number * made.shape.shdr.size
        writes.append((at, made.shape.pack_section(section)))
    writes += _clearing(made, size)
    return Patch(writes, copies, size, extends)


def _longer_table(made: Layout, end: int) -> LongerTable | None:
    """The section headers with that of a new note, from `end` of the other parts; None where there are none, or no note."""
    if not made.draft.note or not made.elf.sections:
        return None
    if made.payload < made.elf.source.size and _found_from_the_start(made):
        raise made.draft.unsupported(
            "its image is looked for behind its section headers, which one more would move"
        )
    offset, address = made.placed["note", -1]
    names_in = made.elf.shstrndx
    if names_in == SHN_XINDEX:
        names_in = made.elf.sections[0].link
    note = (offset, address, len(made.draft.note))
    return LongerTable(made.elf, made.sections, note, end, names_in)


def _found_from_the_start(made: Layout) -> bool:
    """Is what follows the ELF file never looked for from the end of the file? Of anything else nobody knows that.

    AppImages of type 2 look for their squashfs image behind the section headers, which stay.
    """
    return made.elf.source.read(made.payload, 4, "what is appended") == b"hsqs"


def _header_writes(made: Layout, longer: LongerTable | None) -> list[tuple[int, bytes]]:
    """The program headers and what the file's header says of them; as one write where they adjoin."""
    elf, order = made.elf, made.shape.order
    header = bytearray(elf.source.read(0, elf.header_size, "the ELF header"))
    wide = made.shape.bits == 64
    struct.pack_into(order + ("Q" if wide else "I"), header, 32 if wide else 28, made.phoff)
    struct.pack_into(order + "H", header, 56 if wide else 44, len(made.segments))
    if longer is not None:
        struct.pack_into(order + ("Q" if wide else "I"), header, 40 if wide else 32, longer.offset)
        struct.pack_into(order + "H", header, 60 if wide else 48, longer.count)
    for at, data in made.draft.changes.items():
        if at < len(header):
            header[at : at + len(data)] = data
    table = _header_bytes(made)
    if made.phoff == len(header):
        return [(0, bytes(header) + table)]
    return [(made.phoff, table), (0, bytes(header))]


def _header_bytes(made: Layout) -> bytes:
    size = len(made.segments) * made.shape.phdr.size
    for segment in made.segments:
        if segment.type == PT_PHDR:
            segment.filesz = segment.memsz = size
    return b"".join(made.shape.pack_segment(s) for s in made.segments)


def _dynamic_bytes(made: Layout, part: Part) -> bytes:
    addr = made.placed.get(part.key, (part.offset, part.addr))[1]
    size = made.shape.dyn.size
    entries = list(made.draft.dynamic)
    for place, (tag, value) in enumerate(entries):
        if tag == DT_MIPS_RLD_MAP_REL:  # relative to the entry itself
            before = next(n for n, (old, _) in enumerate(made.elf.dynamic) if old == tag)
            value = made.elf.dynamic[before][1] + part.addr + before * size - addr - place * size
            entries[place] = (tag, value & ((1 << made.shape.bits) - 1))
    data = b"".join(made.shape.dyn.pack(*entry) for entry in entries)
    return data.ljust(made.size_of(part) if part.key in made.moving else part.size, b"\0")


def _bytes(made: Layout, part: Part) -> bytes:
    if part.kind == "headers":
        return _header_bytes(made)
    if part.kind == "strings":
        return bytes(made.draft.strings)
    if part.kind == "note":
        return made.draft.note
    if part.kind == "dynamic":
        return _dynamic_bytes(made, part)
    if part.kind == "interpreter" and made.draft.interpreter is not None:
        return made.draft.interpreter + b"\0"
    return made.draft.read(part.offset, part.size, "a part that moves")


def _clearing(made: Layout, size: int) -> list[tuple[int, bytes]]:
    """Zeros where parts were. Not over the dynamic section, which code may look for where the linker put it,
    nor over strings that such an old one leads to."""
    if not made.draft.clear_old:
        return []
    kept = {"dynamic", "headers"}
    if any(part.kind == "dynamic" for part in made.moving.values()):
        kept.add("strings")
    free = [
        (part.offset, part.offset + part.size)
        for part in made.moving.values()
        if part.kind not in kept or _in_old_tail(made, part)
    ]
    tables = [(made.phoff, made.phoff + len(made.segments) * made.shape.phdr.size)]
    if made.tail is not None and made.moving:
        tables.append((made.tail.offset, size))
    return [
        (start, bytes(stop - start))
        for low, high in free
        for start, stop in _without(low, min(high, size), tables)
    ]


def _in_old_tail(made: Layout, part: Part) -> bool:
    old = None
    if made.tail_was is not None and made.ground.loaded:
        old = next(s for s, o in zip(made.elf.segments, made.old_order(), strict=True) if o is made.tail_was)
    return old is not None and old.offset <= part.offset < old.end


def _without(low: int, high: int, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The range from `low` to `high` without those in `taken`."""
    ranges = [(low, high)]
    for start, stop in taken:
        ranges = [
            piece
            for a, b in ranges
            for piece in ((a, min(b, start)), (max(a, stop), b))
            if piece[0] < piece[1]
        ]
    return ranges
