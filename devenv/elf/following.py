"""What points at parts that move follows them: segments, sections, dynamic entries, symbols."""

from __future__ import annotations

import struct

from devenv.elf.layout import Layout
from devenv.elf.moving import NOTE_SEGMENTS, Part
from devenv.elf.numbers import PT_DYNAMIC, PT_INTERP, PT_PHDR, SHT_DYNSYM, SHT_SYMTAB, TABLE_TAGS
from devenv.elf.records import Section


def follow(made: Layout) -> None:
    """Everything by where it was: a new place may lie where another part was before."""
    for part in made.moving.values():
        offset, addr = made.placed[part.key]
        if part.kind == "headers":
            made.phoff = offset
            _set_segment(made, PT_PHDR, offset, addr)
            continue
        for old in made.ground.loaded:
            if part.offset <= old.offset < part.offset + part.size:
                section = _changing(made, old)
                section.offset = old.offset - part.offset + offset
                section.addr = old.addr - part.addr + addr
        _follow_segments(made, part, offset, addr)
    made.draft.dynamic = [
        (tag, _moved(made, value) if tag in TABLE_TAGS else value) for tag, value in made.draft.dynamic
    ]
    _follow_symbols(made)


def _moved(made: Layout, address: int) -> int:
    for part in made.moving.values():
        if part.kind != "headers" and part.addr <= address < part.addr + part.size:
            return address - part.addr + made.placed[part.key][1]
    return address


def _changing(made: Layout, section: Section) -> Section:
    return made.sections.setdefault(section.index, section.copy())


def _follow_segments(made: Layout, part: Part, offset: int, addr: int) -> None:
    if part.kind == "interpreter":
        _set_segment(made, PT_INTERP, offset, addr, made.size_of(part))
    elif part.kind == "dynamic":
        _set_segment(made, PT_DYNAMIC, offset, addr, made.size_of(part))
    elif made.draft.note_segment is not None and part.kind == "note":
        segment = made.draft.note_segment
        segment.offset, segment.vaddr, segment.paddr = offset, addr, addr
        segment.filesz = segment.memsz = made.size_of(part)
    else:
        for segment, old in zip(made.old_order(), made.elf.segments, strict=True):
            if segment.type in NOTE_SEGMENTS and part.holds(old.offset) and old.filesz:
                segment.offset = old.offset - part.offset + offset
                segment.vaddr = segment.paddr = old.vaddr - part.addr + addr


def _set_segment(made: Layout, type: int, offset: int, addr: int, size: int | None = None) -> None:
    for segment in made.segments:
        if segment.type == type:
            segment.offset = offset
            segment.vaddr = segment.paddr = addr
            if size is not None:
                segment.filesz = segment.memsz = size


def _follow_symbols(made: Layout) -> None:
    """Symbols of a moved section, such as _DYNAMIC, move with it."""
    moved = {
        number: (made.elf.sections[number].addr, s.addr - made.elf.sections[number].addr)
        for number, s in made.sections.items()
        if s.addr != made.elf.sections[number].addr
    }
    size = made.shape.sym.size
    at, step, value_at = (3, size // 2, 8) if made.shape.bits == 64 else (7, size // 2, 4)
    for table in made.elf.sections:
        if not moved or table.type not in (SHT_SYMTAB, SHT_DYNSYM) or table.size < size:
            continue
        data = made.elf.source.read(table.offset, table.size - table.size % size, "the symbols")
        indexes = made.shape.words(data, 2)[at::step]
        if moved.keys().isdisjoint(indexes):
            continue
        word = struct.Struct(made.shape.order + ("Q" if made.shape.bits == 64 else "I"))
        for number, index in enumerate(indexes):
            if index in moved:
                place = table.offset + number * size + value_at
                (value,) = word.unpack(made.draft.read(place, word.size, "the symbols"))
                old, distance = moved[index]
                if old <= value <= old + made.elf.sections[index].size:
                    made.draft.put(place, word.pack(value + distance))


def stay(made: Layout) -> None:
    """Lengths and contents of the parts that are where they were."""
    draft, ground = made.draft, made.ground
    part = ground.interpreter
    if part is not None and draft.interpreter is not None:
        size = len(draft.interpreter) + 1
        _resize(made, part, size)
        for segment in made.segments:
            if segment.type == PT_INTERP:
                segment.filesz = segment.memsz = size
        if part.key not in made.moving:
            draft.put(part.offset, (draft.interpreter + b"\0").ljust(part.size, b"\0"))
    part = ground.strings
    if part is not None and draft.strings_grew:
        _resize(made, part, len(draft.strings))
    if part is not None and part.key not in made.moving:
        for index, size in draft.overwritten:
            draft.put(part.offset + index, bytes(draft.strings[index : index + size]))
        if draft.strings_grew:
            old = made.elf.string_table[1]
            draft.put(part.offset + old, bytes(draft.strings[old:]))
    part = ground.dynamic
    if part is not None and part.key in made.moving:
        _resize(made, part, made.size_of(part))


def _resize(made: Layout, part: Part, size: int) -> None:
    for section in made.ground.loaded:
        if part.offset == section.offset:
            _changing(made, section).size = size
