"""Renaming dynamic symbols: new names, new hash tables, and the order of symbols that one of them asks for.

DT_GNU_HASH wants the symbols that it covers ordered by bucket. Who refers to symbols by number follows: relocations,
the table of versions, and DT_HASH, which is made anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from devenv.elf.draft import Draft
from devenv.elf.elf import data_of
from devenv.elf.numbers import (
    DT_ANDROID_REL,
    DT_ANDROID_RELA,
    DT_HASH,
    DT_JMPREL,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELSZ,
    DT_VERSYM,
    EM_MIPS,
)
from devenv.elf.symbols import GnuHash, gnu_hash, gnu_hash_table, symbol_table, sysv_hash


def rename_symbols(draft: Draft, names: Mapping[str, str]) -> None:
    """Give symbols other names, defined and needed ones alike. Raises UnsupportedElf where the order cannot change."""
    draft.require_dynamic()
    wanted = {data_of(old): new for old, new in names.items()}
    table = symbol_table(draft.elf)
    if table is None:
        return
    offset, count = table
    shape = draft.elf.shape
    size = shape.sym.size
    data = draft.read(offset, count * size, "the dynamic symbols")
    symbols = [bytearray(data[at : at + size]) for at in range(0, len(data), size)]
    current = [draft.string(index) for index in shape.words(data, 4)[:: size // 4]]
    renamed = False
    hashes = gnu_hash_table(draft.elf)
    for number, name in enumerate(current):
        new = wanted.get(name)
        if new is not None and data_of(new) != name:
            struct.pack_into(shape.order + "I", symbols[number], 0, draft.add_string(new))
            current[number] = data_of(new)
            renamed = True
    if not renamed:
        return
    order = list(range(count))
    if hashes is not None:
        order = _by_bucket(current, hashes)
    draft.put(offset, b"".join(bytes(symbols[old]) for old in order))
    names_now = [current[old] for old in order]
    if hashes is not None:
        _put_gnu_hash(draft, hashes, names_now)
    _put_hash(draft, names_now)
    if order != sorted(order):
        _renumber(draft, order)


def _by_bucket(names: list[bytes], table: GnuHash) -> list[int]:
    """The old numbers of the symbols in their new order."""
    count = len(table.buckets)
    covered = sorted(range(table.first, len(names)), key=lambda number: gnu_hash(names[number]) % count)
    return [*range(min(table.first, len(names))), *covered]


def _put_gnu_hash(draft: Draft, table: GnuHash, names: list[bytes]) -> None:
    """The table over the symbols in their new order; it has the size it had."""
    word, order = 8 * draft.elf.shape.word, draft.elf.shape.order
    bloom, buckets = [0] * table.bloom_words, [0] * len(table.buckets)
    values = [gnu_hash(name) for name in names[table.first :]]
    chains = []
    for place, value in enumerate(values):
        bloom[value // word % table.bloom_words] |= 1 << value % word | 1 << (value >> table.shift) % word
        bucket = value % len(buckets)
        if not buckets[bucket]:
            buckets[bucket] = table.first + place
        last = place + 1 == len(values) or values[place + 1] % len(buckets) != bucket
        chains.append(value & ~1 | last)
    code = "Q" if word == 64 else "I"
    data = struct.pack(f"{order}{len(bloom)}{code}", *bloom)
    data += struct.pack(f"{order}{len(buckets)}I{len(chains)}I", *buckets, *chains)
    draft.elf.source.read(table.bloom, len(data), "hash table header out of range: DT_GNU_HASH")
    draft.put(table.bloom, data)


def _put_hash(draft: Draft, names: list[bytes]) -> None:
    elf = draft.elf
    address = elf.value(DT_HASH)
    offset = None if address is None else elf.offset_of(address)
    if offset is None:
        return
    what = "hash table header out of range: DT_HASH"
    count, chained = struct.unpack(elf.shape.order + "II", elf.source.read(offset, 8, what))
    if not count or chained != len(names):
        raise elf.damaged(f"{what} with {count} buckets for {chained} of {len(names)} symbols")
    elf.source.read(offset + 8, 4 * (count + chained), what)
    buckets, chains = [0] * count, [0] * chained
    for number in range(chained - 1, 0, -1):
        bucket = sysv_hash(names[number]) % count
        chains[number], buckets[bucket] = buckets[bucket], number
    draft.put(offset + 8, struct.pack(f"{elf.shape.order}{count + chained}I", *buckets, *chains))


def _renumber(draft: Draft, order: list[int]) -> None:
    """Let relocations and versions follow the symbols; `order` has the old number of each new place."""
    elf = draft.elf
    if (
        elf.machine == EM_MIPS
        or elf.value(DT_ANDROID_REL) is not None
        or elf.value(DT_ANDROID_RELA) is not None
    ):
        raise draft.unsupported(
            "its symbols cannot change their order: packed relocations, or MIPS, where the GOT has it too"
        )
    place = [0] * len(order)
    for new, old in enumerate(order):
        place[old] = new
    address = elf.value(DT_VERSYM)
    offset = None if address is None else elf.offset_of(address)
    if offset is not None:
        data = draft.read(offset, 2 * len(order), "the symbol versions")
        draft.put(offset, b"".join(data[2 * old : 2 * old + 2] for old in order))
    for start, size, entry in _relocations(draft):
        _renumber_relocations(draft, start, size, entry, place)


def _relocations(draft: Draft) -> Iterator[tuple[int, int, int]]:
    """Offset in the file, size, and size of an entry of each relocation table, none twice."""
    elf, word = draft.elf, draft.elf.shape.word
    rela = elf.value(DT_PLTREL) == DT_RELA
    tables = ((DT_RELA, DT_RELASZ, 3), (DT_REL, DT_RELSZ, 2), (DT_JMPREL, DT_PLTRELSZ, 3 if rela else 2))
    seen: list[tuple[int, int]] = []
    for start_tag, size_tag, words in tables:
        address, size = elf.value(start_tag), elf.value(size_tag)
        if address is None or not size:
            continue
        # Some linkers count the relocations of the PLT among the others.
        for first, length in seen:
            if first <= address < first + length:
                size = 0
        offset = elf.offset_of(address)
        if offset is None:
            raise elf.damaged(f"its relocations at {address:#x} are not in the file")
        if size:
            seen.append((address, size))
            yield offset, size - size % (words * word), words * word


def _renumber_relocations(draft: Draft, start: int, size: int, entry: int, place: list[int]) -> None:
    shape = draft.elf.shape
    wide = shape.bits == 64
    data = bytearray(draft.read(start, size, "the relocations"))
    info = struct.Struct(shape.order + ("Q" if wide else "I"))
    shift = 32 if wide else 8
    for at in range(shape.word, len(data), entry):
        (value,) = info.unpack_from(data, at)
        number = value >> shift
        if number >= len(place):
            raise draft.elf.damaged(f"a relocation names symbol {number} of {len(place)}")
        if place[number] != number:
            info.pack_into(data, at, place[number] << shift | value & ((1 << shift) - 1))
    draft.put(start, bytes(data))
