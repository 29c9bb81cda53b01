from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.store import compression
from devenv.store.compression import CompressionError, compress, decompress

COMPRESSED = [name for name in compression.NAMES if name != "none"]
SAMPLE = bytes(range(256)) * 2000 + b"abc" * 100_000


@pytest.fixture(params=["wheel", "program"])
def zstd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """zstd by the wheel, and by the program as if there were no wheel."""
    if request.param == "program":
        require_zstd()
        monkeypatch.setitem(sys.modules, "zstandard", None)


def require_zstd() -> None:
    if shutil.which("zstd") is None:
        pytest.skip("the program zstd is not installed")


def cut(data: bytes, step: int) -> list[bytes]:
    return [data[start : start + step] for start in range(0, len(data), step)]


def compressed(name: str, data: bytes) -> bytes:
    return b"".join(compress(name, cut(data, 70_000)))


def unpacked(name: str, chunks: Iterable[bytes]) -> bytes:
    return b"".join(decompress(name, chunks))


@pytest.mark.usefixtures("zstd")
@pytest.mark.parametrize("name", compression.NAMES)
@pytest.mark.parametrize("step", [997, 1 << 16, 1 << 24])
@pytest.mark.parametrize("data", [b"", b"x", SAMPLE], ids=["empty", "byte", "sample"])
def test_what_was_compressed_comes_back(name: str, step: int, data: bytes) -> None:
    assert unpacked(name, cut(compressed(name, data), step)) == data


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=300)), st.integers(1, 50), st.sampled_from(compression.available()))
def test_any_data_comes_back_however_it_is_cut(parts: list[bytes], step: int, name: str) -> None:
    data = b"".join(compress(name, parts))
    assert unpacked(name, cut(data, step)) == b"".join(parts)


OTHERS = {
    "xz": lzma.compress(SAMPLE, preset=9),
    "bzip2": bz2.compress(SAMPLE, 1),
    "gzip": gzip.compress(SAMPLE),
    "zstd": zstandard.ZstdCompressor(level=19).compress(SAMPLE),
}


@pytest.mark.usefixtures("zstd")
@pytest.mark.parametrize("name", COMPRESSED)
def test_what_others_compressed_is_read_several_streams_too(name: str) -> None:
    assert unpacked(name, cut(OTHERS[name], 1000)) == SAMPLE
    assert unpacked(name, cut(OTHERS[name] * 3, 777)) == SAMPLE * 3


@pytest.mark.parametrize(
    ("name", "tool"), [("xz", "xz"), ("bzip2", "bzip2"), ("gzip", "gzip"), ("zstd", "zstd")]
)
def test_the_usual_programs_read_what_is_written(name: str, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([tool, "-dc"], input=compressed(name, SAMPLE), capture_output=True, check=True)
    assert done.stdout == SAMPLE


def flipped(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 0xFF]) + data[201:]


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "no such data": lambda data: b"nothing of the kind, but long enough to be looked at " * 10,
    "cut off": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "a byte": flipped,
    "more behind": lambda data: data + b"more",
    "half of another behind": lambda data: data + data[: len(data) // 2],
}


@pytest.mark.usefixtures("zstd")
@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_an_error(name: str, damage: str) -> None:
    data = DAMAGED[damage](compressed(name, SAMPLE))
    with pytest.raises(CompressionError, match="damaged") as caught:
        unpacked(name, cut(data, 1000))
    assert caught.value.compression == name


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["xz", "bzip2", "gzip", "zstd"]), st.binary(max_size=200), st.booleans())
def test_any_bytes_are_data_or_our_error(name: str, data: bytes, begins_well: bool) -> None:
    with contextlib.suppress(CompressionError):
        unpacked(name, [compressed(name, b"x" * 50)[:20] + data if begins_well else data])


def bomb(name: str) -> bytes:
    zeros = [bytes(1 << 20)] * 96
    return b"".join(compress(name, zeros, 6 if name != "bzip2" else 9))


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_bomb_comes_in_small_pieces(name: str) -> None:
    data = bomb(name)
    assert len(data) < 1 << 20
    tracemalloc.start()
    try:
        for number, piece in enumerate(decompress(name, [data])):
            assert len(piece) <= 64 << 20
            if number == 3:
                break
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()


def test_a_window_of_gibibytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, compression_level=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(CompressionError):
        unpacked("zstd", [data])


def test_an_unknown_compression_is_named_with_those_that_are_known() -> None:
    with pytest.raises(CompressionError, match="'br'") as caught:
        decompress("br", [])
    assert "zstd" in str(caught.value.hint)


def test_without_wheel_and_program_gzip_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compression.default() == "zstd"
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setenv("PATH", "")
    assert compression.default() == "gzip"
    assert "zstd" not in compression.available()
    with pytest.raises(CompressionError, match="neither is here") as caught:
        decompress("zstd", [])
    assert "caches" in str(caught.value.hint)


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_level_that_does_not_exist_is_our_error(name: str) -> None:
    with pytest.raises(CompressionError, match="level 999"):
        b"".join(compress(name, [b"x"], 999))


@pytest.mark.usefixtures("zstd")
@pytest.mark.parametrize("name", COMPRESSED)
def test_an_error_of_the_source_is_not_taken_for_damage(name: str) -> None:
    def source() -> Iterator[bytes]:
        yield compressed(name, SAMPLE)[:5000]
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="source is gone"):
        unpacked(name, source())


def test_the_program_ends_with_who_reads_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    require_zstd()
    monkeypatch.setitem(sys.modules, "zstandard", None)
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noting(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noting)
    pieces = decompress("zstd", [bomb("zstd")])
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert started[0].poll() is not None
