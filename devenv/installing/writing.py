"""Files that others may be reading, or running, while they are replaced."""

from __future__ import annotations

import os
from contextlib import suppress

from devenv.errors import DevenvError


def write(path: str, data: bytes, mode: int, *, hint: str | None = None) -> None:
    """The old file or the new one, in a directory that is made. Raises DevenvError, `hint` for what may not be written."""
    aside = f"{path}.new-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(aside, "wb") as file:
            file.write(data)
        os.chmod(aside, mode)
        os.rename(aside, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(aside)
        given = hint if isinstance(error, PermissionError) else None
        raise DevenvError(f"writing {path}: {error.strerror}", hint=given) from error
