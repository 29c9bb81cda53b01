"""Files by their contents."""

from __future__ import annotations

import hashlib

from devenv.foreign.errors import ForeignError

_PIECE = 1 << 20


def digest_of(path: str) -> str:
    """The SHA-256 of a file in hexadecimal. Raises ForeignError."""
    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError as error:
        raise ForeignError(path, f"cannot be read: {error.strerror}") from error
    return found.hexdigest()
