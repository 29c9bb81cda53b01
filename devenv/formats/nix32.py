"""Base 32 as Nix writes it (the Nix manual calls it "nix32").

The bytes are one little-endian number, written with the most significant digit first, in digits of five
bits. `size` bytes make `ceil(size * 8 / 5)` characters; bits above the number are zero.
Alphabet: digits and small letters without e, o, u, t.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from binascii import Error as Base32Error

from devenv.formats.errors import FormatError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

# RFC 4648 cuts a big-endian number into the same digits, only spelled otherwise and aligned to the left:
# zero bytes in front (to a multiple of five) align it to the right.
_RFC_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_NIX = bytes.maketrans(_RFC_ALPHABET, ALPHABET.encode())
_TO_RFC = bytes(
    _RFC_ALPHABET[ALPHABET.index(chr(byte))] if chr(byte) in ALPHABET else ord("!") for byte in range(256)
)


def length(size: int) -> int:
    """How many characters `size` bytes make."""
    return (size * 8 + 4) // 5


def encode(data: bytes) -> str:
    """`data` as text: 32 characters for 20 bytes, 52 for 32."""
    size = len(data)
    padded = data[::-1] if size % 5 == 0 else bytes(-size % 5) + data[::-1]
    text = b32encode(padded).translate(_TO_NIX).decode("ascii")
    return text[len(text) - length(size) :]


def decode(text: str, size: int) -> bytes:
    """The `size` bytes that `text` stands for.

    Raises `FormatError` for a wrong length, a character outside the alphabet, and bits set above the number.
    """
    if len(text) != length(size):
        raise FormatError(
            f"nix base 32 of {size} bytes has {length(size)} characters, found {len(text)}: {text[:80]!r}"
        )
    digits = text.encode("ascii", "replace").translate(_TO_RFC)
    try:
        padded = b32decode(b"A" * (-len(digits) % 8) + digits)
    except Base32Error:
        raise FormatError(f"{text!r} has characters that nix base 32 lacks ({ALPHABET})") from None
    excess = len(padded) - size
    if padded[:excess].strip(b"\0"):
        raise FormatError(f"{text!r} is greater than any number of {size} bytes")
    return padded[excess:][::-1]
