"""What can go wrong on the network and with the settings that say where to ask."""

from __future__ import annotations

from devenv.errors import DevenvError


class FetchError(DevenvError):
    """A request or a download failed. `url` carries no credentials."""

    def __init__(self, message: str, *, hint: str | None = None, url: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.url = url


class EndpointError(FetchError):
    """The settings that name registries, or a URL made with them, cannot be used."""


class StatusError(FetchError):
    """The server answered with an error status."""

    def __init__(self, message: str, *, status: int, url: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, url=url)
        self.status = status


class TransientError(FetchError):
    """A failure that a later attempt may not meet. `delay`: seconds that the server asked to wait."""

    def __init__(self, message: str, *, url: str, delay: float | None = None) -> None:
        super().__init__(message, url=url)
        self.delay = delay


class MismatchError(FetchError):
    """A file is not the one that the lockfile names."""

    def __init__(self, message: str, *, url: str, expected: str, found: str) -> None:
        hint = (
            "Either the file was changed after the lockfile was written, or something between here and "
            "the server alters it. Do not accept the new hash without knowing why."
        )
        super().__init__(message, hint=hint, url=url)
        self.expected = expected
        self.found = found


class CancelledError(FetchError):
    """The work was stopped because the user or another failure asked for it."""
