"""The edits: each changes a draft so that the file says what is wanted, and nothing where it says so already."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence

from devenv.elf.draft import OS_ABI_AT, Draft
from devenv.elf.elf import Elf, data_of, text
from devenv.elf.errors import ElfError
from devenv.elf.numbers import (
    DF_1_NODEFLIB,
    DT_DEBUG,
    DT_FLAGS_1,
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_VERSYM,
    ET_DYN,
    OS_ABIS,
    PF_R,
    PF_W,
    PF_X,
    PT_GNU_STACK,
    PT_INTERP,
    PT_NULL,
)
from devenv.elf.records import Segment
from devenv.elf.symbols import name_offsets, sysv_hash
from devenv.elf.versions import defined_versions, needed_versions

NO_INTERPRETER = "cannot find section '.interp'. The input file is most likely statically linked"


def set_interpreter(draft: Draft, path: str) -> None:
    """Have the kernel start this loader. Raises UnsupportedElf for a file that asks for none."""
    if draft.elf.segment(PT_INTERP) is None:
        raise draft.unsupported(NO_INTERPRETER, hint="libraries and static programs have no interpreter")
    data = data_of(path)
    if not data or b"\0" in data or len(data) >= 4096:  # the kernel's PATH_MAX
        raise draft.unsupported(f"{path!r} cannot be an interpreter: it must be a path of 1 to 4095 bytes")
    if draft.elf.interpreter != path:
        draft.interpreter = data


# The run path.


def run_path(draft: Draft) -> str:
    """DT_RUNPATH, or the older DT_RPATH, or nothing: what the loader would take."""
    for tag in (DT_RUNPATH, DT_RPATH):
        place = draft.find(tag)
        if place is not None:
            return text(draft.string(draft.dynamic[place][1]))
    return ""


def set_run_path(draft: Draft, value: str, *, force_rpath: bool = False) -> None:
    """Set DT_RUNPATH, and make it of a DT_RPATH; with `force_rpath` the other way round."""
    draft.require_dynamic()
    wanted = DT_RPATH if force_rpath else DT_RUNPATH
    current = [place for place in (draft.find(DT_RUNPATH), draft.find(DT_RPATH)) if place is not None]
    old = draft.dynamic[current[0]][1] if current else None
    if current:
        draft.dynamic[current[0]] = (wanted, draft.dynamic[current[0]][1])
        if len(current) > 1:  # both kinds: the loader ignores the older one
            del draft.dynamic[current[1]]
    if old is not None and text(draft.string(old)) == value:
        return
    alone = old is not None and draft.string_users(old) <= 1
    draft.set_entry(wanted, 0)  # the empty string, until the new one has its place
    draft.set_entry(wanted, _store_run_path(draft, old if alone else None, value))


def _store_run_path(draft: Draft, old: int | None, value: str) -> int:
    """Where the text stands now: over the old one, that nobody else uses, if it is long enough.

    An old path that nobody else uses is overwritten: whoever scans files for the places they refer to, as stores
    do before they collect garbage, shall not find a reference that is not one any more.
    """
    data = data_of(value)
    if old is None:
        return draft.add_string(value)
    length = len(draft.string(old))
    if len(data) <= length and b"\0" not in data:
        draft.overwrite_string(old, (data + b"\0").ljust(length, b"X")[:length])
        return old
    draft.forget_string(old)
    return draft.add_string(value)


def add_run_path(draft: Draft, value: str, *, force_rpath: bool = False) -> None:
    """Append to the run path."""
    draft.require_dynamic()
    old = run_path(draft)
    set_run_path(draft, f"{old}:{value}" if old else value, force_rpath=force_rpath)


def remove_run_path(draft: Draft) -> None:
    """Remove both kinds of run path, and their text unless something else uses it."""
    draft.require_dynamic()
    for tag in (DT_RUNPATH, DT_RPATH):
        place = draft.find(tag)
        if place is None:
            continue
        index = draft.dynamic[place][1]
        alone = draft.string_users(index) <= 1
        del draft.dynamic[place]
        if alone:
            draft.forget_string(index)


def shrink_run_path(
    draft: Draft, allowed_prefixes: Sequence[str] = (), *, force_rpath: bool = False
) -> list[str]:
    """Keep only the directories where a needed library is found for the first time; the dropped ones.

    Relative entries and those with $ORIGIN are kept. A library of another machine does not count.
    """
    draft.require_dynamic()
    old = run_path(draft)
    if not old:
        return []
    missing = {text(draft.string(value)) for tag, value in draft.dynamic if tag == DT_NEEDED}
    kept: list[str] = []
    dropped: list[str] = []
    for directory in old.split(":"):
        if directory and not directory.startswith("/"):
            kept.append(directory)
            continue
        found: set[str] = set()
        if not allowed_prefixes or directory.startswith(tuple(allowed_prefixes)):
            found = {name for name in missing if _machine_of(f"{directory}/{name}") == draft.elf.machine}
        missing -= found
        (kept if found else dropped).append(directory)
    set_run_path(draft, ":".join(kept), force_rpath=force_rpath)
    return dropped


def _machine_of(path: str) -> int | None:
    if not os.path.exists(path):
        return None
    try:
        with Elf.open(path) as library:
            return library.machine
    except ElfError:
        return None


# Needed libraries and the own name.


def remove_needed(draft: Draft, names: Iterable[str]) -> None:
    """Need these libraries no longer. Raises UnsupportedElf for a static program."""
    draft.require_dynamic()
    gone = {data_of(name) for name in names}
    draft.dynamic = [
        (tag, value) for tag, value in draft.dynamic if tag != DT_NEEDED or draft.string(value) not in gone
    ]


def replace_needed(draft: Draft, names: Mapping[str, str]) -> None:
    """Ask for other libraries, in the dynamic section and in the records of symbol versions.

    Where the new name is the end of the old one, the old text serves and the file does not grow.
    """
    draft.require_dynamic()
    new_names = {data_of(old): new for old, new in names.items() if old != new}
    for place, (tag, value) in enumerate(draft.dynamic):
        if tag == DT_NEEDED:
            new = new_names.get(draft.string(value))
            if new is not None:
                draft.dynamic[place] = (tag, _other_name(draft, value, new))
    done: set[int] = set()
    for entry in needed_versions(draft.elf):
        new = new_names.get(draft.string(entry.file))
        if new is not None and entry.file_at not in done:
            done.add(entry.file_at)
            index = _other_name(draft, entry.file, new)
            draft.put(entry.file_at, struct.pack(draft.elf.shape.order + "I", index))


def _other_name(draft: Draft, old: int, new: str) -> int:
    data = data_of(new)
    current = draft.string(old)
    return old + len(current) - len(data) if current.endswith(data) and data else draft.add_string(new)


def add_needed(draft: Draft, names: Iterable[str]) -> None:
    """Ask for more libraries; they come first, so that their symbols win."""
    draft.require_dynamic()
    draft.dynamic[:0] = [(DT_NEEDED, draft.add_string(name)) for name in names]


def set_soname(draft: Draft, name: str) -> None:
    """Name a library; programs have no such name and are left alone."""
    if draft.elf.type != ET_DYN:
        return
    draft.require_dynamic()
    place = draft.find(DT_SONAME)
    if place is not None and draft.string(draft.dynamic[place][1]) == data_of(name):
        return
    draft.set_entry(DT_SONAME, draft.add_string(name))


# Flags and tags.


def no_default_library_path(draft: Draft) -> None:
    """Search neither the loader's cache nor its default directories (DF_1_NODEFLIB)."""
    draft.require_dynamic()
    place = draft.find(DT_FLAGS_1)
    flags = 0 if place is None else draft.dynamic[place][1]
    draft.set_entry(DT_FLAGS_1, flags | DF_1_NODEFLIB)


def add_debug_tag(draft: Draft) -> None:
    """A place where the loader tells debuggers about the loaded libraries; linkers give it to programs only."""
    draft.require_dynamic()
    if draft.find(DT_DEBUG) is None:
        draft.dynamic.append((DT_DEBUG, 0))


def execstack(draft: Draft) -> bool | None:
    """Does the file ask for an executable stack? None: it does not say, and the kernel decides by machine."""
    for segment in draft.segments:
        if segment.type == PT_GNU_STACK:
            return bool(segment.flags & PF_X)
    return None


def set_execstack(draft: Draft, executable: bool) -> None:
    """Say whether the stack may be executed, in PT_GNU_STACK, which is made where there is none."""
    wanted = PF_X if executable else 0
    for segment in draft.segments:
        if segment.type == PT_GNU_STACK:
            segment.flags = segment.flags & ~PF_X | wanted
            return
    new = Segment(PT_GNU_STACK, PF_R | PF_W | wanted, 0, 0, 0, 0, 0, 16)
    for place, segment in enumerate(draft.segments):
        if segment.type == PT_NULL:
            draft.segments[place] = new
            return
    draft.segments.append(new)


def os_abi_name(number: int) -> str:
    return OS_ABIS[number][0] if number in OS_ABIS else f"0x{number:02X}"


def set_os_abi(draft: Draft, name: str) -> None:
    """Raises UnsupportedElf for a name that is none of those in OS_ABIS."""
    wanted = name.strip().lower()
    for number, names in OS_ABIS.items():
        if wanted in (known.lower() for known in names):
            if number != draft.elf.os_abi:
                draft.put(OS_ABI_AT, bytes((number,)))
            return
    known = ", ".join(names[0] for names in OS_ABIS.values())
    raise draft.unsupported(f"unrecognized OS ABI {name!r}", hint=f"known: {known}")


# Symbol versions.


def clear_symbol_version(draft: Draft, names: Iterable[str]) -> None:
    """Let these symbols bind to any version: their index becomes 1, global without a version.

    Raises UnsupportedElf without versions.
    """
    draft.require_dynamic()
    wanted = {data_of(name) for name in names}
    address = draft.elf.value(DT_VERSYM)
    offset = None if address is None else draft.elf.offset_of(address)
    if offset is None:
        raise draft.unsupported("cannot find section '.gnu.version': its symbols have no versions")
    users = name_offsets(draft.elf)
    draft.elf.source.read(offset, 2 * len(users), "the symbol versions")
    one = struct.pack(draft.elf.shape.order + "H", 1)
    for number, index in enumerate(users):
        if draft.string(index) in wanted and draft.read(offset + 2 * number, 2, "the symbol versions") != one:
            draft.put(offset + 2 * number, one)


def rename_version(draft: Draft, names: Mapping[str, str]) -> None:
    """Ask for, or define, a version by another name: GLIBC_2.38 -> GLIBC_2.17, say."""
    draft.require_dynamic()
    wanted = {data_of(old): new for old, new in names.items()}
    order = draft.elf.shape.order
    for needed in needed_versions(draft.elf):
        new = wanted.get(draft.string(needed.name))
        if new is not None:
            draft.put(needed.name_at, struct.pack(order + "I", draft.add_string(new)))
            draft.put(needed.hash_at, struct.pack(order + "I", sysv_hash(data_of(new))))
    for defined in defined_versions(draft.elf):
        for own, (name, at) in enumerate(zip(defined.names, defined.name_ats, strict=True)):
            new = wanted.get(draft.string(name))
            if new is not None:
                draft.put(at, struct.pack(order + "I", draft.add_string(new)))
                if own == 0:
                    draft.put(defined.hash_at, struct.pack(order + "I", sysv_hash(data_of(new))))
