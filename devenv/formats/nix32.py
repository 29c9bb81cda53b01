"""Base 32 as Nix writes it (the Nix manual calls it "nix32").

The bytes are one little-endian number, written with the most significant digit first, in digits of five
bits. `size` bytes make `ceil(size * 8 / 5)` characters; bits above the number are zero.
Alphabet: digits and small letters without e, o, u, t.
"""

from __future__ import annotations

from devenv.formats.errors import FormatError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

_RFC_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_NIX = bytes.maketrans(_RFC_ALPHABET, ALPHABET.encode())
# To the digits that int() takes; "!" is none.
_INT_ALPHABET = b"0123456789abcdefghijklmnopqrstuv"
_TO_INT = bytes(
    _INT_ALPHABET[ALPHABET.index(chr(byte))] if chr(byte) in ALPHABET else ord("!") for byte in range(256)
)


def length(size: int) -> int:
    """How many characters `size` bytes make."""
    return (size * 8 + 4) // 5


def encode(data: bytes) -> str:
    """`data` as text: 32 characters for 20 bytes, 52 for 32."""
    from base64 import b32encode  # only here: it loads `re`, and who only reads paths needs neither

    # RFC 4648 cuts a big-endian number into the same digits, three times as fast as a loop here would, but
    # aligned to the left: zero bytes in front, to a multiple of five, align it to the right.
    size = len(data)
    text = b32encode(bytes(-size % 5) + data[::-1]).translate(_TO_NIX).decode("ascii")
    return text[len(text) - length(size) :]


def decode(text: str, size: int) -> bytes:
    """The `size` bytes that `text` stands for.

    Raises `FormatError` for a wrong length, a character outside the alphabet, and bits set above the number.
    """
    if len(text) != length(size):
        raise FormatError(
            f"nix base 32 of {size} bytes has {length(size)} characters, found {len(text)}: {text[:80]!r}"
        )
    digits = text.encode("ascii", "replace").translate(_TO_INT)
    try:
        return (int(digits, 32) if digits else 0).to_bytes(size, "little")
    except ValueError:
        raise FormatError(
            f"{text[:200]!r} has characters that nix base 32 lacks; it has {ALPHABET}"
        ) from None
    except OverflowError:
        raise FormatError(f"{text[:200]!r} is greater than any number of {size} bytes") from None
