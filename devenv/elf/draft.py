"""A file's parts as edits change them, before anybody decides where they go.

An edit either changes bytes where they are (`put`), or one of the parts that may grow: the interpreter's name, the
dynamic entries, the dynamic strings, the program headers.
"""

from __future__ import annotations

from devenv.elf.elf import Elf, data_of
from devenv.elf.errors import UnsupportedElf
from devenv.elf.numbers import STRING_TAGS
from devenv.elf.records import Segment
from devenv.elf.symbols import name_offsets
from devenv.elf.versions import defined_versions, needed_versions

OS_ABI_AT = 7
SHORTEST_REUSED = 8


class Draft:
    """What the file is to become.

    interpreter: the new name without NUL, None to leave it; dynamic: (tag, value) without DT_NULL;
    changes: offset in the file -> bytes to put there; segments: copies that may be altered and appended to.
    note: a note for a section of its own, and for the segment `note_segment`, which is one of `segments`.
    """

    def __init__(self, elf: Elf) -> None:
        self.elf = elf
        self.interpreter: bytes | None = None
        self.note = b""
        self.note_segment: Segment | None = None
        self.dynamic: list[tuple[int, int]] = list(elf.dynamic)
        self.segments: list[Segment] = [segment.copy() for segment in elf.segments]
        self.changes: dict[int, bytes] = {}
        self.page_size = 0
        self.clear_old = True
        self.overwritten: list[tuple[int, int]] = []
        self._strings: bytearray | None = None

    def unsupported(self, found: str, hint: str | None = None) -> UnsupportedElf:
        return UnsupportedElf(self.elf.path, found, hint=hint)

    def require_dynamic(self) -> None:
        """Raises UnsupportedElf for a static program."""
        if not self.elf.has_dynamic:
            raise self.unsupported(
                "cannot find section '.dynamic'. The input file is most likely statically linked",
                hint="a static program needs no libraries and has nothing to set here",
            )

    def put(self, offset: int, data: bytes) -> None:
        """Change bytes where they are; later ones win."""
        self.changes[offset] = data

    def read(self, offset: int, size: int, what: str) -> bytes:
        """The file's bytes with the changes made so far."""
        data = self.elf.source.read(offset, size, what)
        touching = [at for at, new in self.changes.items() if at < offset + size and at + len(new) > offset]
        if not touching:
            return data
        edited = bytearray(data)
        for at in touching:
            new = self.changes[at]
            start, stop = max(at, offset), min(at + len(new), offset + size)
            edited[start - offset : stop - offset] = new[start - at : stop - at]
        return bytes(edited)

    # The string table.

    @property
    def strings(self) -> bytearray:
        """The whole dynamic string table, with additions. Raises DamagedElf."""
        if self._strings is None:
            offset, size = self.elf.string_table
            self._strings = bytearray(self.elf.source.read(offset, size, "the dynamic strings"))
            if not self._strings or self._strings[-1]:
                raise self.elf.damaged("string table is not NUL-terminated")
        return self._strings

    @property
    def strings_grew(self) -> bool:
        return self._strings is not None and len(self._strings) > self.elf.string_table[1]

    def _free_place(self, size: int) -> int | None:
        """Where an overwritten string was, long enough for another one: repeated edits shall not grow the table."""
        if size < SHORTEST_REUSED:
            return None
        start = self.strings.find(b"\0" + b"X" * size) + 1
        if not start:
            return None
        return start if self._is_free(start, self.strings.index(0, start)) else None

    def forget_string(self, index: int) -> None:
        """Overwrite a string that nobody uses any more, and join it with what was overwritten beside it."""
        start, end = index, self.strings.index(0, index)
        following = self.strings.find(0, end + 1)
        if following > end + 1 and self._is_free(end + 1, following):
            end = following
        before = self.strings.rfind(0, 0, max(start - 1, 0)) + 1
        if before < start - 1 and self._is_free(before, start - 1):
            start = before
        self.overwrite_string(start, b"X" * (end - start))

    def _is_free(self, start: int, end: int) -> bool:
        """Is this string of nothing but X used by nobody?"""
        return self.strings.count(b"X", start, end) == end - start and not self.string_users(start)

    def overwrite_string(self, index: int, data: bytes) -> None:
        """Put other bytes into the table, where text that nobody else uses stood."""
        self.strings[index : index + len(data)] = data
        self.overwritten.append((index, len(data)))

    def string(self, index: int) -> bytes:
        """The text at this offset of the table. Raises DamagedElf."""
        table = self.strings
        if index >= len(table):
            raise self.elf.damaged(f"string table index out of bounds: {index:#x} of {len(table):#x} bytes")
        return bytes(table[index : table.index(0, index)])

    def add_string(self, value: str) -> int:
        """The offset of this text in the table, where it stands already or at its end.

        Raises UnsupportedElf for a NUL in it.
        """
        data = data_of(value)
        if b"\0" in data:
            raise self.unsupported(f"a name with a NUL character cannot be stored: {value[:64]!r}")
        found = self.strings.find(data + b"\0")
        if found >= 0:
            return found
        free = self._free_place(len(data))
        if free is not None:
            self.overwrite_string(free, data + b"\0")
            return free
        at = len(self.strings)
        self.strings.extend(data + b"\0")
        return at

    def string_users(self, index: int) -> int:
        """How many fields of the file use the string at `index`, or a part of the text that it is the end of."""
        self.string(index)
        table = self.strings
        first = table.rfind(0, 0, index) + 1
        last = table.index(0, index)
        return sum(first <= user <= last for user in self._string_references())

    def _string_references(self) -> list[int]:
        found = name_offsets(self.elf)
        found += [value for tag, value in self.dynamic if tag in STRING_TAGS]
        for needed in needed_versions(self.elf):
            found += (needed.file, needed.name)
        for defined in defined_versions(self.elf):
            found += defined.names
        return found

    # Dynamic entries.

    def find(self, tag: int) -> int | None:
        """The place in `dynamic` of the last entry with this tag."""
        for place in range(len(self.dynamic) - 1, -1, -1):
            if self.dynamic[place][0] == tag:
                return place
        return None

    def set_entry(self, tag: int, value: int) -> None:
        """Give the entry with this tag a value; a new one goes to the end, where it moves no other."""
        place = self.find(tag)
        if place is None:
            self.dynamic.append((tag, value))
        else:
            self.dynamic[place] = (tag, value)

    def remove_entries(self, *tags: int) -> None:
        self.dynamic = [entry for entry in self.dynamic if entry[0] not in tags]

    @property
    def changed(self) -> bool:
        """Does anything of it differ from the file?"""
        return (
            self.interpreter is not None
            or self.dynamic != self.elf.dynamic
            or bool(self.changes)
            or self.strings_grew
            or bool(self.overwritten)
            or self.segments_changed
        )

    @property
    def segments_changed(self) -> bool:
        pack = self.elf.shape.pack_segment
        return [pack(s) for s in self.segments] != [pack(s) for s in self.elf.segments]
