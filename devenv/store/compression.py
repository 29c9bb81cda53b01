"""The compressions of binary caches, in pieces: chunks of bytes in, chunks of bytes out.

    none  gzip (RFC 1952)  bzip2  xz  zstd (RFC 8878)

All are read, also when a file is several streams one after the other. zstd needs the `zstandard` wheel or the program
`zstd`; the others come with Python. What is unpacked is bounded: no step yields more than some mebibytes, and none
takes more than some hundred of them, whatever the input says. Everything raises `CompressionError`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Protocol

from devenv.store.errors import StoreError

NAMES = ("none", "xz", "bzip2", "gzip", "zstd")
EXTENSIONS: Mapping[str, str] = {"none": "", "xz": ".xz", "bzip2": ".bz2", "gzip": ".gz", "zstd": ".zst"}

_PIECE = 1 << 16  # what later steps take best
_XZ_MEMORY = 256 << 20  # bytes; xz -9 needs 65 MiB
_ZSTD_WINDOW = 128 << 20  # what the program zstd takes by itself, and more than it writes by itself
# The wheel cannot be told how much to give at once. A block of 128 KiB takes 4 bytes at least.
_ZSTD_INPUT = 1 << 10
_LEVELS: Mapping[str, int] = {"xz": 6, "bzip2": 9, "gzip": 6, "zstd": 3}


class CompressionError(StoreError):
    """Compressed data is damaged, or no program can unpack it. `compression` is its name."""

    def __init__(self, message: str, *, compression: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.compression = compression


def available() -> tuple[str, ...]:
    """The compressions that this machine can read and write."""
    return tuple(name for name in NAMES if name != "zstd" or _has_wheel() or shutil.which("zstd"))


def default() -> str:
    """The one to write when nobody asks for another: the fastest that makes files much smaller."""
    return "zstd" if "zstd" in available() else "gzip"


def check_name(name: str) -> str:
    """`name`, if it can be read and written here. Raises CompressionError."""
    if name not in NAMES:
        raise CompressionError(
            f"the compression {name[:40]!r} is not one that devenv knows",
            compression=name,
            hint=f"known are {', '.join(NAMES)}",
        )
    if name not in available():
        raise CompressionError(
            "zstd needs the Python package zstandard or the program zstd, and neither is here",
            compression=name,
            hint="install the program zstd, or devenv with its extra: devenv-spec[caches]",
        )
    return name


def decompress(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes that `chunks` are the compressed form of. Truncated input is an error, as is more after its end."""
    check_name(name)
    if name == "none":
        return iter(chunks)
    if name == "zstd":
        if not _has_wheel():
            return _through_program(("zstd", "-dcq", f"-M{_ZSTD_WINDOW >> 20}MB"), chunks)
        return _gathered(_decompress(name, _cut(chunks, _ZSTD_INPUT)))
    return _decompress(name, chunks)


def compress(name: str, chunks: Iterable[bytes], level: int | None = None) -> Iterator[bytes]:
    """`chunks` compressed. `level` as the compression counts them."""
    check_name(name)
    if name == "none":
        return iter(chunks)
    chosen = _LEVELS[name] if level is None else level
    if name == "zstd" and not _has_wheel():
        return _through_program(("zstd", "-cq", f"-{chosen}"), chunks)
    return _compress(_compressor(name, chosen), chunks)


def _has_wheel() -> bool:
    if "zstandard" in sys.modules:
        return sys.modules["zstandard"] is not None
    return _is_installed("zstandard")


@cache
def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


# Reading


class _Decompressor(Protocol):
    """What lzma, bz2 and zlib have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def _decompress(name: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    take, damaged = _reader(name)
    stream = take()
    any_input = False
    for chunk in chunks:
        while chunk:
            any_input = True
            if stream.ended:
                stream = take()
            try:
                yield from stream.pieces(chunk)
            except damaged as error:
                raise _damaged(name, str(error)) from error
            chunk = stream.rest
    if not stream.ended or not any_input:
        raise _damaged(name, "it ends too early")


class _Stream:
    """One compressed stream. `step(data, size)` gives at most `size` bytes more."""

    def __init__(
        self, inner: _Decompressor, step: Callable[[bytes, int], bytes], hungry: Callable[[], bytes | None]
    ) -> None:
        self._inner, self._step, self._hungry = inner, step, hungry

    @property
    def ended(self) -> bool:
        return self._inner.eof

    @property
    def rest(self) -> bytes:
        """What follows the stream's end."""
        return self._inner.unused_data if self._inner.eof else b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """All that `data` adds."""
        todo: bytes | None = data
        while todo is not None and not self._inner.eof:
            piece = self._step(todo, _PIECE)
            if piece:
                yield piece
            todo = self._hungry()
            if todo is None and len(piece) == _PIECE:
                todo = b""  # zlib may hold more back than it says


def _xz() -> _Stream:
    import lzma

    inner = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return _Stream(inner, inner.decompress, lambda: None if inner.needs_input else b"")


def _bzip2() -> _Stream:
    import bz2

    inner = bz2.BZ2Decompressor()
    return _Stream(inner, inner.decompress, lambda: None if inner.needs_input else b"")


def _gzip() -> _Stream:
    import zlib

    inner = zlib.decompressobj(wbits=31)
    return _Stream(inner, inner.decompress, lambda: inner.unconsumed_tail or None)


def _reader(name: str) -> tuple[Callable[[], _Stream], tuple[type[Exception], ...]]:
    """What begins to read a stream, and the errors that mean damage."""
    if name == "xz":
        import lzma

        return _xz, (lzma.LZMAError, MemoryError)
    if name == "bzip2":
        return _bzip2, (OSError, ValueError)
    if name == "gzip":
        import zlib

        return _gzip, (zlib.error,)
    import zstandard

    return _zstd, (zstandard.ZstdError,)


def _zstd() -> _Stream:
    import zstandard

    inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    return _Stream(inner, lambda data, size: inner.decompress(data), lambda: None)


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(parts)
            parts.clear()
            size = 0
    yield b"".join(parts)


def _damaged(name: str, what: str) -> CompressionError:
    return CompressionError(
        f"the {name} data is damaged: {what}", compression=name, hint="fetch it again, or from elsewhere"
    )


# Writing


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(name: str, level: int) -> _Compressor:
    import lzma

    try:
        if name == "xz":
            return lzma.LZMACompressor(format=lzma.FORMAT_XZ, preset=level)
        if name == "bzip2":
            import bz2

            return bz2.BZ2Compressor(level)
        if name == "gzip":
            import zlib

            return zlib.compressobj(level, wbits=31)  # without a time or a name: equal for equal input
        import zstandard

        return zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    except (ValueError, OverflowError, lzma.LZMAError) as error:
        raise CompressionError(
            f"{name} has no compression level {level}: {error}",
            compression=name,
            hint="6 and less are fast, 9 and more make smaller files",
        ) from error


def _compress(compressor: _Compressor, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if piece := compressor.compress(chunk):
            yield piece
    yield compressor.flush()


# The program


def _through_program(command: tuple[str, ...], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What `command` makes of `chunks`. It is fed by a thread and ends with the generator."""
    feeder: threading.Thread | None = None
    problems: list[BaseException] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        stdin = process.stdin

        def feed() -> None:
            try:
                for chunk in chunks:
                    stdin.write(chunk)
            except BrokenPipeError:
                pass  # the program has ended: it says why
            except BaseException as error:  # noqa: BLE001 - raised below, where somebody listens
                problems.append(error)
            finally:
                with suppress(BrokenPipeError):
                    stdin.close()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        try:
            while piece := os.read(process.stdout.fileno(), _PIECE):
                yield piece
            message = process.stderr.read(1000).decode(errors="replace").strip()
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            feeder.join(timeout=60)
    if problems:
        raise problems[0]
    if status:
        raise _damaged("zstd", message or f"the program ended with status {status}")
