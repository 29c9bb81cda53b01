"""Damaged copies of this system's own programs and libraries, given to the commands: time and memory are measured."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.elf.elf import Elf
from devenv.elf.numbers import DT_GNU_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_VERNEED, DT_VERNEEDNUM, PT_LOAD
from devenv.elf.source import Source

pytestmark = pytest.mark.slow

SECONDS, BYTES = 3.0, 256 << 20  # for one file, and for the process in all; the files have 2 MB at most
RUN_PATH = "/new/directory:$ORIGIN/../lib"
ABSURD = (0, 1, 1 << 12, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)

# Edits each file into a new one and in place, reads it as `devenv inspect` does, and tells what came of it.
CHILD = """
import contextlib, io, json, resource, sys, time
from devenv.cli.commands.patchelf import main
from devenv.elf.errors import ElfError
from devenv.foreign.program import read_program
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for line in sys.stdin:
    path, told = line.strip(), io.StringIO()
    started = time.monotonic()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
        edited = main(["--set-rpath", sys.argv[1], "--add-needed", "libnew.so.1", "--output", path + ".out", path])
        in_place = main(["--set-interpreter", sys.argv[1], path])
        try:
            read_program(path)
        except ElfError as error:
            print(error)
    print(json.dumps([path, edited, in_place, time.monotonic() - started, told.getvalue()]))
with open("/proc/self/status") as status:  # its own peak; ru_maxrss has that of whoever started it in it
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def originals() -> list[bytes]:
    """A program, the loader, the C library and one with C++ in it, if they are there."""
    with Elf.open("/proc/self/exe") as own:
        loader = os.path.realpath(own.interpreter or "")
    folder = os.path.dirname(loader)
    names = ["/bin/sh", "/bin/ls", loader, f"{folder}/libc.so.6", f"{folder}/libm.so.6"]
    return [Path(name).read_bytes() for name in names]


def flipped(data: bytes) -> Iterator[bytes]:
    """Single bits, most of them where the tables are."""
    chance = random.Random(1)
    with Elf(Source.of_bytes(data)) as elf:
        dynamic = (elf.dynamic_place or (0,))[0]
        tables = [(0, 0x400), (dynamic, 16 * len(elf.dynamic) or 64), (elf.shoff, 0x400)]
    for number in range(60):
        start, size = tables[number % 3] if number % 4 else (0, len(data))
        result = bytearray(data)
        for _ in range(1 + number % 3):
            at = min(start + chance.randrange(size), len(data) - 1)
            result[at] ^= 1 << chance.randrange(8)
        yield bytes(result)


def cut_off(data: bytes) -> Iterator[bytes]:
    for size in (5, 63, 64, 100, 600, 4096, len(data) // 3, len(data) - 4096, len(data) - 1):
        yield data[:size]


def _changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<Q", value & (1 << 64) - 1) + data[at + 8 :]


def overlapping(data: bytes) -> Iterator[bytes]:
    """A segment's offset, address and both on those of another, and one that reaches over all others."""
    with Elf(Source.of_bytes(data)) as elf:
        start = elf.phoff
        loads = [(n, each) for n, each in enumerate(elf.segments) if each.type == PT_LOAD]
    for (number, _), (_, other) in zip(loads[1:], loads, strict=False):
        at = start + 56 * number
        moved = _changed(data, at + 8, other.offset)
        yield moved
        yield _changed(moved, at + 16, other.vaddr)
        yield _changed(data, at + 16, other.vaddr + 8)
        yield _changed(_changed(data, at + 32, len(data) - other.offset), at + 40, len(data))


def absurd(data: bytes) -> Iterator[bytes]:
    """Sizes, alignments, counts and addresses that no file has."""
    with Elf(Source.of_bytes(data)) as elf:
        fields = [elf.phoff + 56 * n + at for n in range(len(elf.segments)) for at in (8, 16, 32, 40, 48)]
        place = (elf.dynamic_place or (0,))[0]
        fields += [place + 16 * n + 8 for n in range(len(elf.dynamic))]
        fields += [24, 32, 40, 54, 58]
    for number, at in enumerate(fields):
        yield _changed(data, at, ABSURD[number % len(ABSURD)])


def cyclic(data: bytes) -> Iterator[bytes]:
    """Tables that lie in themselves or in each other, and chains that lead back."""
    with Elf(Source.of_bytes(data)) as elf:
        place = (elf.dynamic_place or (0,))[0]
        entries = {tag: place + 16 * n + 8 for n, (tag, _) in enumerate(elf.dynamic)}
        values = dict(elf.dynamic)
        interpreter = [elf.phoff + 56 * n for n, each in enumerate(elf.segments) if each.type in (2, 3)]
    for tag in (DT_STRTAB, DT_SYMTAB, DT_GNU_HASH, DT_VERNEED):
        for other in (DT_STRTAB, DT_SYMTAB, DT_GNU_HASH):
            if tag in entries and other in values and tag != other:
                yield _changed(data, entries[tag], values[other])
    if DT_VERNEED in values:
        at = values[DT_VERNEED]  # vn_cnt as high as can be, vna_next leading to itself, and so vn_next
        looped = bytearray(_changed(data, entries[DT_VERNEEDNUM], (1 << 32) - 1))
        struct.pack_into("<HH", looped, at, 1, 0xFFFF)
        struct.pack_into("<I", looped, at + 12, 0)
        yield bytes(looped)
    for at in interpreter:
        yield _changed(_changed(data, at + 8, 0), at + 32, len(data))
    yield _changed(data, entries[DT_STRSZ], len(data) * 2)


DAMAGES: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "bits": flipped,
    "truncation": cut_off,
    "overlapping segments": overlapping,
    "absurd sizes": absurd,
    "cycles": cyclic,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_program_is_edited_or_refused(name: str, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    for number, data in enumerate(originals()):
        for variant, damaged in enumerate(DAMAGES[name](data)):
            path = tmp_path / f"{number}-{variant}"
            path.write_bytes(damaged)
            files[str(path)] = damaged
    command = [sys.executable, "-c", CHILD, RUN_PATH]
    lines = "".join(f"{path}\n" for path in files)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
    *told, memory = done.stdout.splitlines()
    results = [json.loads(line) for line in told]
    for path, edited, in_place, seconds, said in results:
        check(Path(path), files[path], edited, in_place, said)
        assert seconds < SECONDS, (path, seconds)
    assert len(results) == len(files) and int(memory) << 10 < BYTES
    slowest = max(result[3] for result in results)
    refused = sum(result[1] for result in results)
    print(
        f"\n{name}: {len(files)} files, {refused} refused; slowest {slowest:.2f} s, {int(memory) >> 10} MB in all"
    )


def check(path: Path, before: bytes, edited: int, in_place: int, said: str) -> None:
    """Refused, and then as it was, and told why; or edited, and then what was asked for is in it."""
    made = Path(f"{path}.out")
    if edited == 0:
        with Elf.open(str(made)) as elf:
            assert elf.runpath == RUN_PATH and "libnew.so.1" in elf.needed
    else:
        assert edited == 1 and not made.exists() and said
    if in_place != 0:
        assert path.read_bytes() == before and said
    else:
        with Elf.open(str(path)) as elf:
            assert elf.interpreter == RUN_PATH
