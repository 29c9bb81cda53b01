"""Files that say when they were made, and nothing else that differs: that time is made the one of all files in a store.

Where a program heeds SOURCE_DATE_EPOCH there is nothing to do. Pure: contents in, contents out; what is not in the form
that is expected stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

# A Java key store as sun.security.provider.JavaKeyStore writes it (no specification but its source):
#
#   store = magic u32, version u32, count u32, count * entry, digest 20
#   entry = tag u32 = 2, alias text, milliseconds u64, type text, size u32, certificate        (text: size u16, bytes)
#
# The digest is SHA-1 of the password in UTF-16, big endian, the words below and all that precedes it. Stores of
# certificates that everybody may see have a password that everybody knows.
_MAGIC, _VERSION, _CERTIFICATE = 0xFEEDFEED, 2, 2
_SALT = "changeit".encode("utf-16-be") + b"Mighty Aphrodite"
_DIGEST_SIZE = 20
_TIME = (1000).to_bytes(8, "big")

_OCTAVE_DATE = re.compile(rb"\A(# Created by Octave [^,\n]+), [^\n]*\n")


def key_store(data: bytes) -> bytes:
    """A Java key store with certificates only, in the order of their names and with one time for all."""
    try:
        entries, end = _entries(data)
    except (IndexError, ValueError):
        return data
    if end != len(data) - _DIGEST_SIZE or hashlib.sha1(_SALT + data[:end]).digest() != data[end:]:  # noqa: S324
        return data
    whole = data[:12] + b"".join(sorted(entries))
    return whole + hashlib.sha1(_SALT + whole).digest()  # noqa: S324


def _entries(data: bytes) -> tuple[list[bytes], int]:
    """The entries, each with the time of a store, and where they end. IndexError, ValueError for another form."""

    def number(at: int, size: int) -> int:
        if at + size > len(data):
            raise IndexError
        return int.from_bytes(data[at : at + size], "big")

    if number(0, 4) != _MAGIC or number(4, 4) != _VERSION:
        raise ValueError
    entries = []
    at = 12
    for _ in range(number(8, 4)):
        begin = at
        if number(at, 4) != _CERTIFICATE:
            raise ValueError
        time_at = at + 6 + number(at + 4, 2)
        type_at = time_at + 8
        size_at = type_at + 2 + number(type_at, 2)
        at = size_at + 4 + number(size_at, 4)
        entries.append(data[begin:time_at] + _TIME + data[type_at:at])
    return entries, at


def octave_packages(data: bytes) -> bytes:
    """The list of Octave's packages, whose first line says when it was written and by whom."""
    return _OCTAVE_DATE.sub(rb"\1\n", data)


NORMALISED: Mapping[str, Callable[[bytes], bytes]] = {
    "etc/ssl/certs/java/cacerts": key_store,
    "usr/share/octave/octave_packages": octave_packages,
}
