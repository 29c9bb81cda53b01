"""Small ELF files made byte by byte: every class and byte order, without a compiler for it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from devenv.elf.numbers import (
    DT_GNU_HASH,
    DT_HASH,
    DT_NEEDED,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMENT,
    DT_SYMTAB,
    DT_VERNEED,
    DT_VERNEEDNUM,
    DT_VERSYM,
    ET_DYN,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_PHDR,
)
from devenv.elf.records import Section, Segment, Shape
from devenv.elf.symbols import gnu_hash, sysv_hash

PAGE = 0x1000


@dataclass
class Recipe:
    """What to put into the file. `versions`: library -> versions, one per symbol in `wanted`, in order."""

    bits: int = 64
    little: bool = True
    machine: int = 62
    type: int = ET_DYN
    interpreter: str | None = "/lib/ld.so.1"
    needed: list[str] = field(default_factory=lambda: ["libfirst.so.1", "libc.so.6"])
    soname: str | None = None
    runpath: str | None = None
    symbols: list[str] = field(default_factory=lambda: ["alpha", "beta", "gamma"])
    version: tuple[str, str] | None = ("libc.so.6", "LIBC_1.0")
    notes: list[tuple[bytes, int, bytes]] = field(default_factory=lambda: [(b"GNU\0", 3, b"\x01" * 20)])
    spare: int = 2
    slack: int = 0
    sections: bool = True
    payload: bytes = b""
    data: bytes = b"some data of the program"


class _Image:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.shape = Shape(recipe.bits, recipe.little)
        self.order = self.shape.order
        self.strings = bytearray(b"\0")
        self.body = bytearray()
        self.places: dict[str, tuple[int, int]] = {}

    def string(self, name: str) -> int:
        at = len(self.strings)
        self.strings += name.encode() + b"\0"
        return at

    def add(self, name: str, data: bytes, align: int = 8) -> int:
        self.body += bytes(-len(self.body) % align)
        at = len(self.body)
        self.body += data
        self.places[name] = (at, len(data))
        return at


def build(recipe: Recipe) -> bytes:
    """A loadable file, its tables in one read-only segment, data and the dynamic section in a writable one."""
    image = _Image(recipe)
    count = 4 + (recipe.interpreter is not None) + bool(recipe.notes)
    shape = image.shape
    image.body += bytes(16 + shape.ehdr.size + count * shape.phdr.size + recipe.slack)
    if recipe.interpreter is not None:
        image.add(".interp", recipe.interpreter.encode() + b"\0", 1)
    if recipe.notes:
        image.add(".note", b"".join(_note(image, *note) for note in recipe.notes), 4)
    _tables(image)
    image.body += bytes(-len(image.body) % PAGE)
    data = image.add(".data", recipe.data, 16)
    end = len(image.body) + -len(image.body) % 8
    _dynamic(image)
    assert image.places[".dynamic"][0] == end
    segments = _segments(image, data)
    assert len(segments) == count
    return _finish(image, segments)


def _note(image: _Image, owner: bytes, kind: int, description: bytes) -> bytes:
    head = struct.pack(image.order + "III", len(owner), len(description), kind)
    return head + owner + bytes(-len(owner) % 4) + description + bytes(-len(description) % 4)


def _tables(image: _Image) -> None:
    recipe, shape, order = image.recipe, image.shape, image.order
    buckets = 2
    names = sorted((name.encode() for name in recipe.symbols), key=lambda name: gnu_hash(name) % buckets)
    symbols = [bytes(shape.sym.size)]
    for name in names:
        at = image.string(name.decode())
        fields = (at, 0x12, 0, 1, 0x500, 4) if recipe.bits == 64 else (at, 0x500, 4, 0x12, 0, 1)
        symbols.append(shape.sym.pack(*fields))
    image.add(".gnu.hash", _gnu_hash(image, names, buckets))
    image.add(".hash", _sysv_hash(image, names, buckets))
    image.add(".dynsym", b"".join(symbols))
    if recipe.version is not None:
        library, version = recipe.version
        image.add(".gnu.version", struct.pack(f"{order}{len(symbols)}H", 0, *([2] * len(names))), 2)
        head = struct.pack(order + "HHIII", 1, 1, image.string(library), 16, 0)
        entry = struct.pack(order + "IHHII", sysv_hash(version.encode()), 0, 2, image.string(version), 0)
        image.add(".gnu.version_r", head + entry)
    image.places["needed"] = (0, 0)
    image.dynamic_strings = {  # type: ignore[attr-defined]
        "needed": [image.string(name) for name in recipe.needed],
        "soname": image.string(recipe.soname) if recipe.soname is not None else None,
        "runpath": image.string(recipe.runpath) if recipe.runpath is not None else None,
    }
    image.add(".dynstr", bytes(image.strings), 1)


def _gnu_hash(image: _Image, names: list[bytes], buckets: int) -> bytes:
    word = 8 * image.shape.word
    bloom, firsts, chains = 0, [0] * buckets, []
    for place, name in enumerate(names):
        value = gnu_hash(name)
        bloom |= 1 << value % word | 1 << (value >> 5) % word
        if not firsts[value % buckets]:
            firsts[value % buckets] = place + 1
        last = place + 1 == len(names) or gnu_hash(names[place + 1]) % buckets != value % buckets
        chains.append(value & ~1 | last)
    data = struct.pack(image.order + "IIII", buckets, 1, 1, 5)
    data += struct.pack(image.order + ("Q" if word == 64 else "I"), bloom)
    return data + struct.pack(f"{image.order}{buckets + len(chains)}I", *firsts, *chains)


def _sysv_hash(image: _Image, names: list[bytes], count: int) -> bytes:
    buckets, chains = [0] * count, [0] * (len(names) + 1)
    for number, name in enumerate(names, 1):
        bucket = sysv_hash(name) % count
        chains[number], buckets[bucket] = buckets[bucket], number
    return struct.pack(f"{image.order}{2 + count + len(chains)}I", count, len(chains), *buckets, *chains)


def _dynamic(image: _Image) -> None:
    recipe, place, strings = image.recipe, image.places, image.dynamic_strings  # type: ignore[attr-defined]
    entries = [(DT_NEEDED, at) for at in strings["needed"]]
    if strings["soname"] is not None:
        entries.append((DT_SONAME, strings["soname"]))
    if strings["runpath"] is not None:
        entries.append((DT_RUNPATH, strings["runpath"]))
    entries += [
        (DT_HASH, place[".hash"][0]),
        (DT_GNU_HASH, place[".gnu.hash"][0]),
        (DT_STRTAB, place[".dynstr"][0]),
        (DT_STRSZ, place[".dynstr"][1]),
        (DT_SYMTAB, place[".dynsym"][0]),
        (DT_SYMENT, image.shape.sym.size),
    ]
    if recipe.version is not None:
        entries += [
            (DT_VERSYM, place[".gnu.version"][0]),
            (DT_VERNEED, place[".gnu.version_r"][0]),
            (DT_VERNEEDNUM, 1),
        ]
    data = b"".join(image.shape.dyn.pack(*entry) for entry in [*entries, *[(0, 0)] * (1 + recipe.spare)])
    image.add(".dynamic", data)


def _segments(image: _Image, data: int) -> list[Segment]:
    def over(type: int, flags: int, name: str, align: int) -> Segment:
        at, size = image.places[name]
        return Segment(type, flags, at, at, at, size, size, align)

    recipe, shape = image.recipe, image.shape
    head = 16 + shape.ehdr.size
    text = image.places[".dynstr"][0] + image.places[".dynstr"][1]
    end = len(image.body)
    found = [Segment(PT_PHDR, 4, head, head, head, 0, 0, 8)]
    if recipe.interpreter is not None:
        found.append(over(PT_INTERP, 4, ".interp", 1))
    found.append(Segment(PT_LOAD, 5, 0, 0, 0, text, text, PAGE))
    found.append(Segment(PT_LOAD, 6, data, data, data, end - data, end - data + 64, PAGE))
    found.append(over(PT_DYNAMIC, 6, ".dynamic", 8))
    if recipe.notes:
        found.append(over(PT_NOTE, 4, ".note", 4))
    found[0].filesz = found[0].memsz = len(found) * shape.phdr.size
    return found


# name -> type, flags, link to, size of entries
_SECTIONS = {
    ".interp": (1, 2, "", 0),
    ".note": (7, 2, "", 0),
    ".gnu.hash": (0x6FFFFFF6, 2, ".dynsym", 0),
    ".hash": (5, 2, ".dynsym", 4),
    ".dynsym": (11, 2, ".dynstr", -1),
    ".gnu.version": (0x6FFFFFFF, 2, ".dynsym", 2),
    ".gnu.version_r": (0x6FFFFFFE, 2, ".dynstr", 0),
    ".dynstr": (3, 2, "", 0),
    ".data": (1, 3, "", 0),
    ".dynamic": (6, 3, ".dynstr", -2),
}


def _finish(image: _Image, segments: list[Segment]) -> bytes:
    recipe, shape = image.recipe, image.shape
    shoff, sections = 0, []
    if recipe.sections:
        sections = _section_table(image)
        image.body += bytes(-len(image.body) % 8)
        shoff = len(image.body)
        image.body += b"".join(shape.pack_section(section) for section in sections)
    ident = b"\x7fELF" + bytes((recipe.bits // 32, 1 if recipe.little else 2, 1)) + bytes(9)
    head = 16 + shape.ehdr.size
    fields = (recipe.type, recipe.machine, 1, 0, head, shoff, 0, head, shape.phdr.size, len(segments))
    start = ident + shape.ehdr.pack(*fields, shape.shdr.size, len(sections), max(len(sections) - 1, 0))
    start += b"".join(shape.pack_segment(s) for s in segments)
    image.body[: len(start)] = start
    return bytes(image.body) + recipe.payload


def _section_table(image: _Image) -> list[Section]:
    names = [name for name in _SECTIONS if name in image.places]
    numbers = {name: number for number, name in enumerate(names, 1)}
    table = bytearray(b"\0")
    found = [Section(0, *[0] * 10)]
    sizes = {-1: image.shape.sym.size, -2: image.shape.dyn.size}
    for name in names:
        type, flags, link, entry = _SECTIONS[name]
        at, size = image.places[name]
        info = 1 if name in (".dynsym", ".gnu.version_r") else 0
        align = {".interp": 1, ".dynstr": 1, ".note": 4, ".gnu.version": 2}.get(name, 8)
        values = (
            len(table),
            type,
            flags,
            at,
            at,
            size,
            numbers.get(link, 0),
            info,
            align,
            sizes.get(entry, entry),
        )
        found.append(Section(numbers[name], *values))
        table += name.encode() + b"\0"
    at = len(table)
    table += b".shstrtab\0"
    place = image.add(".shstrtab", bytes(table), 1)
    found.append(Section(len(found), at, 3, 0, 0, place, len(table), 0, 0, 1, 0))
    return found
