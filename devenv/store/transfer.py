"""Store objects as one stream, in the format of `nix-store --export` and `--import`.

    stream    = ( 1 archive MAGIC path references deriver 0 )* 0
    archive   = a NAR                    path, deriver = string ("" for an unknown deriver)
    references = count string*           MAGIC = 0x4558494e

Numbers have 8 bytes, little-endian; a string is its length, its bytes, and zero bytes up to a multiple of 8. In
place of the last 0 of an object there may be a 1 and a string, which once was a signature. What an object refers
to comes before it. After the sources of Nix 2.8.

The stream vouches for nothing but itself: an object whose path does not follow from its contents is what the
stream says it is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from devenv.events import Finished, Planned, Reporter, Started
from devenv.formats import nar
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, name_of
from devenv.store.errors import StoreError
from devenv.store.local import PathInfo, Store
from devenv.store.tree import dump, restore

_MAGIC = 0x4558494E
_BLOCK = 128 * 1024  # what is left of a block is copied for each object in it
_DERIVATION_LIMIT = 256 * 1024 * 1024  # bytes
_STRING_LIMIT = 4096  # bytes, of a path
_REFERENCES_LIMIT = 1_000_000
_SIGNATURE_LIMIT = 1024 * 1024

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came in. `trusted` are those for which only the stream vouches."""

    paths: tuple[StorePath, ...]
    present: tuple[StorePath, ...]
    trusted: tuple[StorePath, ...]


def export(store: Store, paths: Iterable[StorePath], *, reporter: Reporter | None = None) -> Iterator[bytes]:
    """The stream of `paths`, which must be valid and in an order that has references first.

    Raises `StoreError`, also for an object that is not any more what was registered.
    """
    reporter = reporter or Reporter()
    wanted = list(paths)
    store.add_temp_roots(wanted)
    reporter.event(Planned(kind="transfer", count=len(wanted)))
    for path in wanted:
        info = store.info(path)
        if info is None:
            raise StoreError(f"exporting {path}: it is not in the store", path=path)
        reporter.event(Started(kind="transfer", key=path, label=name_of(path), size=info.nar_size))
        yield _number(1)
        yield from _checked_dump(info)
        deriver = "" if info.deriver is None else info.deriver
        references = b"".join(_string(reference) for reference in sorted(info.references))
        yield b"".join(
            (
                _number(_MAGIC),
                _string(path),
                _number(len(info.references)),
                references,
                _string(deriver),
                _number(0),
            )
        )
        reporter.event(Finished(key=path))
    yield _number(0)


def _checked_dump(info: PathInfo) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for chunk in dump(info.path):
        digest.update(chunk)
        yield chunk
    if digest.digest() != info.nar_hash.digest:
        raise StoreError(
            f"exporting {info.path}: its contents are not those that were registered",
            hint="`devenv store verify --repair` restores it where that is possible.",
            path=info.path,
        )


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _string(text: str) -> bytes:
    return nar.frame(text.encode())


def import_stream(store: Store, read: Read, *, reporter: Reporter | None = None) -> Imported:
    """Register all objects of a stream. `read(n)` gives 1 to n bytes, none at the end.

    What was complete before an error stays. Raises `StoreError` for a stream that is damaged or ends early, for
    objects of another store directory, and for references to what neither store nor stream has.
    """
    reporter = reporter or Reporter()
    source = _Source(read)
    found: list[StorePath] = []
    present: list[StorePath] = []
    trusted: list[StorePath] = []
    try:
        while source.goes_on():
            with store.temporary_directory() as directory:
                info, was_present = _import_one(store, source, f"{directory}/object", reporter)
            found.append(info.path)
            if was_present:
                present.append(info.path)
            elif info.content_address is None:
                trusted.append(info.path)
    except FormatError as error:
        raise StoreError(
            f"importing: {error}",
            hint="Is it what `devenv store export` or `nix-store --export` wrote, whole? What came before is kept.",
        ) from error
    return Imported(paths=tuple(found), present=tuple(present), trusted=tuple(trusted))


def _import_one(store: Store, source: _Source, target: str, reporter: Reporter) -> tuple[PathInfo, bool]:
    archive = _Archive(source)
    try:
        restore(archive.chunks(), target)
    except StoreError as error:
        if isinstance(error.__cause__, FormatError):
            raise error.__cause__ from None  # the stream's fault, not that of `target`
        raise
    if source.number() != _MAGIC:
        raise FormatError("the stream is damaged: no mark after an archive")
    path = _own_path(store.store_dir, source.string())
    reporter.event(Started(kind="transfer", key=path, label=name_of(path)))
    count = source.number()
    if count > _REFERENCES_LIMIT:
        raise FormatError(f"{path} has {count} references")
    references = tuple(sorted({_own_path(store.store_dir, source.string()) for _ in range(count)}))
    deriver = source.string()
    if source.number() == 1:
        source.string(_SIGNATURE_LIMIT)
    nar_hash = Hash("sha256", archive.digest.digest())
    info = PathInfo(
        path=path,
        nar_hash=nar_hash,
        nar_size=archive.size,
        references=references,
        deriver=_own_path(store.store_dir, deriver) if deriver else None,
        content_address=_content_address(store.store_dir, path, nar_hash, references, target),
    )
    store.add_temp_roots([path])
    was_present = store.is_valid(path)
    if not was_present:
        _register(store, info, target)
    reporter.event(Finished(key=path))
    return info, was_present


def _register(store: Store, info: PathInfo, tree: str) -> None:
    others = set(info.references) - {info.path}
    missing = sorted(others - store.valid_paths(others))
    if missing:
        raise StoreError(
            f"importing {info.path}: it refers to {', '.join(missing[:3])}, which neither the store nor the stream has",
            hint="Export an object with all that it needs.",
            path=info.path,
        )
    if not info.path.endswith(".drv"):
        store.register_outputs([(info, tree)])
        return
    # Derivations are read, as Nix cannot build one whose outputs are not registered with it.
    if not str(info.content_address).startswith("text:") or info.nar_size > _DERIVATION_LIMIT:
        raise FormatError(f"{info.path} is not the derivation that its path says")
    with open(tree, "rb") as file:
        store.add_texts([(info.path, file.read(), info.references)])


def _own_path(store_dir: StoreDir, text: str) -> StorePath:
    try:
        return store_dir.parse(text)
    except FormatError as error:
        raise StoreError(
            f"importing: {error}",
            hint=f"Only objects of a store at the same place, {store_dir.path}, can be imported.",
            path=text,
        ) from error


def _content_address(
    store_dir: StoreDir, path: StorePath, nar_hash: Hash, references: tuple[StorePath, ...], tree: str
) -> str | None:
    """The content address from which the path follows, None where there is none that we can find out."""
    name = name_of(path)
    if path in references:
        return None
    if store_dir.source_path(name, nar_hash, references) == path:
        return f"fixed:r:{nar_hash.typed_nix32}"
    contents = _plain_file(tree)
    if contents is None:
        return None
    if store_dir.text_path(name, contents, references) == path:
        return f"text:{contents.typed_nix32}"
    if not references and store_dir.fixed_path(name, contents, recursive=False) == path:
        return f"fixed:{contents.typed_nix32}"
    return None


def _plain_file(tree: str) -> Hash | None:
    """The SHA-256 of a file that is not a program, None for anything else."""
    status = os.lstat(tree)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & stat.S_IXUSR:
        return None
    with open(tree, "rb") as file:
        return Hash("sha256", hashlib.file_digest(file, "sha256").digest())


class _Source:
    """Numbers, strings and blocks from a stream. Raises `FormatError` where it ends too early."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = b""
        self._at = 0

    def block(self) -> bytes:
        """Some bytes, at least one."""
        self._fill()
        data, self._at = self._buffer[self._at :], len(self._buffer)
        return data

    def take_back(self, size: int) -> None:
        """The last `size` bytes of the block just given come again."""
        self._at -= size

    def exactly(self, size: int) -> bytes:
        parts = []
        while size:
            self._fill()
            parts.append(self._buffer[self._at : self._at + size])
            self._at += len(parts[-1])
            size -= len(parts[-1])
        return b"".join(parts)

    def _fill(self) -> None:
        if self._at == len(self._buffer):
            self._buffer, self._at = self._read(_BLOCK), 0
            if not self._buffer:
                raise FormatError("the stream ends too early")

    def goes_on(self) -> bool:
        """Whether another object follows."""
        mark = self.number()
        if mark > 1:
            raise FormatError("the stream is damaged: neither an object nor the end")
        return mark == 1

    def number(self) -> int:
        return int.from_bytes(self.exactly(8), "little")

    def string(self, limit: int = _STRING_LIMIT) -> str:
        size = self.number()
        if size > limit:
            raise FormatError(f"the stream is damaged: a name of {size} bytes")
        data = self.exactly(size)
        if self.exactly(-size % 8).strip(b"\0"):
            raise FormatError("the stream is damaged: padding that is not zero")
        return data.decode("utf-8", "surrogateescape")


class _Archive:
    """One NAR out of a stream, measured on the way."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self.digest = hashlib.sha256()
        self.size = 0

    def chunks(self) -> Iterator[bytes]:
        """Its bytes and no more: a reader sees where it ends."""
        reader = nar.Reader(embedded=True)
        while not reader.is_finished:
            data = self._source.block()
            reader.feed(data)
            if beyond := reader.beyond:
                self._source.take_back(beyond)
                data = data[:-beyond]
            self.digest.update(data)
            self.size += len(data)
            yield data
