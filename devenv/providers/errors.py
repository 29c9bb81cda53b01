"""What toolchain providers cannot do."""

from __future__ import annotations

from devenv.errors import DevenvError


class ProviderError(DevenvError):
    """A request for a tool cannot be read, or nothing fulfils it."""

    def __init__(self, message: str, *, tool: str, request: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tool, self.request = tool, request
