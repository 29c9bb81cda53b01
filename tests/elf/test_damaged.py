"""Damaged files: our error or a correct result, in bounded time and memory, and the file as it was."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devenv.elf import edits
from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.errors import ElfError
from devenv.elf.notes import build_id, dlopen_notes, notes
from devenv.elf.noting import declare
from devenv.elf.patch import Patch
from devenv.elf.planning import plan
from devenv.elf.renaming import rename_symbols
from devenv.elf.rewriting import rewrite
from devenv.elf.source import Source
from devenv.elf.symbols import gnu_hash_table, name_offsets
from devenv.elf.versions import defined_names, needed_by_library
from tests.elf.handmade import Recipe, build

SECONDS = 2.0  # a file of a few kilobytes; the machine may be busy
BYTES = 64 << 20

SEEDS = [
    build(Recipe(soname="libx.so", runpath="/a:/b")),
    build(Recipe(bits=32, little=False, machine=20, spare=0)),
    build(Recipe(bits=32, slack=100, sections=False)),
    build(
        Recipe(
            little=False,
            machine=21,
            notes=[(b"FDO\0", 0x407C0C0A, b'[{"soname":["libz.so"]}]\0')],
            payload=b"PAYLOAD" * 99,
        )
    ),
]
# Places where numbers decide most: headers, program headers, dynamic entries, section headers.
VALUES = st.sampled_from(
    [
        0,
        1,
        2,
        7,
        0x40,
        0xFFF,
        0x1000,
        0x7FFF,
        0xFFFF,
        0x10000,
        0x7FFFFFFF,
        0xFFFFFFFF,
        1 << 32,
        (1 << 63) - 1,
        (1 << 64) - 1,
    ]
)
DAMAGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([1, 2, 4, 8]), VALUES | st.integers(0, 255)),
    min_size=1,
    max_size=6,
)


def damage(data: bytes, damages: list[tuple[float, int, int]], cut: float) -> bytes:
    result = bytearray(data)
    for where, size, value in damages:
        at = int(where * len(result))
        at -= at % size
        result[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(result[: max(1, int(len(result) * cut))])


def everything(elf: Elf) -> None:
    """All that the reader can tell."""
    for ask in (
        lambda: (elf.interpreter, elf.needed, elf.soname, elf.rpath, elf.runpath),
        lambda: [elf.section_name(section) for section in elf.sections],
        lambda: (list(notes(elf)), build_id(elf), dlopen_notes(elf)),
        lambda: (needed_by_library(elf), defined_names(elf)),
        lambda: (name_offsets(elf), gnu_hash_table(elf)),
    ):
        quiet(ask)


def quiet(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except ElfError:
        return False
    return True


def one_edit(data: bytes, step: Callable[[Draft], object]) -> tuple[Patch | None, bytes] | None:
    """What would be written, and the file afterwards; None for an error of ours."""
    from devenv.elf.rewriting import _patched

    try:
        draft = Draft(Elf(Source.of_bytes(data)))
        step(draft)
        patch = plan(draft)
    except ElfError:
        return None
    return patch, bytes(_patched(data, patch))


def steps() -> list[Callable[[Draft], object]]:
    return [
        lambda draft: edits.set_interpreter(draft, "/new/" * 30),
        lambda draft: edits.set_run_path(draft, "/new/" * 30),
        lambda draft: edits.add_needed(draft, [f"libnew{n}.so" for n in range(5)]),
        lambda draft: edits.replace_needed(draft, {"libc.so.6": "libd.so.7"}),
        lambda draft: edits.set_soname(draft, "libnew.so"),
        lambda draft: edits.set_execstack(draft, True),
        lambda draft: edits.clear_symbol_version(draft, ["alpha"]),
        lambda draft: edits.rename_version(draft, {"LIBC_1.0": "LIBC_2.0"}),
        lambda draft: rename_symbols(draft, {"alpha": "omega"}),
        lambda draft: declare(draft, [(("libnew.so.1", "libold.so.1"), "required")]),
        edits.remove_run_path,
        edits.shrink_run_path,
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.sampled_from(SEEDS), damages=DAMAGES, cut=st.just(1.0) | st.floats(0, 1))
def test_a_damaged_file_is_read_or_refused(
    seed: bytes, damages: list[tuple[float, int, int]], cut: float
) -> None:
    data = damage(seed, damages, cut)
    started = time.monotonic()
    quiet(lambda: everything(Elf(Source.of_bytes(data))))
    assert time.monotonic() - started < SECONDS


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    damages=DAMAGES,
    cut=st.just(1.0) | st.floats(0.5, 1),
    number=st.integers(0, 11),
)
def test_an_edit_of_a_damaged_file_is_refused_or_done(
    seed: bytes, damages: list[tuple[float, int, int]], cut: float, number: int
) -> None:
    data = damage(seed, damages, cut)
    started = time.monotonic()
    done = one_edit(data, steps()[number])
    assert time.monotonic() - started < SECONDS
    if done is None or done[0] is None:
        return
    after = done[1]
    assert len(after) < len(data) + (1 << 27)  # no hole without end
    before, now = Elf(Source.of_bytes(data)), Elf(Source.of_bytes(after))
    assert now.type == before.type
    asked = {
        0: lambda: now.interpreter == "/new/" * 30,
        1: lambda: now.runpath == "/new/" * 30,
        2: lambda: now.needed[:5] == [f"libnew{n}.so" for n in range(5)],
        5: lambda: edits.execstack(Draft(now)) is True,
        10: lambda: (now.runpath, now.rpath) == (None, None),
    }
    assert asked.get(number, lambda: True)()
    assert done[0].size == len(after)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.sampled_from(SEEDS), damages=DAMAGES, number=st.integers(0, 11))
def test_a_refused_file_is_left_as_it_was(
    tmp_path: Path, seed: bytes, damages: list[tuple[float, int, int]], number: int
) -> None:
    data = damage(seed, damages, 1.0)
    path = tmp_path / "file"
    path.write_bytes(data)
    try:
        with Elf.open(str(path), whole=True) as elf:
            draft = Draft(elf)
            steps()[number](draft)
            rewrite(elf.source, plan(draft))
    except ElfError:
        assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=400))
@example(b"\x7fELF\x02\x01\x01")
def test_bytes_behind_a_magic_number_are_read_or_refused(data: bytes) -> None:
    quiet(lambda: everything(Elf(Source.of_bytes(b"\x7fELF\x02\x01\x01\0" + data))))


def _with(fields: dict[int, tuple[str, int]]) -> bytes:
    data = bytearray(SEEDS[0])
    for at, (code, value) in fields.items():
        struct.pack_into(f"<{code}", data, at, value)
    return bytes(data)


def _segment_field(number: int, at: int) -> int:
    return 64 + 56 * number + at


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({54: ("H", 55)}, "program headers have wrong size"),
        ({32: ("Q", 1 << 62)}, "program header table out of bounds"),
        ({56: ("H", 0xFFFE)}, "program header table out of bounds"),
        ({58: ("H", 63)}, "section headers have wrong size"),
        ({40: ("Q", 1 << 62)}, "section header table out of bounds"),
        ({60: ("H", 0xFFFE)}, "section header table out of bounds"),
        ({_segment_field(2, 48): ("Q", 1 << 60)}, "alignment is implausibly large"),
        ({_segment_field(3, 16): ("Q", (1 << 63) - 0x1000)}, "no room is left in its address space"),
    ],
    ids=[
        "entry size",
        "table beyond",
        "too many",
        "section size",
        "sections beyond",
        "sections too many",
        "alignment",
        "address",
    ],
)
def test_absurd_numbers_are_named(fields: dict[int, tuple[str, int]], words: str) -> None:
    data = _with(fields)
    with pytest.raises(ElfError, match=words):
        draft = Draft(Elf(Source.of_bytes(data)))
        edits.set_run_path(draft, "/new/" * 30)
        plan(draft)


def test_chains_that_lead_to_themselves_end() -> None:
    """A version record that is its own successor, and one whose entries are."""
    data = bytearray(build(Recipe()))
    elf = Elf(Source.of_bytes(bytes(data)))
    at = elf.value(0x6FFFFFFE)
    assert at is not None
    struct.pack_into("<HHIII", data, at, 1, 0xFFFF, 1, 0, 0)
    struct.pack_into("<I", data, at + 12, 0)
    number = next(n for n, (tag, _) in enumerate(elf.dynamic) if tag == 0x6FFFFFFF)
    place = elf.dynamic_place
    assert place is not None
    struct.pack_into("<Q", data, place[0] + 16 * number + 8, 0xFFFF)
    started = time.monotonic()
    quiet(lambda: needed_by_library(Elf(Source.of_bytes(bytes(data)))))
    assert time.monotonic() - started < SECONDS


def test_segments_that_lie_over_each_other_are_kept_apart_or_refused() -> None:
    for at in (0, 8, 64, 0x200, 0x1000):
        data = _with({_segment_field(3, 8): ("Q", at), _segment_field(3, 16): ("Q", at)})
        done = one_edit(data, lambda draft: edits.set_run_path(draft, "/new/" * 30))
        if done is not None:
            assert Elf(Source.of_bytes(done[1])).runpath == "/new/" * 30


def test_memory_is_bounded_by_the_file_not_by_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sizes = {_segment_field(n, 32): ("Q", 1 << 40) for n in range(1, 6)}
    for fields in (sizes, {56: ("H", 0xFFFE)}, {60: ("H", 0), 40: ("Q", 64)}):
        path.write_bytes(_with(fields))
        tracemalloc.start()
        try:
            with Elf.open(str(path)) as elf:
                everything(elf)
        except ElfError:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BYTES


def test_a_file_of_a_gigabyte_of_nothing_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(SEEDS[0])
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    with Elf.open(str(path), whole=True) as elf:
        everything(elf)
        assert elf.needed == ["libfirst.so.1", "libc.so.6"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < BYTES
