"""Keys that sign store objects for binary caches, as Nix writes them.

    secret key   name ":" base64( seed, 32 bytes, and public key, 32 bytes )
    public key   name ":" base64( public key, 32 bytes )
    signature    name ":" base64( ed25519 signature, 64 bytes )

What is signed is `devenv.formats.narinfo.fingerprint`. The `cryptography` wheel does the work where it is installed,
`devenv.formats.ed25519` otherwise: the results are the same.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from devenv.formats import ed25519
from devenv.formats.errors import FormatError

NAME = r"[!-9;-~]+"  # printable, no blank, no colon
_EXAMPLE = "a public key looks like team-1:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that signs. Neither `repr` nor any error shows the secret; `to_text` does."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.seed) != ed25519.KEY_LENGTH:
            raise FormatError(
                f"the seed of a secret key has {ed25519.KEY_LENGTH} bytes, found {len(self.seed)}"
            )

    @classmethod
    def parse(cls, text: str) -> SecretKey:
        """Raises `FormatError`, also where the public half is not that of the secret one."""
        name, data = _split(text.strip(), "a secret key", 2 * ed25519.KEY_LENGTH, secret=True)
        key = cls(name, data[: ed25519.KEY_LENGTH])
        if key.public.data != data[ed25519.KEY_LENGTH :]:
            raise FormatError(f"the secret key {name} is damaged: its two halves do not belong together")
        return key

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.name, _public_key(self.seed))

    def to_text(self) -> str:
        """As it is kept in a file. Must never be printed."""
        return f"{self.name}:{_base64(self.seed + self.public.data)}"

    def sign(self, text: str) -> str:
        """The signature of `text`, with the key's name."""
        return f"{self.name}:{_base64(_sign(self.seed, text.encode()))}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    name: str
    data: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Raises `FormatError`."""
        return cls(*_split(text.strip(), "a public key", ed25519.KEY_LENGTH))

    def to_text(self) -> str:
        return f"{self.name}:{_base64(self.data)}"

    def verifies(self, text: str, signature: str) -> bool:
        """Whether `signature` is this key's for `text`. False for anything malformed."""
        try:
            name, data = _split(signature, "a signature", ed25519.SIGNATURE_LENGTH)
        except FormatError:
            return False
        return name == self.name and _verify(self.data, text.encode(), data)


class TrustedKeys:
    """Public keys whose signatures count. There may be several of one name."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = tuple(dict.fromkeys(keys))

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({key.name for key in self._keys}))

    def signer(self, text: str, signatures: Iterable[str]) -> str | None:
        """The name of a trusted key that made one of `signatures` for `text`, None where no one did."""
        for signature in signatures:
            name = signature.partition(":")[0]
            if any(key.verifies(text, signature) for key in self._keys if key.name == name):
                return name
        return None


def check_key_name(name: str) -> str:
    """`name`, if a key can have it. Raises `FormatError`."""
    if not re.fullmatch(NAME, name) or len(name) > 200:
        raise FormatError(
            f"a key cannot be called {name[:200]!r}",
            hint="use letters, digits, dots and dashes: team-1, cache.example.org-1",
        )
    return name


def check_signature(text: str) -> str:
    """`text`, if it has the form of a signature. Raises `FormatError`."""
    _split(text, "a signature", ed25519.SIGNATURE_LENGTH)
    return text


def _split(text: str, what: str, size: int, *, secret: bool = False) -> tuple[str, bytes]:
    """The name and the `size` bytes of `name:base64`. What is secret is not in the error."""
    shown = "what was given" if secret else repr(text[:200])
    name, colon, body = text.partition(":")
    if not colon or not re.fullmatch(NAME, name):
        raise FormatError(f"{shown} is not {what}: expected NAME:BASE64", hint=None if secret else _EXAMPLE)
    try:
        data = a2b_base64(body.encode("ascii"))
    except (Base64Error, UnicodeEncodeError):
        data = b""
    if len(data) != size or _base64(data) != body:
        raise FormatError(f"{shown} is not {what}: expected {size} bytes in base 64 after {name}:")
    return name, data


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _public_key(seed: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return ed25519.public_key(seed)
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _sign(seed: bytes, message: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return ed25519.sign(seed, message)
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def _verify(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return ed25519.verify(public, message, signature)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: the key is no point
        return False
    return True
