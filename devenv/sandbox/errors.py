"""What goes wrong with sandboxes."""

from __future__ import annotations

from devenv.errors import DevenvError


class SandboxError(DevenvError):
    """A sandbox cannot be described or made. `path` is the path inside that is concerned, "" where none is."""

    def __init__(self, message: str, *, hint: str | None = None, path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path
