"""From a draft to writes: what fits stays where it is, the rest goes to a segment of its own at the end.

The result is a value; `rewriting` performs it. Writes come in an order in which the file is a correct one at every
moment, if the first of them only extends it: new bytes, program headers, dynamic entries, section headers, and only
then the clearing of what has moved.
"""

from __future__ import annotations

import struct

from devenv.elf.draft import Draft
from devenv.elf.elf import Elf, text
from devenv.elf.errors import ElfError
from devenv.elf.moving import NOTE_SEGMENTS, Part, Terrain
from devenv.elf.noting import ALIGN, LongerTable
from devenv.elf.numbers import (
    DT_MIPS_RLD_MAP_REL,
    DT_STRSZ,
    PAGE_SIZE,
    PAGE_SIZES,
    PF_R,
    PF_W,
    PF_X,
    PN_XNUM,
    PRELINK_TAGS,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    PT_PHDR,
    SHN_XINDEX,
    SHT_DYNSYM,
    SHT_SYMTAB,
    STRING_TAGS,
    TABLE_TAGS,
)
from devenv.elf.records import Section, Segment
from devenv.elf.source import HEAD, Source
from devenv.elf.symbols import largest_symbol

SPARE_ENTRIES = 4  # room for later additions in a dynamic section that has to move anyway
# llvm-strip takes a segment for a part of any earlier one in the table that starts at the same byte, such as the
# interpreter's, and then loses its alignment: nothing else may start where the new segment does.
LEAD = 16
LARGEST_ALIGNMENT = 1 << 30
# eu-elflint takes a relocation for a change of a read-only segment if that lies within the size of the relocation's
# symbol from the place that changes: so far the new segment keeps away from the data.
LARGEST_GAP = 1 << 24
LARGEST_HOLE = 1 << 26


class Patch:
    """writes: (offset, bytes) in order; copies: (from, size, to), ranges of the old file to repeat; size: the new one.

    extends: nothing that the present headers lead to is overwritten before they change.
    """

    __slots__ = ("copies", "extends", "size", "writes")

    def __init__(
        self, writes: list[tuple[int, bytes]], copies: list[tuple[int, int, int]], size: int, extends: bool
    ) -> None:
        self.writes = writes
        self.copies = copies
        self.size = size
        self.extends = extends


def plan(draft: Draft) -> Patch | None:
    """What to write so that the file becomes what the draft says; None if it is that already.

    Raises DamagedElf where the file contradicts itself, UnsupportedElf where there is no room. The result has been read
    again: a file that misleads the planning in a way that nobody thought of is refused, too.
    """
    if not draft.changed:
        return None
    if any(tag in PRELINK_TAGS for tag, _ in draft.dynamic):
        draft.remove_entries(*PRELINK_TAGS)
    wanted = _Meaning(draft)
    try:
        patch = _Planner(draft).patch()
    except struct.error as error:
        raise draft.elf.damaged("its addresses and sizes contradict each other") from error
    wanted.check(draft.elf, patch)
    return patch


class _Meaning:
    """What a loader makes of a draft, to be found again in the result."""

    def __init__(self, draft: Draft) -> None:
        self.interpreter = draft.elf.interpreter
        if draft.interpreter is not None:
            self.interpreter = text(draft.interpreter)
        self.dynamic = sorted(
            (tag, draft.string(value)) if tag in STRING_TAGS else (tag, b"")
            for tag, value in draft.dynamic
            if tag != DT_STRSZ
        )
        self.types = sorted(s.type for s in draft.segments)

    def check(self, elf: Elf, patch: Patch) -> None:
        try:
            after = Elf(PatchedSource(elf.source, patch))
            after.know_dynamic_place()
            found = _Meaning(Draft(after))
            kept = list(found.types)
            if len(kept) > len(self.types):
                kept.remove(PT_LOAD)
            same = (
                found.interpreter == self.interpreter and found.dynamic == self.dynamic and kept == self.types
            )
        except (ElfError, ValueError) as error:
            raise elf.damaged(f"it cannot be edited: the result would be wrong ({error})") from error
        if not same:
            raise elf.damaged(
                "it cannot be edited: its parts overlap, and the result would be another program"
            )


class PatchedSource(Source):
    """A file as a patch makes it, without writing it."""

    __slots__ = ("old", "patch")

    def __init__(self, old: Source, patch: Patch) -> None:
        super().__init__(old.path, -1, patch.size, b"")
        self.old = old
        self.patch = patch
        self.head = self._pread(0, min(HEAD, patch.size))

    def _pread(self, offset: int, size: int) -> bytes:
        inside = max(0, min(size, self.old.size - offset))
        data = bytearray(self.old.read(offset, inside, "the file") if inside else b"")
        data += bytes(size - inside)
        for start, length, to in self.patch.copies:
            low, high = max(offset, to), min(offset + size, to + length)
            if low < high:
                data[low - offset : high - offset] = self.old.read(start + low - to, high - low, "the file")
        for at, new in self.patch.writes:
            low, high = max(offset, at), min(offset + size, at + len(new))
            if low < high:
                data[low - offset : high - offset] = new[low - at : high - at]
        return bytes(data)


class _Planner:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.elf: Elf = draft.elf
        self.shape = draft.elf.shape
        self.ground = Terrain(draft)
        self.segments = draft.segments
        self.sections: dict[int, Section] = {}  # those that change, by number
        self.moving: dict[tuple[str, int], Part] = {}
        self.placed: dict[tuple[str, int], tuple[int, int]] = {}  # key -> offset, address
        self.phoff = self.elf.phoff
        self.tail: Segment | None = None
        self.tail_was: Segment | None = None
        self.payload = self.elf.source.size
        self.longer: LongerTable | None = None

    def patch(self) -> Patch:
        self._what_must_grow()
        self._room_for_headers()
        if self.moving:
            self._lay_out()
            self._follow()
        self._stay()
        return self._writes()

    # Which parts move.

    def _what_must_grow(self) -> None:
        ground, draft = self.ground, self.draft
        if draft.interpreter is not None and ground.interpreter is not None:
            self._move_unless(ground.interpreter, len(draft.interpreter) + 1)
        elif draft.interpreter is not None:  # its segment has other things in it, which stay
            part = Part("interpreter", -1, 0, 0, 1, 0)
            self.moving[part.key] = part
        if draft.strings_grew and ground.strings is not None:
            draft.set_entry(DT_STRSZ, len(draft.strings))
            self._move_unless(ground.strings, len(draft.strings))
        if ground.dynamic is not None and draft.dynamic != self.elf.dynamic:
            self._move_unless(ground.dynamic, (len(draft.dynamic) + 1) * self.shape.dyn.size, fixed=True)
        if draft.note:
            part = Part("note", -1, 0, 0, ALIGN, len(self.elf.sections))
            self.moving[part.key] = part

    def _move_unless(self, part: Part, size: int, *, fixed: bool = False) -> None:
        if size > part.size and (fixed or size > self.ground.room(part)):
            self.moving[part.key] = part

    def _room_for_headers(self) -> None:
        """Find a tail to lay out anew, or make room for one header more, which may displace other parts."""
        self.tail_was = self.tail = self.ground.tail() or self._open_end()
        added = len(self.segments) - len(self.elf.segments)
        if added or (self.moving and self.tail is None):
            self._make_room_for_headers(added)
        self._take_tail_parts()
        if len(self.segments) + (self.tail is None) >= PN_XNUM:
            raise self.draft.unsupported("it has as many segments as a file can have")

    def _make_room_for_headers(self, added: int) -> None:
        extra = added + (1 if self.moving and self.tail is None else 0)
        parts = self.ground.in_the_way(self._headers_end(extra))
        if parts and not self.moving and self.tail is None:
            # What is displaced needs a segment, and that one a header.
            parts = self.ground.in_the_way(self._headers_end(extra + 1))
        if parts is None:
            self._move_headers()
        else:
            self.moving.update({part.key: part for part in parts})

    def _headers_end(self, extra: int) -> int:
        return self.elf.phoff + (len(self.elf.segments) + extra) * self.shape.phdr.size

    def _move_headers(self) -> None:
        size = len(self.elf.segments) * self.shape.phdr.size
        address = next(
            (
                s.vaddr + self.phoff - s.offset
                for s in self.segments
                if s.type == PT_LOAD and s.offset <= self.phoff < s.end
            ),
            0,
        )
        part = Part("headers", self.elf.phoff, address, size, self.shape.word, -1)
        self.moving[part.key] = part

    def _open_end(self) -> Segment | None:
        """In a file without sections, the last segment can be lengthened if it ends the file."""
        loads = [s for s in self.segments if s.type == PT_LOAD]
        if self.ground.loaded or not loads:
            return None
        last = max(loads, key=lambda s: s.vaddr)
        usable = last.filesz == last.memsz and last.end == self.elf.source.size and not last.flags & PF_X
        return last if usable else None

    def _take_tail_parts(self) -> None:
        """All of a tail is laid out anew when a part of it changes."""
        if self.tail is None or not self.moving:
            return
        for section in self.ground.loaded:
            if self.tail.offset <= section.offset < self.tail.end:
                part = self.ground.part_of(section)
                if part is not None:
                    self.moving.setdefault(part.key, part)
        if self.ground.loaded and self.tail.offset <= self.elf.phoff < self.tail.end:
            self._move_headers()

    # Where they go.

    def _lay_out(self) -> None:
        self.payload = self.ground.payload()
        align = self._alignment()
        parts = sorted(self.moving.values(), key=lambda part: (part.place, part.offset))
        tail = self.tail
        if tail is None:
            tail = self.tail = self._new_segment(align)
            keep = LEAD
        elif self.ground.loaded:
            self._place_tail(tail, align)
            keep = LEAD
        else:
            keep = tail.filesz  # nobody knows what is in it: go on behind
        at = tail.offset + keep
        for part in parts:
            at = _up(at, max(part.align, 1 if self.ground.loaded else self.shape.word))
            self.placed[part.key] = (at, tail.vaddr + at - tail.offset)
            at += self._size(part)
        tail.filesz = tail.memsz = at - tail.offset
        tail.flags |= PF_R | (PF_W if any(part.kind == "dynamic" for part in parts) else 0)

    def _alignment(self) -> int:
        sizes = [s.align for s in self.elf.segments if s.type == PT_LOAD and not s.align & (s.align - 1)]
        wanted = max([self.draft.page_size, PAGE_SIZES.get(self.elf.machine, PAGE_SIZE), *sizes])
        if wanted > LARGEST_ALIGNMENT:
            raise self.elf.damaged("segment alignment is implausibly large; refusing to add one")
        return 1 << (wanted - 1).bit_length()

    def _new_segment(self, align: int) -> Segment:
        """A segment behind all others, in memory and in the file; nothing is in it yet."""
        offset = _up(self.elf.source.size, 16)
        end = max(s.vaddr + s.memsz for s in self.segments if s.type == PT_LOAD)
        base = _up(end + largest_symbol(self.elf, LARGEST_GAP), align)
        address = base + offset % align
        if ("headers", self.elf.phoff) in self.moving:
            offset, address = self._near_first(offset, base, align)
        if address + offset >= 1 << (self.shape.bits - 1):
            raise self.draft.unsupported("no room is left in its address space for another segment")
        segment = Segment(PT_LOAD, PF_R, offset, address, address, 0, 0, align)
        places = [place for place, s in enumerate(self.segments) if s.type == PT_LOAD]
        self.segments.insert(places[-1] + 1, segment)
        return segment

    def _near_first(self, offset: int, base: int, align: int) -> tuple[int, int]:
        """The same distance of address and offset as in the first segment, if that leaves no huge hole in the file.

        Linux before 5.18 computes AT_PHDR, the address of the program headers, from that distance.
        """
        first = next(s for s in self.segments if s.type == PT_LOAD)
        distance = first.vaddr - first.offset
        near = max(offset, _up(base - distance, 16))
        if distance % align == 0 and near - offset <= LARGEST_HOLE:
            return near, near + distance
        return offset, base + offset % align

    def _place_tail(self, tail: Segment, align: int) -> None:
        """Where the tail is, if it ends the file; else at the end, at the same page of memory."""
        if tail.end >= self.payload:
            return
        offset = _up(self.elf.source.size, 16)
        tail.align = max(tail.align, align)
        tail.vaddr = tail.paddr = (tail.vaddr & -tail.align) + offset % tail.align
        tail.offset = offset

    def _size(self, part: Part) -> int:
        if part.kind == "headers":
            return len(self.segments) * self.shape.phdr.size
        if part.kind == "interpreter" and self.draft.interpreter is not None:
            return len(self.draft.interpreter) + 1
        if part.kind == "strings":
            return len(self.draft.strings)
        if part.kind == "note":
            return len(self.draft.note)
        if part.kind == "dynamic":
            return max(part.size, (len(self.draft.dynamic) + 1 + SPARE_ENTRIES) * self.shape.dyn.size)
        return part.size

    # What points at them follows.

    def _follow(self) -> None:
        """Everything by where it was: a new place may lie where another part was before."""
        for part in self.moving.values():
            offset, addr = self.placed[part.key]
            if part.kind == "headers":
                self.phoff = offset
                self._set_segment(PT_PHDR, offset, addr)
                continue
            for old in self.ground.loaded:
                if part.offset <= old.offset < part.offset + part.size:
                    section = self._changing(old)
                    section.offset = old.offset - part.offset + offset
                    section.addr = old.addr - part.addr + addr
            self._follow_segments(part, offset, addr)
        self.draft.dynamic = [
            (tag, self._moved(value) if tag in TABLE_TAGS else value) for tag, value in self.draft.dynamic
        ]
        self._follow_symbols()

    def _moved(self, address: int) -> int:
        for part in self.moving.values():
            if part.kind != "headers" and part.addr <= address < part.addr + part.size:
                return address - part.addr + self.placed[part.key][1]
        return address

    def _changing(self, section: Section) -> Section:
        return self.sections.setdefault(section.index, section.copy())

    def _follow_segments(self, part: Part, offset: int, addr: int) -> None:
        if part.kind == "interpreter":
            self._set_segment(PT_INTERP, offset, addr, self._size(part))
        elif part.kind == "dynamic":
            self._set_segment(PT_DYNAMIC, offset, addr, self._size(part))
        elif self.draft.note_segment is not None and part.kind == "note":
            segment = self.draft.note_segment
            segment.offset, segment.vaddr, segment.paddr = offset, addr, addr
            segment.filesz = segment.memsz = self._size(part)
        else:
            for segment, old in zip(self._old_order(), self.elf.segments, strict=True):
                if segment.type in NOTE_SEGMENTS and part.holds(old.offset) and old.filesz:
                    segment.offset = old.offset - part.offset + offset
                    segment.vaddr = segment.paddr = old.vaddr - part.addr + addr

    def _old_order(self) -> list[Segment]:
        """The segments that were there, as they are now, in the order of the file."""
        count = len(self.elf.segments)
        kept = [s for s in self.segments if s is not self.tail or self.tail is self.tail_was]
        return kept[:count]

    def _set_segment(self, type: int, offset: int, addr: int, size: int | None = None) -> None:
        for segment in self.segments:
            if segment.type == type:
                segment.offset = offset
                segment.vaddr = segment.paddr = addr
                if size is not None:
                    segment.filesz = segment.memsz = size

    def _follow_symbols(self) -> None:
        """Symbols of a moved section, such as _DYNAMIC, move with it."""
        moved = {
            number: (self.elf.sections[number].addr, s.addr - self.elf.sections[number].addr)
            for number, s in self.sections.items()
            if s.addr != self.elf.sections[number].addr
        }
        size = self.shape.sym.size
        at, step, value_at = (3, size // 2, 8) if self.shape.bits == 64 else (7, size // 2, 4)
        for table in self.elf.sections:
            if not moved or table.type not in (SHT_SYMTAB, SHT_DYNSYM) or table.size < size:
                continue
            data = self.elf.source.read(table.offset, table.size - table.size % size, "the symbols")
            indexes = self.shape.words(data, 2)[at::step]
            if moved.keys().isdisjoint(indexes):
                continue
            word = struct.Struct(self.shape.order + ("Q" if self.shape.bits == 64 else "I"))
            for number, index in enumerate(indexes):
                if index in moved:
                    place = table.offset + number * size + value_at
                    (value,) = word.unpack(self.draft.read(place, word.size, "the symbols"))
                    old, distance = moved[index]
                    if old <= value <= old + self.elf.sections[index].size:
                        self.draft.put(place, word.pack(value + distance))

    # What stays, and the writes.

    def _stay(self) -> None:
        """Lengths and contents of the parts that are where they were."""
        draft, ground = self.draft, self.ground
        part = ground.interpreter
        if part is not None and draft.interpreter is not None:
            size = len(draft.interpreter) + 1
            self._resize(part, size)
            for segment in self.segments:
                if segment.type == PT_INTERP:
                    segment.filesz = segment.memsz = size
            if part.key not in self.moving:
                draft.put(part.offset, (draft.interpreter + b"\0").ljust(part.size, b"\0"))
        part = ground.strings
        if part is not None and draft.strings_grew:
            self._resize(part, len(draft.strings))
        if part is not None and part.key not in self.moving:
            for index, size in draft.overwritten:
                draft.put(part.offset + index, bytes(draft.strings[index : index + size]))
            if draft.strings_grew:
                old = self.elf.string_table[1]
                draft.put(part.offset + old, bytes(draft.strings[old:]))
        part = ground.dynamic
        if part is not None and part.key in self.moving:
            self._resize(part, self._size(part))

    def _resize(self, part: Part, size: int) -> None:
        for section in self.ground.loaded:
            if part.offset == section.offset:
                self._changing(section).size = size

    def _dynamic_bytes(self, part: Part) -> bytes:
        addr = self.placed.get(part.key, (part.offset, part.addr))[1]
        size = self.shape.dyn.size
        entries = list(self.draft.dynamic)
        for place, (tag, value) in enumerate(entries):
            if tag == DT_MIPS_RLD_MAP_REL:  # relative to the entry itself
                before = next(n for n, (old, _) in enumerate(self.elf.dynamic) if old == tag)
                value = self.elf.dynamic[before][1] + part.addr + before * size - addr - place * size
                entries[place] = (tag, value & ((1 << self.shape.bits) - 1))
        data = b"".join(self.shape.dyn.pack(*entry) for entry in entries)
        return data.ljust(self._size(part) if part.key in self.moving else part.size, b"\0")

    def _bytes(self, part: Part) -> bytes:
        if part.kind == "headers":
            return self._header_bytes()
        if part.kind == "strings":
            return bytes(self.draft.strings)
        if part.kind == "note":
            return self.draft.note
        if part.kind == "dynamic":
            return self._dynamic_bytes(part)
        if part.kind == "interpreter" and self.draft.interpreter is not None:
            return self.draft.interpreter + b"\0"
        return self.draft.read(part.offset, part.size, "a part that moves")

    def _header_bytes(self) -> bytes:
        size = len(self.segments) * self.shape.phdr.size
        for segment in self.segments:
            if segment.type == PT_PHDR:
                segment.filesz = segment.memsz = size
        return b"".join(self.shape.pack_segment(s) for s in self.segments)

    def _writes(self) -> Patch:
        writes: list[tuple[int, bytes]] = []
        copies: list[tuple[int, int, int]] = []
        old_size = size = self.elf.source.size
        extends = True
        if self.moving and self.tail is not None:
            for part in self.moving.values():
                writes.append((self.placed[part.key][0], self._bytes(part)))
            end, extends = self.tail.end, min(at for at, _ in writes) >= old_size
            self.longer = self._longer_table(end)
            if self.longer is not None:
                writes += self.longer.writes
                end = self.longer.end
            size = max(end, old_size) if extends else end
            if self.payload < old_size and not self._found_from_the_start():
                copies.append((self.payload, old_size - self.payload, end))
                size = end + old_size - self.payload
                extends = False
        writes += self._header_writes()
        dynamic = self.ground.dynamic
        if dynamic is not None and dynamic.key not in self.moving and self.draft.dynamic != self.elf.dynamic:
            writes.append((dynamic.offset, self._dynamic_bytes(dynamic)))
        gone = [(part.offset, part.offset + part.size) for part in self.moving.values()]
        for at, data in sorted(self.draft.changes.items()):
            if not any(start <= at < stop for start, stop in gone):
                writes.append((at, data))
        for number, section in sorted(self.sections.items()) if self.longer is None else ():
            at = self.elf.shoff + number * self.shape.shdr.size
            writes.append((at, self.shape.pack_section(section)))
        writes += self._clearing(size)
        return Patch(writes, copies, size, extends)

    def _longer_table(self, end: int) -> LongerTable | None:
        """The section headers with that of a new note, from `end` of the other parts; None where there are none, or no note."""
        if not self.draft.note or not self.elf.sections:
            return None
        if self.payload < self.elf.source.size and self._found_from_the_start():
            raise self.draft.unsupported(
                "its image is looked for behind its section headers, which one more would move"
            )
        offset, address = self.placed["note", -1]
        names_in = self.elf.shstrndx
        if names_in == SHN_XINDEX:
            names_in = self.elf.sections[0].link
        note = (offset, address, len(self.draft.note))
        return LongerTable(self.elf, self.sections, note, end, names_in)

    def _found_from_the_start(self) -> bool:
        """Is what follows the ELF file never looked for from the end of the file? Of anything else nobody knows that.

        AppImages of type 2 look for their squashfs image behind the section headers, which stay.
        """
        return self.elf.source.read(self.payload, 4, "what is appended") == b"hsqs"

    def _header_writes(self) -> list[tuple[int, bytes]]:
        """The program headers and what the file's header says of them; as one write where they adjoin."""
        elf, order = self.elf, self.shape.order
        header = bytearray(elf.source.read(0, elf.header_size, "the ELF header"))
        wide = self.shape.bits == 64
        struct.pack_into(order + ("Q" if wide else "I"), header, 32 if wide else 28, self.phoff)
        struct.pack_into(order + "H", header, 56 if wide else 44, len(self.segments))
        if self.longer is not None:
            struct.pack_into(order + ("Q" if wide else "I"), header, 40 if wide else 32, self.longer.offset)
            struct.pack_into(order + "H", header, 60 if wide else 48, self.longer.count)
        for at, data in self.draft.changes.items():
            if at < len(header):
                header[at : at + len(data)] = data
        table = self._header_bytes()
        if self.phoff == len(header):
            return [(0, bytes(header) + table)]
        return [(self.phoff, table), (0, bytes(header))]

    def _clearing(self, size: int) -> list[tuple[int, bytes]]:
        """Zeros where parts were. Not over the dynamic section, which code may look for where the linker put it,
        nor over strings that such an old one leads to."""
        if not self.draft.clear_old:
            return []
        kept = {"dynamic", "headers"}
        if any(part.kind == "dynamic" for part in self.moving.values()):
            kept.add("strings")
        free = [
            (part.offset, part.offset + part.size)
            for part in self.moving.values()
            if part.kind not in kept or self._in_old_tail(part)
        ]
        tables = [(self.phoff, self.phoff + len(self.segments) * self.shape.phdr.size)]
        if self.tail is not None and self.moving:
            tables.append((self.tail.offset, size))
        return [
            (start, bytes(stop - start))
            for low, high in free
            for start, stop in _without(low, min(high, size), tables)
        ]

    def _in_old_tail(self, part: Part) -> bool:
        old = None
        if self.tail_was is not None and self.ground.loaded:
            old = next(
                s for s, o in zip(self.elf.segments, self._old_order(), strict=True) if o is self.tail_was
            )
        return old is not None and old.offset <= part.offset < old.end


def _up(value: int, align: int) -> int:
    return (value + align - 1) // align * align


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
