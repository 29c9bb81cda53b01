"""Hash values and their spellings.

SRI           `sha512-<base64>`, several separated by blanks, each with optional `?options` (W3C Subresource
              Integrity, section 3.5); npm writes these
typed         `sha256:<base 16, nix base 32 or base 64>`; Nix writes these, the length tells which
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import Literal, cast

from devenv.formats import nix32
from devenv.formats.errors import FormatError

Algorithm = Literal["md5", "sha1", "sha256", "sha384", "sha512"]

# Sizes in bytes, weakest first. Nix knows all but sha384, which occurs in lockfiles only.
SIZES: dict[str, int] = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_STRENGTH = {algorithm: rank for rank, algorithm in enumerate(SIZES)}


@dataclass(frozen=True, slots=True)
class Hash:
    """The digest of something by one algorithm. Raises `FormatError` when the two do not fit."""

    algorithm: Algorithm
    digest: bytes

    def __post_init__(self) -> None:
        size = SIZES.get(self.algorithm)
        if size is None:
            raise FormatError(f"unknown hash algorithm {self.algorithm!r}", hint=_KNOWN)
        if len(self.digest) != size:
            raise FormatError(f"a {self.algorithm} hash has {size} bytes, found {len(self.digest)}")

    @property
    def hex(self) -> str:
        return self.digest.hex()

    @property
    def nix32(self) -> str:
        return nix32.encode(self.digest)

    @property
    def sri(self) -> str:
        """For example `sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=`."""
        return f"{self.algorithm}-{b2a_base64(self.digest, newline=False).decode('ascii')}"

    @property
    def typed_nix32(self) -> str:
        return f"{self.algorithm}:{nix32.encode(self.digest)}"

    @property
    def typed_hex(self) -> str:
        return f"{self.algorithm}:{self.digest.hex()}"

    def __str__(self) -> str:
        return self.sri

    @classmethod
    def of(cls, algorithm: Algorithm, data: bytes) -> Hash:
        """The hash of `data`. Raises FormatError for an unknown algorithm."""
        import hashlib  # only here: half the start-up time of this module

        if algorithm not in SIZES:
            raise FormatError(f"unknown hash algorithm {algorithm!r}", hint=_KNOWN)
        return cls(algorithm, hashlib.new(algorithm, data, usedforsecurity=False).digest())

    @classmethod
    def from_hex(cls, algorithm: Algorithm, text: str) -> Hash:
        """From base 16, letters of either case. Raises FormatError."""
        size = SIZES.get(algorithm)
        if size is None:
            raise FormatError(f"unknown hash algorithm {algorithm!r}", hint=_KNOWN)
        digest = _unhex(text) if len(text) == 2 * size else None
        if digest is None or len(digest) != size:
            raise FormatError(f"expected {2 * size} hexadecimal digits of a {algorithm} hash, found {text!r}")
        return cls(algorithm, digest)

    @classmethod
    def parse_typed(cls, text: str) -> Hash:
        """From `algorithm:digest`, the digest in base 16, nix base 32 or base 64. Raises FormatError."""
        algorithm, colon, body = text.partition(":")
        if not colon or algorithm not in SIZES:
            raise FormatError(
                f"expected a hash such as sha256:..., found {text!r}",
                hint=_KNOWN if colon else None,
            )
        known = cast(Algorithm, algorithm)
        size = SIZES[algorithm]
        if len(body) == nix32.length(size):
            return cls(known, nix32.decode(body, size))
        if len(body) == _base64_length(size):
            return cls(known, _unbase64(body, text))
        return cls.from_hex(known, body)

    @classmethod
    def parse_sri(cls, text: str) -> Hash:
        """The strongest of one or more SRI values; of equally strong ones the first.

        Values of unknown algorithms are passed over, but at least one must be known. A damaged value of a
        known algorithm is an error even beside a good one: lockfiles are not edited by hand.
        Raises FormatError.
        """
        best: Hash | None = None
        for word in text.split():
            algorithm, _, rest = word.partition("-")
            if algorithm not in SIZES:
                continue
            found = cls(cast(Algorithm, algorithm), _unbase64(rest.partition("?")[0], word))
            if best is None or _STRENGTH[found.algorithm] > _STRENGTH[best.algorithm]:
                best = found
        if best is None:
            raise FormatError(
                f"expected an integrity value such as sha512-..., found {text[:200]!r}", hint=_KNOWN
            )
        return best


_KNOWN = f"known are {', '.join(SIZES)}"


def compress(digest: bytes, size: int) -> bytes:
    """`digest` folded to `size` bytes: byte i is the exclusive or of all bytes at i modulo `size`."""
    folded = 0
    for start in range(0, len(digest), size):
        folded ^= int.from_bytes(digest[start : start + size], "little")
    return folded.to_bytes(size, "little")


def _unhex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)  # passes over blanks: callers compare the length
    except ValueError:
        return None


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4


def _unbase64(body: str, whole: str) -> bytes:
    """Decode the one canonical spelling (RFC 4648 section 4); `whole` is for the message."""
    try:
        data = a2b_base64(body.encode("ascii"))
    except (Base64Error, UnicodeEncodeError):
        data = b""
    if not data or b2a_base64(data, newline=False).decode("ascii") != body:
        raise FormatError(f"the hash {whole[:200]!r} is not base 64")
    return data
