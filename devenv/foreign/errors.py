"""What can be wrong with a foreign program, or with what is asked of it."""

from __future__ import annotations

from devenv.errors import DevenvError


class ForeignError(DevenvError):
    """`path` is the file, `found` what is the matter with it, without the path."""

    def __init__(self, path: str, found: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {found}", hint=hint)
        self.path = path
        self.found = found
