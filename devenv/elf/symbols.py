"""The dynamic symbols: how many there are, their names, and the two hash tables over them.

Sources: System V ABI, "Hash Table"; for DT_GNU_HASH there is no specification, glibc and binutils define it.
"""

from __future__ import annotations

import struct

from devenv.elf.elf import Elf
from devenv.elf.numbers import DT_GNU_HASH, DT_HASH, DT_SYMTAB, SHT_DYNSYM

MAX_SYMBOLS = 1 << 22
_STEP = 4096


def symbol_table(elf: Elf) -> tuple[int, int] | None:
    """Offset in the file and number of the dynamic symbols; None where there are none. Raises DamagedElf."""
    address = elf.value(DT_SYMTAB)
    offset = None if address is None else elf.offset_of(address)
    if address is None or offset is None:
        return None
    count = _count_from_section(elf, address)
    if count is None:
        count = _count_from_hash(elf)
    if count is None:
        count = _count_from_gnu_hash(elf)
    if count is None:
        return None
    if count > MAX_SYMBOLS:
        raise elf.damaged(f"it has {count} dynamic symbols, more than {MAX_SYMBOLS}")
    return offset, count


def _count_from_section(elf: Elf, address: int) -> int | None:
    for section in elf.sections:
        if section.type == SHT_DYNSYM and section.addr == address:
            return section.size // elf.shape.sym.size
    return None


def _count_from_hash(elf: Elf) -> int | None:
    address = elf.value(DT_HASH)
    offset = None if address is None else elf.offset_of(address)
    if offset is None:
        return None
    _, chains = struct.unpack(elf.shape.order + "II", elf.source.read(offset, 8, "the symbol hash table"))
    return int(chains)


def _count_from_gnu_hash(elf: Elf) -> int | None:
    """One more than the last symbol of the highest chain; the table does not say its own length."""
    table = gnu_hash_table(elf)
    if table is None:
        return None
    highest = max(table.buckets, default=0)
    if highest < table.first:
        return table.first
    at = table.chains + 4 * (highest - table.first)
    while highest < MAX_SYMBOLS:
        size = max(4, min(_STEP, elf.source.size - at))
        for word in elf.shape.words(elf.source.read(at, size, "the symbol hash table"), 4):
            highest += 1
            if word & 1:  # the end of a chain
                return highest
        at += size & -4
    raise elf.damaged("its symbol hash table has no end")


class GnuHash:
    """DT_GNU_HASH. `first` is the first symbol it covers; offsets are in the file, bloom words in machine words."""

    __slots__ = ("bloom", "bloom_words", "buckets", "chains", "first", "offset", "shift")

    def __init__(
        self,
        offset: int,
        first: int,
        bloom_words: int,
        shift: int,
        bloom: int,
        buckets: list[int],
        chains: int,
    ) -> None:
        self.offset = offset
        self.first = first
        self.bloom_words = bloom_words
        self.shift = shift
        self.bloom = bloom
        self.buckets = buckets
        self.chains = chains


def gnu_hash_table(elf: Elf) -> GnuHash | None:
    """The table of DT_GNU_HASH, None where there is none. Raises DamagedElf."""
    address = elf.value(DT_GNU_HASH)
    offset = None if address is None else elf.offset_of(address)
    if offset is None:
        return None
    what = "hash table header out of range: DT_GNU_HASH"
    order = elf.shape.order
    count, first, bloom_words, shift = struct.unpack(order + "IIII", elf.source.read(offset, 16, what))
    if not count or not bloom_words or bloom_words & (bloom_words - 1) or count > MAX_SYMBOLS:
        raise elf.damaged(f"{what} with {count} buckets and {bloom_words} filter words")
    bloom = offset + 16
    at = bloom + bloom_words * elf.shape.word
    elf.source.read(bloom, bloom_words * elf.shape.word, what)
    buckets = list(elf.shape.words(elf.source.read(at, 4 * count, what), 4))
    return GnuHash(offset, first, bloom_words, shift, bloom, buckets, at + 4 * count)


def gnu_hash(name: bytes) -> int:
    """The hash of a symbol's name in DT_GNU_HASH: Bernstein's, times 33."""
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def sysv_hash(name: bytes) -> int:
    """The hash of a symbol's name in DT_HASH, as the System V gABI defines it."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value >> 24 & 0xF0)) & 0x0FFFFFFF
    return value


def name_offsets(elf: Elf) -> list[int]:
    """st_name of every dynamic symbol, in order."""
    table = symbol_table(elf)
    if table is None:
        return []
    offset, count = table
    size = elf.shape.sym.size
    data = elf.source.read(offset, count * size, "the dynamic symbols")
    return list(elf.shape.words(data, 4)[:: size // 4])


def largest_symbol(elf: Elf, limit: int) -> int:
    """The size of the largest dynamic symbol in bytes, those beyond `limit` left out."""
    table = symbol_table(elf) if elf.dynamic else None
    if table is None:
        return 0
    offset, count = table
    shape = elf.shape
    words = shape.words(elf.source.read(offset, count * shape.sym.size, "the dynamic symbols"), 4)
    first, step = (2, 4) if shape.bits == 32 else (4 if shape.little else 5, 6)  # the low word of st_size
    sizes = words[first::step]
    largest = max(sizes, default=0)
    return largest if largest <= limit else max((size for size in sizes if size <= limit), default=0)
