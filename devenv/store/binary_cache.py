"""One binary cache in Nix's layout, for the objects of one store directory.

    nix-cache-info
    DIGEST.narinfo           what is said of the store path with this digest
    nar/HASH.nar[.EXT]       its archive, named by the hash of this file

A narinfo is there only after its archive and the narinfos of all that the object refers to.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from devenv.errors import DevenvError
from devenv.formats import narinfo
from devenv.formats.content_address import ContentAddress
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.narinfo import CACHE_INFO, CacheInfo, NarInfo
from devenv.formats.signing import SecretKey
from devenv.formats.store_path import StoreDir, StorePath
from devenv.store.cache_files import CacheError, Files, open_files
from devenv.store.compression import EXTENSIONS, compress, decompress
from devenv.store.errors import StoreError, explaining
from devenv.store.local import PathInfo
from devenv.store.receiving import DAMAGED, RefusedError
from devenv.store.tree import dump

if TYPE_CHECKING:
    from devenv.fetch.http import Client

LOOKUPS_AT_ONCE = 16  # as many connections as the client has
_INFO_LIMIT = 1 << 16  # bytes of nix-cache-info
PRIORITY = 40  # of caches that we make; the lower is asked first


class BinaryCache:
    """Reads and writes one cache. All methods may be called from any thread."""

    def __init__(self, files: Files, store_dir: StoreDir) -> None:
        self._files = files
        self._store_dir = store_dir
        self._guard = threading.Lock()
        self._info: CacheInfo | None = None

    @classmethod
    def at(cls, url: str, store_dir: StoreDir, client: Callable[[], Client]) -> BinaryCache:
        """The cache at a URL or in a directory. Nothing is asked yet; `client` is called where it is on the web."""
        return cls(open_files(url, client), store_dir)

    @property
    def url(self) -> str:
        """Without credentials."""
        return self._files.url

    @property
    def is_local(self) -> bool:
        """Whether asking costs next to nothing."""
        return self._files.is_local

    def info(self) -> CacheInfo:
        """What the cache says about itself. Raises `CacheError` if it is none, or for another store directory."""
        with self._guard:
            if self._info is None:
                found = self._read_info()
                if found is None:
                    raise CacheError(
                        f"{self.url} is no binary cache: there is no {CACHE_INFO}",
                        cache=self.url,
                        hint="`devenv cache push` makes one in an empty place",
                    )
                self._info = found
            return self._info

    def _read_info(self) -> CacheInfo | None:
        data = self._files.read(CACHE_INFO, _INFO_LIMIT)
        if data is None:
            return None
        try:
            found = CacheInfo.parse(data.decode())
        except (FormatError, UnicodeDecodeError) as error:
            raise CacheError(f"{self.url} is no binary cache: {error}", cache=self.url) from error
        if found.store_dir.rstrip("/") != self._store_dir.path:
            raise CacheError(
                f"{self.url} is for stores in {found.store_dir!r}, and this store is in {self._store_dir.path!r}",
                cache=self.url,
                hint="objects name their store directory; use the same one on all machines that share a cache: "
                "--store-dir, or DEVENV_STORE_DIR",
            )
        return found

    def prepare(self) -> None:
        """Make it a cache if there is none yet. Raises `CacheError` for one of another store directory."""
        with self._guard:
            self._info = self._info or self._read_info()
            if self._info is None:
                info = CacheInfo(store_dir=self._store_dir.path, want_mass_query=True, priority=PRIORITY)
                self._files.write(CACHE_INFO, info.to_text().encode())
                self._info = info

    def lookup(self, path: StorePath) -> NarInfo | None:
        """What it says of a path, None if it has nothing. Raises `RefusedError` for what cannot be read."""
        data = self._files.read(narinfo.info_name(path), narinfo.INFO_LIMIT)
        if data is None:
            return None
        try:
            found = narinfo.parse(data.decode(), self._store_dir, "its narinfo")
        except (FormatError, UnicodeDecodeError) as error:
            raise RefusedError(
                path, self.url, str(error), hint=getattr(error, "hint", None) or DAMAGED
            ) from error
        if found.path != path:
            raise RefusedError(path, self.url, f"its narinfo is about {found.path}", hint=DAMAGED)
        return found

    def lookups(
        self, paths: Sequence[StorePath], stop: Callable[[], None]
    ) -> dict[StorePath, NarInfo | RefusedError]:
        """`lookup` for many at once. Paths that it does not have are left out; what it should not say is an error.

        `stop` is called to end what is running where this is interrupted.
        """
        threads = 1 if self.is_local else min(LOOKUPS_AT_ONCE, len(paths))
        if threads <= 1:
            answers = [self._answer(path) for path in paths]
        else:
            with ThreadPoolExecutor(max_workers=threads) as pool:
                try:
                    answers = list(pool.map(self._answer, paths))
                except BaseException as error:
                    if not isinstance(error, DevenvError):
                        stop()
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        return {path: answer for path, answer in zip(paths, answers, strict=True) if answer is not None}

    def _answer(self, path: StorePath) -> NarInfo | RefusedError | None:
        try:
            return self.lookup(path)
        except RefusedError as error:
            return error

    def nar(self, info: NarInfo, progress: Callable[[int], None] = lambda done: None) -> Iterator[bytes]:
        """The archive, unpacked. `progress` hears how many bytes have come. Raises `RefusedError`."""
        return decompress(info.compression, self._file(info, progress))

    def _file(self, info: NarInfo, progress: Callable[[int], None]) -> Iterator[bytes]:
        """The file of an archive, as it is in the cache, compared with what the narinfo says of it."""
        expected = info.file_hash
        # Not compressed it is the archive itself, which is hashed anyway.
        digest = hashlib.new(expected.algorithm, usedforsecurity=False) if expected is not None else None
        # Where it is not said how large the file is: no compression makes an archive much larger.
        limit = (
            info.file_size if info.file_size is not None else info.nar_size + info.nar_size // 8 + (1 << 20)
        )
        size = 0
        for chunk in self._files.stream(info.url):
            size += len(chunk)
            if size > limit:
                raise RefusedError(
                    info.path, self.url, f"{info.url} is larger than the {limit} bytes expected", hint=DAMAGED
                )
            if digest is not None and info.compression != "none":
                digest.update(chunk)
            progress(size)
            yield chunk
        if info.file_size is not None and size != info.file_size:
            raise RefusedError(
                info.path,
                self.url,
                f"{info.url} has {size} bytes, {info.file_size} were announced",
                hint=DAMAGED,
            )
        if digest is not None and expected is not None:
            found = Hash(expected.algorithm, digest.digest())
            if info.compression != "none" and found != expected:
                raise RefusedError(
                    info.path,
                    self.url,
                    f"{info.url} has the hash {found.typed_nix32}, {expected.typed_nix32} was announced",
                    hint=DAMAGED,
                )

    # Writing

    def holds(self, info: NarInfo) -> bool:
        """Whether the archive of a narinfo that it has is there as well, as far as that can be told cheaply."""
        return not self.is_local or self._files.size(info.url) == info.file_size

    def store_archive(
        self,
        info: PathInfo,
        compression: str,
        scratch: str,
        progress: Callable[[int], None] = lambda done: None,
    ) -> NarInfo:
        """Put the archive of a valid path there; `publish` what comes back once its references are.

        `scratch`: a path where a file can be written. Raises `StoreError`, also for an object that is not any
        more what was registered.
        """
        aside = self._files.aside() or scratch
        try:
            with explaining("writing to the cache", aside):
                file_hash, file_size = _write_archive(info, compression, aside, progress)
            url = f"nar/{file_hash.nix32}.nar{EXTENSIONS[compression]}"
            self._files.move_in(aside, url)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(aside)
        claim = info.content_address
        return NarInfo(
            path=info.path,
            url=url,
            compression=compression,
            file_hash=file_hash,
            file_size=file_size,
            nar_hash=info.nar_hash,
            nar_size=info.nar_size,
            references=info.references,
            deriver=info.deriver,
            signatures=info.signatures,
            content_address=ContentAddress.parse(claim) if claim else None,
        )

    def publish(self, info: NarInfo) -> None:
        """From now on the cache has it."""
        self._files.write(narinfo.info_name(info.path), info.to_text().encode())


def signed(info: NarInfo, keys: Sequence[SecretKey]) -> NarInfo:
    """`info` with the signatures of these keys as well."""
    more = {key.sign(info.fingerprint) for key in keys}
    return replace(info, signatures=tuple(sorted({*info.signatures, *more})))


def _write_archive(
    info: PathInfo, compression: str, target: str, progress: Callable[[int], None]
) -> tuple[Hash, int]:
    """The hash and size of the file written."""
    digest = hashlib.sha256()
    size = 0
    archive = _Checked(info, progress)
    with open(target, "xb") as file:
        for chunk in compress(compression, archive.chunks()):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    archive.check()
    return Hash("sha256", digest.digest()), size


class _Checked:
    """The archive of a path on disk, which must be what is registered."""

    def __init__(self, info: PathInfo, progress: Callable[[int], None]) -> None:
        self._info, self._progress = info, progress
        self._digest = hashlib.sha256()

    def chunks(self) -> Iterator[bytes]:
        size = 0
        for chunk in dump(self._info.path):
            self._digest.update(chunk)
            size += len(chunk)
            self._progress(size)
            yield chunk

    def check(self) -> None:
        if self._digest.digest() != self._info.nar_hash.digest:
            raise StoreError(
                f"pushing {self._info.path}: its contents are not those that were registered",
                hint="`devenv store verify --repair` restores it where that is possible.",
                path=self._info.path,
            )
