"""What the reader says, beside what readelf says, and what it says of files of every kind."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path

import pytest

from devenv.elf.elf import Elf
from devenv.elf.errors import DamagedElf, ElfError, NotElf
from devenv.elf.notes import build_id, dlopen_notes, kernel_wanted
from devenv.elf.source import Source
from devenv.elf.symbols import gnu_hash, gnu_hash_table, name_offsets, symbol_table, sysv_hash
from devenv.elf.versions import defined_names, needed_by_library
from tests.elf.conftest import DYNAMIC, Workshop, output_of
from tests.elf.handmade import Recipe, build

KINDS = [
    pytest.param(64, True, 62, id="x86_64"),
    pytest.param(64, False, 21, id="powerpc64"),
    pytest.param(32, True, 3, id="i386"),
    pytest.param(32, False, 20, id="powerpc"),
]


def opened(data: bytes) -> Elf:
    return Elf(Source.of_bytes(data))


@pytest.mark.parametrize(("bits", "little", "machine"), KINDS)
def test_every_class_and_byte_order_is_read(bits: int, little: bool, machine: int) -> None:
    elf = opened(
        build(Recipe(bits=bits, little=little, machine=machine, soname="libx.so.3", runpath="/a:$ORIGIN/b"))
    )
    assert (elf.shape.bits, elf.shape.little, elf.machine) == (bits, little, machine)
    assert elf.interpreter == "/lib/ld.so.1"
    assert elf.needed == ["libfirst.so.1", "libc.so.6"]
    assert (elf.soname, elf.runpath, elf.rpath) == ("libx.so.3", "/a:$ORIGIN/b", None)
    assert needed_by_library(elf) == {"libc.so.6": ["LIBC_1.0"]}
    assert build_id(elf) == "01" * 20
    names = {elf.string(at) for at in name_offsets(elf)}
    assert names == {"", "alpha", "beta", "gamma"}


@pytest.mark.parametrize("name", DYNAMIC)
def test_readelf_agrees_on_real_programs(workshop: Workshop, name: str) -> None:
    path = workshop.directory / name
    shown = output_of("readelf", "-lWd", path)
    with Elf.open(str(path)) as elf:
        assert elf.needed == re.findall(r"\(NEEDED\).*\[(.*)\]", shown)
        assert elf.interpreter == re.findall(r"program interpreter: (.*)\]", shown)[0]
        assert [s.vaddr for s in elf.segments if s.type == 1] == [
            int(address, 16) for address in re.findall(r"LOAD +0x\w+ 0x(\w+)", shown)
        ]
        assert elf.rpath == ("/a/directory:/and/one" if name == "old-path" else None)
        assert any(version.startswith("GLIBC_2.") for version in needed_by_library(elf)["libc.so.6"])
        assert kernel_wanted(elf) is not None


@pytest.mark.parametrize("name", ["libraries/libanswer.so", "other-libanswer.so", "both-libanswer.so"])
def test_dynamic_symbols_are_counted_with_and_without_sections(workshop: Workshop, name: str) -> None:
    data = bytearray((workshop.directory / name).read_bytes())
    before = symbol_table(opened(bytes(data)))
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    assert symbol_table(opened(bytes(data))) == before is not None


def test_defined_versions_are_those_of_the_c_library() -> None:
    path = next(
        p
        for p in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6")
        if os.path.exists(p)
    )
    with Elf.open(path) as elf:
        names = defined_names(elf)
    assert "GLIBC_2.34" in names
    assert "libc.so.6" not in names


def test_static_programs_have_no_dynamic_section(workshop: Workshop) -> None:
    with Elf.open(str(workshop.directory / "static")) as elf:
        assert (elf.has_dynamic, elf.needed, elf.interpreter) == (False, [], None)
    with Elf.open(str(workshop.directory / "static-pie")) as elf:
        assert (elf.has_dynamic, elf.needed, elf.interpreter) == (True, [], None)


def test_split_debug_files_have_no_dynamic_section(workshop: Workshop, tmp_path: Path) -> None:
    debug = tmp_path / "pie.debug"
    output_of("objcopy", "--only-keep-debug", workshop.directory / "pie", debug)
    with Elf.open(str(debug)) as elf:
        assert not elf.has_dynamic


def test_dlopen_notes_tell_the_libraries_and_how_much_they_matter() -> None:
    declared = [
        {
            "soname": ["libfoo.so.2", "libfoo.so.1"],
            "feature": "foo",
            "description": "d",
            "priority": "required",
        },
        {"soname": ["libbar.so"]},
        {"soname": "not a list"},
        "not an object",
    ]
    text = json.dumps(declared).encode() + b"\0"
    elf = opened(build(Recipe(notes=[(b"FDO\0", 0x407C0C0A, text), (b"FDO\0", 0x407C0C0A, b"{broken\0")])))
    found = dlopen_notes(elf)
    assert [(o.sonames, o.feature, o.priority) for o in found] == [
        (("libfoo.so.2", "libfoo.so.1"), "foo", "required"),
        (("libbar.so",), "", "recommended"),
    ]


def test_hash_functions_give_known_values() -> None:
    # From the comments of the two specifications and of glibc's tests.
    assert [gnu_hash(name) for name in (b"", b"printf", b"exit")] == [0x1505, 0x156B2BB8, 0x7C967E3F]
    assert [sysv_hash(name) for name in (b"", b"printf", b"exit")] == [0, 0x77905A6, 0x6CF04]


def test_symbol_hash_tables_are_read(workshop: Workshop) -> None:
    with Elf.open(str(workshop.libraries / "libanswer.so")) as elf:
        table = gnu_hash_table(elf)
        assert table is not None and table.first > 0 and table.buckets


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", NotElf, "not an ELF"),
        (b"#!/bin/sh\n", NotElf, "not an ELF"),
        (b"\x7fELF", DamagedElf, "missing ELF header"),
        (b"\x7fELF\x03\x01\x01" + bytes(100), DamagedElf, "32 or 64 bit"),
        (b"\x7fELF\x02\x07\x01" + bytes(100), DamagedElf, "byte order"),
        (b"\x7fELF\x02\x01\x09" + bytes(100), DamagedElf, "version 9"),
        (b"\x7fELF\x02\x01\x01" + bytes(20), DamagedElf, "the ELF header extends past file end"),
    ],
)
def test_what_is_no_elf_file_is_said_to_be_none(data: bytes, error: type[ElfError], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(data)


def test_things_that_are_no_files_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(NotElf, match="not a regular file"):
            Elf.open(str(path))
    with pytest.raises(ElfError, match="No such file"):
        Elf.open(str(tmp_path / "missing"))
    with pytest.raises(ElfError, match="null"):
        Elf.open("a\0b")
