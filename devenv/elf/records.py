"""The structures of an ELF file as Python values, for 32 and 64 bit and both byte orders.

Source: System V ABI, chapters 4 and 5; symbol versions as in the LSB core specification, chapter 10.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

IDENT_SIZE = 16


class Segment:
    """A program header. Offsets, addresses and sizes in bytes."""

    __slots__ = ("align", "filesz", "flags", "memsz", "offset", "paddr", "type", "vaddr")

    def __init__(
        self,
        type: int,
        flags: int,
        offset: int,
        vaddr: int,
        paddr: int,
        filesz: int,
        memsz: int,
        align: int,
    ) -> None:
        self.type = type
        self.flags = flags
        self.offset = offset
        self.vaddr = vaddr
        self.paddr = paddr
        self.filesz = filesz
        self.memsz = memsz
        self.align = align

    @property
    def end(self) -> int:
        """Where its bytes in the file end."""
        return self.offset + self.filesz

    def copy(self) -> Segment:
        return Segment(
            self.type, self.flags, self.offset, self.vaddr, self.paddr, self.filesz, self.memsz, self.align
        )


class Section:
    """A section header with its place in the table. `name` is an offset into the section name table."""

    __slots__ = (
        "addr",
        "align",
        "entsize",
        "flags",
        "index",
        "info",
        "link",
        "name",
        "offset",
        "size",
        "type",
    )

    def __init__(
        self,
        index: int,
        name: int,
        type: int,
        flags: int,
        addr: int,
        offset: int,
        size: int,
        link: int,
        info: int,
        align: int,
        entsize: int,
    ) -> None:
        self.index = index
        self.name = name
        self.type = type
        self.flags = flags
        self.addr = addr
        self.offset = offset
        self.size = size
        self.link = link
        self.info = info
        self.align = align
        self.entsize = entsize

    @property
    def end(self) -> int:
        return self.offset + self.size

    def copy(self) -> Section:
        """One that can be changed without changing this."""
        place = (self.addr, self.offset, self.size)
        return Section(
            self.index,
            self.name,
            self.type,
            self.flags,
            *place,
            self.link,
            self.info,
            self.align,
            self.entsize,
        )


class Shape:
    """How structures are laid out in one class and byte order."""

    __slots__ = ("_shdr", "bits", "dyn", "ehdr", "little", "order", "phdr", "shdr", "sym", "word")

    def __init__(self, bits: int, little: bool) -> None:
        self.bits = bits
        self.little = little
        self.order = order = "<" if little else ">"
        wide = bits == 64
        self.word = 8 if wide else 4
        # after e_ident: type machine version entry phoff shoff flags ehsize phentsize phnum shentsize shnum shstrndx
        self.ehdr = struct.Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
        self.phdr = struct.Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
        self.shdr = struct.Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
        self.dyn = struct.Struct(order + ("QQ" if wide else "II"))
        self.sym = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))

    def segment(self, fields: tuple[int, ...]) -> Segment:
        if self.bits == 64:
            return Segment(*fields)
        type, offset, vaddr, paddr, filesz, memsz, flags, align = fields
        return Segment(type, flags, offset, vaddr, paddr, filesz, memsz, align)

    def pack_segment(self, s: Segment) -> bytes:
        if self.bits == 64:
            return self.phdr.pack(s.type, s.flags, s.offset, s.vaddr, s.paddr, s.filesz, s.memsz, s.align)
        return self.phdr.pack(s.type, s.offset, s.vaddr, s.paddr, s.filesz, s.memsz, s.flags, s.align)

    def pack_section(self, s: Section) -> bytes:
        return self.shdr.pack(
            s.name, s.type, s.flags, s.addr, s.offset, s.size, s.link, s.info, s.align, s.entsize
        )

    def words(self, data: bytes, size: int) -> Sequence[int]:
        """`data` as unsigned numbers of `size` bytes (2 or 4), without copying where the order is the machine's."""
        count = len(data) // size
        view = memoryview(data)[: count * size]
        if self.little != _NATIVE_LITTLE:
            return struct.unpack(f"{self.order}{count}{'H' if size == 2 else 'I'}", view)
        return view.cast("H") if size == 2 else view.cast("I")


_NATIVE_LITTLE = struct.pack("=H", 1) == b"\x01\x00"
_SHAPES: dict[tuple[int, int], Shape] = {}


def shape_of(class_byte: int, data_byte: int) -> Shape | None:
    """The layout for EI_CLASS and EI_DATA; None where they mean nothing."""
    if class_byte not in (1, 2) or data_byte not in (1, 2):
        return None
    key = (class_byte, data_byte)
    if key not in _SHAPES:
        _SHAPES[key] = Shape(32 * class_byte, data_byte == 1)
    return _SHAPES[key]
