"""Which parts of a file must move for a draft, and where they go: one read-only segment behind the others."""

from __future__ import annotations

from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.moving import Part, Terrain
from devenv.elf.noting import ALIGN
from devenv.elf.numbers import DT_STRSZ, PAGE_SIZE, PAGE_SIZES, PF_R, PF_W, PF_X, PN_XNUM, PT_LOAD
from devenv.elf.records import Section, Segment
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


class Layout:
    """Where the parts of a draft will be. Making it changes the draft's entries and segments where something grows.

    `moving`: the parts that move, by key; `placed`: their new offsets and addresses. `sections`: those that change, by
    number; filled by `following`. `tail`: the segment of the parts that move, `tail_was` the one that was there before.
    `payload`: where what is appended to the ELF file begins.
    """

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
        self._what_must_grow()
        self._room_for_headers()
        if self.moving:
            self._lay_out()

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
            at += self.size_of(part)
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

    def size_of(self, part: Part) -> int:
        """The bytes of a part as the draft has it."""
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

    def old_order(self) -> list[Segment]:
        """The segments that were there, as they are now, in the order of the file."""
        count = len(self.elf.segments)
        kept = [s for s in self.segments if s is not self.tail or self.tail is self.tail_was]
        return kept[:count]


def _up(value: int, align: int) -> int:
    return (value + align - 1) // align * align
