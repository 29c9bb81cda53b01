"""What of a file may move, and where the room for a longer program header table comes from.

A part moves together with everything that points at it: its section headers, its segments, the dynamic entries with
its address, and the symbols that stand for it. Code and data are never moved: nothing says who points at those.
"""

from __future__ import annotations

from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.numbers import (
    PT_DYNAMIC,
    PT_GNU_PROPERTY,
    PT_GNU_RELRO,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_NULL,
    PT_PHDR,
    SHF_ALLOC,
    SHT_DYNSYM,
    SHT_GNU_HASH,
    SHT_GNU_VERDEF,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    SHT_HASH,
    SHT_NOBITS,
    SHT_NOTE,
    SHT_NULL,
    SHT_PROGBITS,
    SHT_STRTAB,
)
from devenv.elf.records import Section, Segment

MOVABLE_TABLES = frozenset(
    {SHT_HASH, SHT_GNU_HASH, SHT_DYNSYM, SHT_STRTAB, SHT_GNU_VERSYM, SHT_GNU_VERDEF, SHT_GNU_VERNEED}
)
NOTE_SEGMENTS = (PT_NOTE, PT_GNU_PROPERTY)
PADDING = 1 << 16  # so many zero bytes at the end of a file are padding, not a payload


class Part:
    """Bytes that move as one: `offset`, `addr` and `size` as they are, `place` orders parts in memory.

    kind: headers, interpreter, strings, dynamic, or table for anything that keeps its bytes.
    """

    __slots__ = ("addr", "align", "kind", "offset", "place", "size")

    def __init__(self, kind: str, offset: int, addr: int, size: int, align: int, place: int) -> None:
        self.kind = kind
        self.offset = offset
        self.addr = addr
        self.size = size
        self.align = align
        self.place = place

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.offset

    def holds(self, offset: int) -> bool:
        return self.offset <= offset < self.offset + self.size


class Terrain:
    """Where things lie in one file."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.elf: Elf = draft.elf
        self.loaded: list[Section] = [
            s
            for s in self.elf.sections
            if s.flags & SHF_ALLOC and s.type not in (SHT_NULL, SHT_NOBITS) and s.size
        ]
        self._check_segments()
        self.interpreter = self._interpreter()
        self.strings = self._strings()
        self.dynamic = self._dynamic()

    def _check_segments(self) -> None:
        """Raises DamagedElf for segments that contradict each other: any new one could only make that worse."""
        elf, last = self.elf, 0
        limit = 1 << elf.shape.bits
        for s in elf.segments:
            if s.type not in (PT_NULL, PT_LOAD) and s.filesz and s.end > elf.source.size:
                raise elf.damaged(
                    f"a segment of type {s.type:#x} extends past file end ({s.offset:#x}+{s.filesz:#x})"
                )
            if s.type != PT_LOAD or not s.memsz:
                continue
            if s.end > elf.source.size:
                raise elf.damaged(f"a loaded segment extends past file end ({s.offset:#x}+{s.filesz:#x})")
            if s.filesz > s.memsz or s.vaddr + s.memsz > limit:
                raise elf.damaged(
                    f"a segment at {s.vaddr:#x} has {s.filesz:#x} bytes in {s.memsz:#x} bytes of memory"
                )
            if s.vaddr < last:
                raise elf.damaged(
                    f"its segments are not in order: one at {s.vaddr:#x}, another up to {last:#x}"
                )
            last = s.vaddr + s.memsz
        if not last:
            raise elf.damaged("it has no segment to load")

    # The parts with a meaning of their own.

    def section_at(self, offset: int) -> Section | None:
        for section in self.loaded:
            if section.offset == offset:
                return section
        return None

    def _part(self, kind: str, offset: int, addr: int, size: int, place: int, align: int) -> Part:
        section = self.section_at(offset)
        if section is not None:
            size, place = max(size, section.size), section.index
            align = max(align, _sane(section.align))
            if section.addr != addr:
                raise self.elf.damaged(
                    f"section {place} is at {section.addr:#x}, its segment has it at {addr:#x}"
                )
        if offset + size > self.elf.source.size:
            raise self.elf.damaged(f"its {kind} extends past file end ({offset:#x}+{size:#x})")
        return Part(kind, offset, addr, size, align, place)

    def _interpreter(self) -> Part | None:
        s = self.elf.segment(PT_INTERP)
        if s is None:
            return None
        inside = [section for section in self.loaded if section.offset < s.end and s.offset < section.end]
        if inside and (len(inside) > 1 or inside[0].type != SHT_PROGBITS or inside[0].offset != s.offset):
            return None  # a segment of that type around something else
        return self._part("interpreter", s.offset, s.vaddr, s.filesz, 0, 1)

    def _strings(self) -> Part | None:
        if not self.elf.dynamic:
            return None
        offset, size = self.elf.string_table
        address = next(
            s.vaddr + offset - s.offset
            for s in self.elf.segments
            if s.type == PT_LOAD and s.offset <= offset < s.end
        )
        return self._part("strings", offset, address, size, 1, 1)

    def _dynamic(self) -> Part | None:
        place = self.elf.dynamic_place
        return None if place is None else self._part("dynamic", *place, 2, self.elf.shape.word)

    # What else there is.

    def part_of(self, section: Section) -> Part | None:
        """The part that a loaded section moves with; None for code, data, and what else must stay."""
        for part in (self.interpreter, self.strings, self.dynamic):
            if part is not None and part.offset == section.offset:
                return part
        if section.type == SHT_NOTE:
            return self._notes(section)
        if section.type in MOVABLE_TABLES:
            align = max(_sane(section.align), self.elf.shape.word)
            return Part("table", section.offset, section.addr, section.size, align, section.index)
        return None

    def _notes(self, section: Section) -> Part | None:
        """Notes of one segment move together, because a segment is one range."""
        start, end = section.offset, section.end
        segments = [s for s in self.elf.segments if s.type in NOTE_SEGMENTS and s.filesz]
        for _ in segments:
            for s in segments:
                if s.offset < end and start < s.end:
                    start, end = min(start, s.offset), max(end, s.end)
        inside = [s for s in self.loaded if s.offset < end and start < s.end]
        if any(s.type != SHT_NOTE for s in inside):
            return None
        start, end = min([start, *(s.offset for s in inside)]), max([end, *(s.end for s in inside)])
        align = max(8, *(_sane(s.align) for s in inside))
        # Offset and address keep their distance, and their remainder by the alignment, when the part moves.
        return Part(
            "table", start, section.addr - section.offset + start, end - start, align, inside[0].index
        )

    # Free bytes.

    def room(self, part: Part) -> int:
        """How long the part may become where it is: up to the next thing, if only zeros lie between."""
        end = part.offset + part.size
        load = self.load_of(part.offset)
        if not self.loaded or load is None:
            return part.size
        starts = [s.offset for s in self.loaded if s.offset > part.offset]
        starts += [s.offset for s in self.elf.segments if s.offset > part.offset]
        starts += [start for start in (self.elf.phoff, self.elf.shoff) if start > part.offset]
        limit = min([*starts, load.end])
        if limit <= end:
            return part.size
        between = self.elf.source.read(end, limit - end, "the bytes between sections")
        return part.size if between.strip(b"\0") else limit - part.offset

    def load_of(self, offset: int) -> Segment | None:
        for segment in self.elf.segments:
            if segment.type == PT_LOAD and segment.offset <= offset < segment.end:
                return segment
        return None

    def in_the_way(self, end: int) -> list[Part] | None:
        """The parts that must go so that the program headers may reach to `end`; None where they may not."""
        elf = self.elf
        start = elf.phoff + len(elf.segments) * elf.shape.phdr.size
        load = self.load_of(elf.phoff)
        if load is None or end > load.end or elf.phoff < elf.shoff < end:
            return None
        found: dict[tuple[str, int], Part] = {}
        for section in self.loaded:
            if section.offset < end and start < section.end:
                part = self.part_of(section)
                if part is None:
                    return None
                found[part.key] = part
        if not self.loaded and self.interpreter is not None and start <= self.interpreter.offset < end:
            found[self.interpreter.key] = self.interpreter
        for s in elf.segments:
            if s.type in (PT_LOAD, PT_PHDR, PT_GNU_RELRO) or not (s.offset < end and start < s.end):
                continue
            if not any(
                part.offset <= s.offset and s.end <= part.offset + part.size for part in found.values()
            ):
                return None
        return list(found.values()) if self._explained(start, end, found) else None

    def _explained(self, start: int, end: int, found: dict[tuple[str, int], Part]) -> bool:
        """Are all bytes that are not zero part of something known? What is not known is not overwritten."""
        data = bytearray(self.elf.source.read(start, end - start, "the bytes after the program headers"))
        for part in found.values():
            low, high = max(part.offset, start), min(part.offset + part.size, end)
            data[low - start : high - start] = bytes(max(0, high - low))
        return not any(data)

    # The end of the file.

    def payload(self) -> int:
        """Where the ELF part of the file ends, and something appended to it starts; the file's size if nothing is.

        Raises DamagedElf.
        """
        elf = self.elf
        ends = [elf.header_size, elf.phoff + len(elf.segments) * elf.shape.phdr.size]
        ends.append(elf.shoff + len(elf.sections) * elf.shape.shdr.size if elf.sections else 0)
        ends += [s.end for s in elf.segments if s.filesz]
        ends += [s.end for s in elf.sections if s.type not in (SHT_NULL, SHT_NOBITS)]
        end, size = max(ends), elf.source.size
        if end > size:
            raise elf.damaged(
                f"data region extends past file end: its parts end at {end:#x}, the file at {size:#x}"
            )
        if size - end <= PADDING and not elf.source.read(end, size - end, "the end").strip(b"\0"):
            return size
        return end

    def tail(self) -> Segment | None:
        """The last segment, if everything in it may move: an earlier edit's, to be laid out anew."""
        loads = [s for s in self.draft.segments if s.type == PT_LOAD]
        if not loads:
            return None
        last = max(loads, key=lambda s: s.vaddr)
        inside = [s for s in self.loaded if last.offset <= s.offset < last.end]
        if last.filesz != last.memsz or last.offset == 0 or not inside:
            return None
        if not any(
            part is not None and last.offset <= part.offset < last.end
            for part in (self.strings, self.interpreter)
        ):
            return None
        if any(self.part_of(section) is None for section in inside):
            return None
        mine = (PT_LOAD, PT_PHDR, PT_INTERP, PT_DYNAMIC, *NOTE_SEGMENTS)
        others = [
            s
            for s in self.elf.segments
            if s.type not in mine and s.filesz and last.offset <= s.offset < last.end
        ]
        return None if others else last


def _sane(align: int) -> int:
    """An alignment to go by: a power of two, and not absurd."""
    return align if 0 < align <= 4096 and not align & (align - 1) else 1
