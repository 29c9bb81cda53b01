"""Notes that are added: what a program opens by itself, for packagers and for whoever patches it.

Source: the UAPI group's "ELF dlopen metadata": section .note.dlopen, owner FDO, a JSON array with a NUL behind it.
"""

from __future__ import annotations

import struct

from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.notes import dlopen_notes
from devenv.elf.numbers import NT_FDO_DLOPEN, PF_R, PT_NOTE, SHF_ALLOC, SHN_LORESERVE, SHT_NOTE
from devenv.elf.records import Section, Segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = b".note.dlopen"
ALIGN = 4
PRIORITIES = ("required", "recommended", "suggested")
_OWNER = b"FDO\0"


def declare(draft: Draft, wanted: Sequence[tuple[tuple[str, ...], str]]) -> None:
    """Have the file say that it opens these: (libraries of which one is enough, priority). What it says already stays.

    Raises UnsupportedElf where its notes of this kind cannot grow.
    """
    known = {(each.sonames, each.priority) for each in dlopen_notes(draft.elf)}
    new = [each for each in dict.fromkeys(wanted) if each not in known]
    if not new:
        return
    if any(draft.elf.section_name(section) == NAME.decode() for section in draft.elf.sections):
        raise draft.unsupported(
            "it has a section .note.dlopen already, with other libraries in it",
            hint="declare all of them in one call, on the file as it was linked",
        )
    draft.note = _record(draft.elf, new)
    draft.note_segment = Segment(PT_NOTE, PF_R, 0, 0, 0, 0, 0, ALIGN)
    draft.segments.append(draft.note_segment)


def _record(elf: Elf, wanted: Sequence[tuple[tuple[str, ...], str]]) -> bytes:
    import json

    entries = [{"soname": list(sonames), "priority": priority} for sonames, priority in wanted]
    text = json.dumps(entries, separators=(",", ":")).encode() + b"\0"
    head = struct.pack(elf.shape.order + "III", len(_OWNER), len(text), NT_FDO_DLOPEN)
    return head + _OWNER + text + bytes(-len(text) % ALIGN)


class LongerTable:
    """The section header table with one section more, and the names with one name more: they go to the end of the file.

    `offset` and `count` are for the file's header, `end` is where both end, `writes` are their bytes.
    """

    __slots__ = ("count", "end", "offset", "writes")

    def __init__(
        self, elf: Elf, changed: dict[int, Section], note: tuple[int, int, int], start: int, names_in: int
    ) -> None:
        """note: offset, address and size of the new section; names_in: the number of the section of names."""
        names = elf.section_names
        at = names.find(NAME + b"\0")
        if at < 0:
            at, names = len(names), names + NAME + b"\0"
        sections = [changed.get(section.index, section).copy() for section in elf.sections]
        sections[names_in].offset, sections[names_in].size = start, len(names)
        offset, address, size = note
        self.count = len(sections) + 1
        if self.count >= SHN_LORESERVE:
            raise elf.damaged("it has as many sections as its header can count")
        sections.append(
            Section(self.count - 1, at, SHT_NOTE, SHF_ALLOC, address, offset, size, 0, 0, ALIGN, 0)
        )
        self.offset = start + len(names) + -(start + len(names)) % elf.shape.word
        table = b"".join(elf.shape.pack_section(section) for section in sections)
        self.end = self.offset + len(table)
        self.writes = [(start, names), (self.offset, table)]
