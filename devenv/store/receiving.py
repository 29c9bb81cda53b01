"""A store object from elsewhere: unpacked, and compared with what was said of it before anybody believes it.

Nothing is registered here. More bytes than announced are refused when the first of them arrives.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from devenv.formats.content_address import ContentAddress
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.narinfo import NarInfo
from devenv.formats.signing import TrustedKeys
from devenv.formats.store_path import StoreDir, StorePath, digest_of
from devenv.store.cache_files import CacheError
from devenv.store.compression import CompressionError
from devenv.store.errors import StoreError
from devenv.store.local import PathInfo
from devenv.store.tree import restore


class RefusedError(CacheError):
    """What a cache has for a path is not what it must be. `path` is that, `found` what is wrong."""

    def __init__(self, path: StorePath, cache: str, found: str, *, hint: str | None = None) -> None:
        super().__init__(f"refusing {path} from {cache}: {found}", cache=cache, path=path, hint=hint)
        self.found = found


class UntrustedError(RefusedError):
    """Nobody who is trusted vouches for an object."""


DAMAGED = "the cache is damaged, or somebody altered it: its owner should push that path again"


def check_trust(info: NarInfo, store_dir: StoreDir, trusted: TrustedKeys, cache: str) -> None:
    """Raises `UntrustedError` unless the path follows from the contents, or a trusted key signed for it."""
    if info.content_address is not None and not info.is_self_certifying(store_dir):
        raise RefusedError(
            info.path,
            cache,
            f"it claims the content address {info.content_address}, from which its path does not follow",
            hint=DAMAGED,
        )
    if info.content_address is not None or trusted.signer(info.fingerprint, info.signatures):
        return
    signers = sorted({signature.partition(":")[0] for signature in info.signatures})
    if not signers:
        found = "nobody signed it"
        hint = "sign what is pushed: devenv cache push --key KEY"
    elif set(signers) & set(trusted.names):
        found = f"its signature by {', '.join(signers)} is not right"
        hint = DAMAGED
    else:
        found = f"it is signed by {', '.join(signers)}, and no key of that name is trusted"
        hint = "if you trust it, add its public key to trusted-keys under [caches] of your configuration"
    raise UntrustedError(info.path, cache, found, hint=hint)


def receive(info: NarInfo, nar: Iterable[bytes], target: str, *, store_dir: StoreDir, cache: str) -> PathInfo:
    """Unpack a NAR to `target`, and say what to register. Raises `RefusedError` where it is not as `info` says."""
    measured = _Measured(info, nar, cache)
    try:
        restore(measured.chunks(), target)
    except CompressionError as error:
        raise RefusedError(info.path, cache, str(error), hint=DAMAGED) from error
    except StoreError as error:
        if isinstance(error.__cause__, FormatError):
            raise RefusedError(info.path, cache, str(error.__cause__), hint=DAMAGED) from error
        raise
    measured.check()
    if info.content_address is not None:
        found = measured.content_hash(info.content_address, target)
        if found != info.content_address.hash:
            raise RefusedError(
                info.path,
                cache,
                f"its contents have the hash {found}, not {info.content_address.hash}",
                hint=DAMAGED,
            )
    return PathInfo(
        path=info.path,
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        references=info.references,
        deriver=info.deriver,
        content_address=None if info.content_address is None else str(info.content_address),
        signatures=info.signatures,
    )


class _Measured:
    """Passes a NAR on, and measures it."""

    def __init__(self, info: NarInfo, nar: Iterable[bytes], cache: str) -> None:
        self._info, self._nar, self._cache = info, nar, cache
        self._digest = hashlib.sha256()
        self._size = 0
        claim = info.content_address
        self._content: hashlib._Hash | _Modulo | None = None
        if claim is not None and claim.method == "recursive":
            if info.path in info.references:
                self._content = _Modulo(digest_of(info.path).encode())
            elif claim.hash.algorithm != "sha256":
                self._content = hashlib.new(claim.hash.algorithm, usedforsecurity=False)

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._nar:
            self._size += len(chunk)
            if self._size > self._info.nar_size:
                raise self._refused(f"its archive is larger than the {self._info.nar_size} bytes announced")
            self._digest.update(chunk)
            if self._content is not None:
                self._content.update(chunk)
            yield chunk

    def check(self) -> None:
        if self._size != self._info.nar_size:
            raise self._refused(f"its archive has {self._size} bytes, {self._info.nar_size} were announced")
        found = Hash("sha256", self._digest.digest())
        if found != self._info.nar_hash:
            raise self._refused(
                f"its archive has the hash {found.typed_nix32}, {self._info.nar_hash.typed_nix32} was announced"
            )

    def content_hash(self, claim: ContentAddress, tree: str) -> Hash:
        """The hash that the claim must give."""
        if self._content is not None:
            return Hash(claim.hash.algorithm, self._content.digest())
        if claim.method == "recursive":
            return self._info.nar_hash
        status = os.lstat(tree)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & stat.S_IXUSR:
            raise self._refused("its path says that it is a plain file, and it is none")
        with open(tree, "rb") as file:
            return Hash(claim.hash.algorithm, hashlib.file_digest(file, claim.hash.algorithm).digest())

    def _refused(self, found: str) -> RefusedError:
        return RefusedError(self._info.path, self._cache, found, hint=DAMAGED)


class _Modulo:
    """SHA-256 of a stream in which NUL bytes stand for an object's own digest; see `StoreDir.source_path`."""

    def __init__(self, own: bytes) -> None:
        self._own = own
        self._hash = hashlib.sha256()
        self._tail = b""  # where the digest may begin
        self._passed = 0
        self._places: list[int] = []

    def update(self, chunk: bytes) -> None:
        data = self._tail + chunk
        at = data.find(self._own)
        while at >= 0:
            self._places.append(self._passed + at)
            at = data.find(self._own, at + len(self._own))
        data = data.replace(self._own, bytes(len(self._own)))
        keep = min(len(data), len(self._own) - 1)
        self._hash.update(data[: len(data) - keep])
        self._passed += len(data) - keep
        self._tail = data[len(data) - keep :]

    def digest(self) -> bytes:
        final = self._hash.copy()
        final.update(self._tail + b"".join(b"|%d" % place for place in self._places))
        return final.digest()
