"""OpenPGP keys, certificates and signatures made by the tests: RFC 4880 written from the other side.

The arithmetic is the `cryptography` package's, so that what devenv verifies was not signed by devenv's own code.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CREATED = 1_600_000_000
SIGN, CERTIFY = b"\x02", b"\x01"
_HASHES = {2: hashes.SHA1(), 8: hashes.SHA256(), 9: hashes.SHA384(), 10: hashes.SHA512()}
_NAMES = {2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}
_CURVE = bytes.fromhex("092b06010401da470f01")


def number(value: int) -> bytes:
    return value.bit_length().to_bytes(2, "big") + value.to_bytes((value.bit_length() + 7) // 8, "big")


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def old_packet(tag: int, body: bytes) -> bytes:
    """With the header that GnuPG writes."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def subpackets(found: Mapping[int, bytes], critical: frozenset[int] = frozenset()) -> bytes:
    parts = []
    for kind, data in found.items():
        size = len(data) + 1
        head = bytes([size]) if size < 192 else b"\xff" + size.to_bytes(4, "big")
        parts.append(head + bytes([kind | (0x80 if kind in critical else 0)]) + data)
    return b"".join(parts)


@dataclass(frozen=True)
class Key:
    """A secret key. `created` is part of what its fingerprint covers."""

    secret: rsa.RSAPrivateKey | Ed25519PrivateKey
    created: int = CREATED

    @property
    def algorithm(self) -> int:
        return 1 if isinstance(self.secret, rsa.RSAPrivateKey) else 22

    @property
    def body(self) -> bytes:
        if isinstance(self.secret, rsa.RSAPrivateKey):
            public = self.secret.public_key().public_numbers()
            material = number(public.n) + number(public.e)
        else:
            raw = self.secret.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
            material = _CURVE + number(int.from_bytes(b"\x40" + raw, "big"))
        return b"\x04" + self.created.to_bytes(4, "big") + bytes([self.algorithm]) + material

    @property
    def hashed(self) -> bytes:
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self.hashed, usedforsecurity=False).hexdigest().upper()

    def sign(
        self,
        kind: int,
        about: bytes,
        *,
        created: int = CREATED + 1000,
        hashed: Mapping[int, bytes] | None = None,
        hash_algorithm: int = 8,
        critical: frozenset[int] = frozenset(),
    ) -> bytes:
        """The body of a signature packet."""
        fields = {
            33: b"\x04" + bytes.fromhex(self.fingerprint),
            2: created.to_bytes(4, "big"),
            **(hashed or {}),
        }
        covered = subpackets(fields, critical)
        head = bytes([4, kind, self.algorithm, hash_algorithm]) + len(covered).to_bytes(2, "big") + covered
        data = about + head + b"\x04\xff" + len(head).to_bytes(4, "big")
        digest = hashlib.new(_NAMES[hash_algorithm], data).digest()
        if isinstance(self.secret, rsa.RSAPrivateKey):
            raw = self.secret.sign(data, padding.PKCS1v15(), _HASHES[hash_algorithm])
            numbers = number(int.from_bytes(raw, "big"))
        else:
            raw = self.secret.sign(digest)
            numbers = number(int.from_bytes(raw[:32], "big")) + number(int.from_bytes(raw[32:], "big"))
        hints = subpackets({16: bytes.fromhex(self.fingerprint)[-8:]})
        return head + len(hints).to_bytes(2, "big") + hints + digest[:2] + numbers


@lru_cache
def rsa_key(name: str, created: int = CREATED, bits: int = 2048) -> Key:
    """One key for each name: making them takes a while."""
    return Key(rsa.generate_private_key(public_exponent=65537, key_size=bits), created)


@lru_cache
def ed25519_key(name: str, created: int = CREATED) -> Key:
    return Key(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest()), created)


def certificate(
    primary: Key,
    *,
    user: bytes = b"Archive <archive@example.test>",
    flags: bytes | None = SIGN,
    lasts: int = 0,
    hash_algorithm: int = 8,
    more: Sequence[bytes] = (),
) -> bytes:
    """Key, user and self-signature; `more` are packets behind them."""
    hashed = ({27: flags} if flags is not None else {}) | ({9: lasts.to_bytes(4, "big")} if lasts else {})
    about = primary.hashed + b"\xb4" + len(user).to_bytes(4, "big") + user
    itself = primary.sign(0x13, about, hashed=hashed, hash_algorithm=hash_algorithm)
    return b"".join([packet(6, primary.body), packet(13, user), packet(2, itself), *more])


def subkey(
    primary: Key,
    key: Key,
    *,
    flags: bytes = SIGN,
    back: bool | Key = True,
    lasts: int = 0,
    binder: Key | None = None,
    hash_algorithm: int = 8,
) -> bytes:
    """A subkey and its binding. `back`: whether, or by which other key, it is bound back."""
    about = primary.hashed + key.hashed
    hashed = {27: flags} | ({9: lasts.to_bytes(4, "big")} if lasts else {})
    if back:
        hashed[32] = (back if isinstance(back, Key) else key).sign(0x19, about, hash_algorithm=hash_algorithm)
    binding = (binder or primary).sign(0x18, about, hashed=hashed, hash_algorithm=hash_algorithm)
    return packet(14, key.body) + packet(2, binding)


def armored(data: bytes, kind: str) -> str:
    lines = base64.encodebytes(data).decode()
    check = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode()
    return f"-----BEGIN PGP {kind}-----\n\n{lines}={check}\n-----END PGP {kind}-----\n"


def _crc24(data: bytes) -> int:
    """RFC 4880, section 6.1; GnuPG wants it."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def clear_signed(text: str, signatures: Sequence[bytes], *, hash_name: str = "SHA256") -> bytes:
    """`text` ends with a newline; `signatures` are packets' bodies."""
    escaped = "".join(
        "- " + line if line.startswith("-") else line for line in text.splitlines(keepends=True)
    )
    armor = armored(b"".join(packet(2, each) for each in signatures), "SIGNATURE")
    return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: {hash_name}\n\n{escaped}{armor}".encode()


def canonical(text: str) -> bytes:
    """The lines of a text as a signature over it hashes them."""
    return "\r\n".join(line.rstrip(" \t\r") for line in text.removesuffix("\n").split("\n")).encode()


def signed_by(text: str, *keys: Key, **options: object) -> bytes:
    return clear_signed(text, [key.sign(1, canonical(text), **options) for key in keys])  # type: ignore[arg-type]
