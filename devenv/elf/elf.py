"""An ELF file as it lies there: header, segments, sections, dynamic section.

Nothing is believed: every offset, size and count is checked against the file before it is used, and the work
done is bounded by the file's own size and the limits below.
"""

from __future__ import annotations

from devenv.elf.errors import DamagedElf, NotElf
from devenv.elf.numbers import (
    DT_NEEDED,
    DT_NULL,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_STRTAB,
    MAGIC,
    PN_XNUM,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    SHF_ALLOC,
    SHN_XINDEX,
    SHT_DYNAMIC,
    SHT_NOBITS,
    SHT_STRTAB,
)
from devenv.elf.records import IDENT_SIZE, Section, Segment, Shape, shape_of
from devenv.elf.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Literal, Self

MAX_SECTIONS = 200_000
MAX_DYNAMIC = 65_536
MAX_INTERPRETER = 1 << 16


class Elf:
    """One open file. Raises NotElf or DamagedElf as soon as a part that is asked for makes no sense.

    bits is 32 or 64; type, machine, os_abi as in the header; phoff and shoff are offsets of the tables in bytes.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.path = source.path
        ident = source.head[:IDENT_SIZE]
        if ident[:4] != MAGIC:
            raise NotElf(self.path, "not an ELF executable")
        if len(ident) < IDENT_SIZE:
            raise DamagedElf(self.path, "missing ELF header: the file ends within it")
        shape = shape_of(ident[4], ident[5])
        if shape is None:
            raise DamagedElf(
                self.path,
                f"ELF executable is not 32 or 64 bit, or has no byte order ({ident[4]}, {ident[5]})",
            )
        if ident[6] != 1:
            raise DamagedElf(self.path, f"unsupported ELF version {ident[6]}")
        self.shape: Shape = shape
        self.ident = ident
        self.os_abi = ident[7]
        self.header_size = IDENT_SIZE + shape.ehdr.size
        self._read_header()
        self._segments: list[Segment] | None = None
        self._sections: list[Section] | None = None
        self._dynamic: list[tuple[int, int]] | None = None
        self._dynamic_place: tuple[int, int, int] | Literal[False] | None = False  # not looked for yet
        self._strings: tuple[int, int] | None = None

    @classmethod
    def open(cls, path: str, *, whole: bool = False) -> Self:
        """Read a file's headers; `whole` reads all of it at once.

        Raises DamagedElf, UnsupportedElf, or ElfError where it cannot be read.
        """
        source = Source.open(path, whole=whole)
        try:
            return cls(source)
        except BaseException:
            source.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()

    def damaged(self, found: str) -> DamagedElf:
        return DamagedElf(self.path, found)

    def _read_header(self) -> None:
        shape = self.shape
        data = self.source.read(IDENT_SIZE, shape.ehdr.size, "the ELF header")
        fields = shape.ehdr.unpack(data)
        self.type: int = fields[0]
        self.machine: int = fields[1]
        self.entry: int = fields[3]
        self.phoff: int = fields[4]
        self.shoff: int = fields[5]
        self.flags: int = fields[6]
        self.phentsize: int = fields[8]
        self.phnum: int = fields[9]
        self.shentsize: int = fields[10]
        self.shnum: int = fields[11]
        self.shstrndx: int = fields[12]
        if self.phnum and self.phentsize != shape.phdr.size:
            raise self.damaged(f"program headers have wrong size ({self.phentsize} bytes)")
        if self.shoff and (self.shnum or self.shstrndx) and self.shentsize != shape.shdr.size:
            raise self.damaged(f"section headers have wrong size ({self.shentsize} bytes)")

    # Segments.

    @property
    def segments(self) -> list[Segment]:
        """The program headers in order."""
        if self._segments is None:
            count = self.phnum
            if count == PN_XNUM and self.sections:
                count = self.sections[0].info
            what = "program header table out of bounds:"
            data = self.source.read(self.phoff, count * self.phentsize, what) if count else b""
            self._segments = [self.shape.segment(fields) for fields in self.shape.phdr.iter_unpack(data)]
        return self._segments

    def segment(self, type: int) -> Segment | None:
        """The first of this type."""
        for segment in self.segments:
            if segment.type == type:
                return segment
        return None

    def offset_of(self, address: int) -> int | None:
        """Where in the file the byte at `address` lies; None where no loaded segment has it in the file."""
        for s in self.segments:
            if s.type == PT_LOAD and s.vaddr <= address < s.vaddr + s.filesz:
                return address - s.vaddr + s.offset
        return None

    @property
    def interpreter(self) -> str | None:
        """The path in PT_INTERP; None for libraries and static programs. Raises DamagedElf."""
        segment = self.segment(PT_INTERP)
        if segment is None:
            return None
        if segment.filesz > MAX_INTERPRETER:
            raise self.damaged(f"its interpreter's name has {segment.filesz} bytes")
        data = self.source.read(segment.offset, segment.filesz, "the interpreter's name")
        return text(data.split(b"\0", 1)[0])

    # Sections.

    @property
    def sections(self) -> list[Section]:
        """The section headers in order; none where the file has no table of them."""
        if self._sections is None:
            self._sections = self._read_sections()
        return self._sections

    def _read_sections(self) -> list[Section]:
        shape = self.shape
        if not self.shoff or not (self.shnum or self.shentsize == shape.shdr.size):
            return []
        count = self.shnum
        if not count:  # more than fit the header: the count is in the first entry
            first = shape.shdr.unpack(
                self.source.read(self.shoff, shape.shdr.size, "section header table out of bounds:")
            )
            count = first[5]
        if count > MAX_SECTIONS:
            raise self.damaged(f"it has {count} sections, more than {MAX_SECTIONS}")
        data = self.source.read(self.shoff, count * shape.shdr.size, "section header table out of bounds:")
        return [Section(index, *fields) for index, fields in enumerate(shape.shdr.iter_unpack(data))]

    @property
    def section_names(self) -> bytes:
        """The section name table. Raises DamagedElf where the header points outside of it."""
        sections = self.sections
        index = self.shstrndx
        if index == SHN_XINDEX and sections and self.shnum == 0:
            index = sections[0].link
        if index >= len(sections):
            raise self.damaged(f"string table index out of bounds: section names are in section {index}")
        table = sections[index]
        if table.type == SHT_NOBITS:
            raise self.damaged("its section names are not in the file")
        return self.source.read(table.offset, table.size, "data region extends past file end: section names:")

    def section_name(self, section: Section, names: bytes | None = None) -> str:
        """The name of a section; `names` is the table of names, if it was read. Raises DamagedElf."""
        names = self.section_names if names is None else names
        if section.name >= len(names):
            raise self.damaged(
                f"section name offset out of bounds: {section.name:#x} in section {section.index}"
            )
        return text(names[section.name :].split(b"\0", 1)[0])

    # The dynamic section.

    @property
    def dynamic_place(self) -> tuple[int, int, int] | None:
        """Offset, address and size of the dynamic section.

        None for static programs, and for files that hold only debugging information: those keep the program headers
        of the file they were split from, and only their sections tell the truth.
        """
        if self._dynamic_place is False:
            self._dynamic_place = self._find_dynamic()
        return self._dynamic_place

    def _find_dynamic(self) -> tuple[int, int, int] | None:
        segment = self.segment(PT_DYNAMIC)
        try:
            sections = [s for s in self.sections if s.flags & SHF_ALLOC and s.size]
        except DamagedElf:  # no loader reads them: what loads and runs is to be readable here, too
            sections = []
        if segment is None:
            found = [s for s in sections if s.type == SHT_DYNAMIC]
            return (found[0].offset, found[0].addr, found[0].size) if found else None
        if not segment.filesz or any(s.type == SHT_NOBITS and s.addr == segment.vaddr for s in sections):
            return None
        return segment.offset, segment.vaddr, segment.filesz

    def know_dynamic_place(self) -> None:
        """Believe the program headers, for a file that is known to be no debug file: sections need not be read."""
        segment = self.segment(PT_DYNAMIC)
        if segment is not None and segment.filesz:
            self._dynamic_place = (segment.offset, segment.vaddr, segment.filesz)

    @property
    def has_dynamic(self) -> bool:
        return self.dynamic_place is not None

    @property
    def dynamic(self) -> list[tuple[int, int]]:
        """(tag, value) in order, up to DT_NULL and without it; empty for a static file."""
        if self._dynamic is None:
            self._dynamic = self._read_dynamic()
        return self._dynamic

    def _read_dynamic(self) -> list[tuple[int, int]]:
        place = self.dynamic_place
        if place is None:
            return []
        offset, _, size = place
        if size > MAX_DYNAMIC * self.shape.dyn.size:
            raise self.damaged(f"its dynamic section has {size} bytes")
        size -= size % self.shape.dyn.size
        data = self.source.read(offset, size, "data offset extends past file end: the dynamic section:")
        found: list[tuple[int, int]] = []
        for tag, value in self.shape.dyn.iter_unpack(data):
            if tag == DT_NULL:
                return found
            found.append((tag, value))
        return (
            found  # no DT_NULL: GNU ld leaves it out with -z spare-dynamic-tags=0, and zeros happen to follow
        )

    def value(self, tag: int) -> int | None:
        """The value of the first dynamic entry with this tag."""
        for found, value in self.dynamic:
            if found == tag:
                return value
        return None

    @property
    def string_table(self) -> tuple[int, int]:
        """Offset and size in the file of the dynamic string table. Raises DamagedElf where there is none."""
        if self._strings is None:
            address, size = self.value(DT_STRTAB), self.value(DT_STRSZ)
            if address is None:
                raise self.damaged("its dynamic section has no string table (DT_STRTAB)")
            offset = self.offset_of(address)
            if offset is None:
                raise self.damaged(f"its dynamic strings at {address:#x} are not in the file")
            if size is None:  # every linker writes DT_STRSZ; the section tells as well
                sizes = [s.size for s in self.sections if s.type == SHT_STRTAB and s.addr == address]
                size = sizes[0] if sizes else 0
            self.source.read(offset + max(size, 1) - 1, 1, "data region extends past file end: .dynstr:")
            self._strings = (offset, size)
        return self._strings

    def string(self, index: int) -> str:
        """The dynamic string at this offset of the table. Raises DamagedElf."""
        offset, size = self.string_table
        if index >= size:
            raise self.damaged(f"string table index out of bounds: {index:#x} of {size:#x} bytes")
        return text(self.source.string(offset + index, offset + size, "string table"))

    def _strings_of(self, wanted: int) -> list[str]:
        return [self.string(value) for tag, value in self.dynamic if tag == wanted]

    @property
    def needed(self) -> list[str]:
        return self._strings_of(DT_NEEDED)

    @property
    def soname(self) -> str | None:
        found = self._strings_of(DT_SONAME)
        return found[-1] if found else None

    @property
    def rpath(self) -> str | None:
        found = self._strings_of(DT_RPATH)
        return found[-1] if found else None

    @property
    def runpath(self) -> str | None:
        found = self._strings_of(DT_RUNPATH)
        return found[-1] if found else None


def text(data: bytes) -> str:
    """Bytes of a name as text; `data_of` gives the same bytes back, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def data_of(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
