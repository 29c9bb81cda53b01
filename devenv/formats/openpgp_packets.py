"""OpenPGP packets of version 4: public keys and signatures, read but not judged. After RFC 4880 and RFC 9580.

    message   = { packet }
    packet    = tag length body
    armor     = "-----BEGIN PGP " kind "-----" { header } empty-line base64 [ "=" checksum ] "-----END PGP " kind "-----"
    signature = 4 kind key-algorithm hash-algorithm hashed-subpackets subpackets left-16-bits numbers
    number    = bits (2 bytes) bytes                          # "MPI"

Key packets of other versions and subpackets that are not needed are passed over.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from devenv.formats.errors import FormatError

# Packet tags
SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY, USER_ATTRIBUTE = 2, 6, 13, 14, 17

# Subpackets
CREATED, EXPIRES, KEY_EXPIRES, ISSUER, KEY_FLAGS, EMBEDDED, ISSUER_FINGERPRINT = 2, 3, 9, 16, 27, 32, 33
# Those whose meaning is known and may therefore be critical, further ones without bearing on validity included.
_UNDERSTOOD = frozenset(
    {CREATED, EXPIRES, KEY_EXPIRES, ISSUER, KEY_FLAGS, EMBEDDED, ISSUER_FINGERPRINT}
    | {11, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 34}
)
_CRITICAL = 0x80

_LARGEST = 1 << 24  # bytes; no key or signature comes near


class KeyPacket(NamedTuple):
    """A public key. `material` is what follows its algorithm, `created` in seconds since 1970."""

    algorithm: int
    created: int
    material: bytes
    body: bytes

    @property
    def hashed(self) -> bytes:
        """The key as signatures over it hash it."""
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        """40 upper-case hex digits. SHA-1 names the key; nothing is believed because of it."""
        return hashlib.sha1(self.hashed, usedforsecurity=False).hexdigest().upper()


class SignaturePacket(NamedTuple):
    """A signature. `hashed` are the subpackets that it covers, by type; `hints` are the others."""

    kind: int
    algorithm: int
    hash_algorithm: int
    hashed: Mapping[int, bytes]
    hints: Mapping[int, bytes]
    trailer: bytes  # what is hashed after the thing signed
    left: bytes  # the first two bytes of the hash
    numbers: bytes

    @property
    def created(self) -> int:
        """Seconds since 1970."""
        return self.seconds(CREATED)

    def seconds(self, subpacket: int) -> int:
        """A time or duration that the signature covers, 0 where it has none."""
        return int.from_bytes(self.hashed.get(subpacket, b""), "big")

    @property
    def issuers(self) -> tuple[str, ...]:
        """Ends of fingerprints, upper-case, that say who made it: for finding the key, not to be believed."""
        found = []
        for place in (self.hashed, self.hints):
            if ISSUER_FINGERPRINT in place:
                found.append(place[ISSUER_FINGERPRINT][1:].hex().upper())
            if ISSUER in place:
                found.append(place[ISSUER].hex().upper())
        return tuple(found)


def unarmored(data: bytes, kind: str) -> bytes:
    """The packets in ASCII armor, or `data` itself where it has none. Raises `FormatError`."""
    if data[:1] and data[0] & 0x80:
        return data
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError(f"this is neither OpenPGP data nor its ASCII armor ({kind})") from None
    found = re.search(
        rf"^-----BEGIN PGP {kind}-----[ \t\r]*\n(.*?)^-----END PGP {kind}-----[ \t\r]*$",
        text,
        re.MULTILINE | re.DOTALL,
    )
    if found is None:
        raise FormatError(f"there is no whole PGP {kind} in it")
    headers, blank, body = re.sub(r"[ \t\r]+$", "", found[1], flags=re.MULTILINE).partition("\n\n")
    if found[1][:1] in ("\n", "\r"):
        headers, body = "", found[1]
    elif not blank or not all(re.match(r"[A-Za-z]+: ", line) for line in headers.split("\n")):
        raise FormatError(f"the ASCII armor of the PGP {kind} has no empty line after its headers")
    lines = [line for line in body.split() if not line.startswith("=")]
    try:
        return binascii.a2b_base64("".join(lines), strict_mode=True)
    except binascii.Error:
        raise FormatError(f"the ASCII armor of the PGP {kind} is not base 64") from None


def packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet. Raises `FormatError`."""
    position = 0
    while position < len(data):
        first = data[position]
        if not first & 0x80:
            raise FormatError("this is no OpenPGP packet", offset=position)
        tag = first & 0x3F if first & 0x40 else first >> 2 & 0x0F
        start = position + 1
        length, position = _new_length(data, start) if first & 0x40 else _old_length(data, start, first & 3)
        if length > _LARGEST or position + length > len(data):
            raise FormatError("an OpenPGP packet ends after the data", offset=start)
        yield tag, data[position : position + length]
        position += length


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """(length, where the body begins), RFC 9580 section 4.2.1; the same form has the length of subpackets."""
    first = data[at] if at < len(data) else 0xFE
    if first < 192:
        return first, at + 1
    if first < 224 and at + 1 < len(data):
        return (first - 192 << 8) + data[at + 1] + 192, at + 2
    if first == 255 and at + 5 <= len(data):
        return int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
    raise FormatError("an OpenPGP packet has no length, or one in parts", offset=at)


def _subpacket_length(data: bytes, at: int) -> tuple[int, int]:
    """As `_new_length`, but two bytes go up to 254: nothing comes in parts here. Section 5.2.3.7."""
    first = data[at]
    if 192 <= first < 255 and at + 1 < len(data):
        return (first - 192 << 8) + data[at + 1] + 192, at + 2
    return _new_length(data, at)


def _old_length(data: bytes, at: int, kind: int) -> tuple[int, int]:
    size = (1, 2, 4, 0)[kind]
    if not size or at + size > len(data):
        raise FormatError("an OpenPGP packet has no length", offset=at)
    return int.from_bytes(data[at : at + size], "big"), at + size


def read_key(body: bytes) -> KeyPacket | None:
    """The key in a packet, None for one of another version. Raises `FormatError`."""
    if not body:
        raise FormatError("an OpenPGP key packet is empty")
    if body[0] != 4:
        return None
    if len(body) < 7 or len(body) > 0xFFFF:
        raise FormatError("an OpenPGP key packet is cut short, or too long")
    return KeyPacket(body[5], int.from_bytes(body[1:5], "big"), body[6:], body)


def read_signature(body: bytes) -> SignaturePacket | None:
    """The signature in a packet, None for one of another version, or that says things not known.

    Raises `FormatError`.
    """
    if not body:
        raise FormatError("an OpenPGP signature packet is empty")
    if body[0] != 4:
        return None
    if len(body) < 6:
        raise FormatError("an OpenPGP signature packet is cut short")
    end = 6 + int.from_bytes(body[4:6], "big")
    hints_end = end + 2 + int.from_bytes(body[end : end + 2], "big")
    if hints_end + 2 > len(body):
        raise FormatError("an OpenPGP signature packet is cut short")
    hashed, hints = _subpackets(body[6:end]), _subpackets(body[end + 2 : hints_end])
    if hashed is None or hints is None:
        return None
    return SignaturePacket(
        kind=body[1],
        algorithm=body[2],
        hash_algorithm=body[3],
        hashed=hashed,
        hints=hints,
        trailer=body[:end] + b"\x04\xff" + end.to_bytes(4, "big"),
        left=body[hints_end : hints_end + 2],
        numbers=body[hints_end + 2 :],
    )


def _subpackets(data: bytes) -> dict[int, bytes] | None:
    """By type, the last of each; None where a critical one is not understood."""
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        length, position = _subpacket_length(data, position)
        if not length or position + length > len(data):
            raise FormatError("a subpacket of an OpenPGP signature is cut short")
        kind = data[position] & ~_CRITICAL
        if data[position] & _CRITICAL and kind not in _UNDERSTOOD:
            return None
        found[kind] = data[position + 1 : position + length]
        position += length
    return found


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """(an unsigned number, where the next begins). Raises `FormatError`."""
    length = (int.from_bytes(data[at : at + 2], "big") + 7) // 8
    if at + 2 + length > len(data):
        raise FormatError("a number of an OpenPGP packet is cut short", offset=at)
    return int.from_bytes(data[at + 2 : at + 2 + length], "big"), at + 2 + length
