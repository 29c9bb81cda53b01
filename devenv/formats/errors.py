"""The errors of the format modules: bytes or text that are not what their format allows."""

from __future__ import annotations

from devenv.errors import DevenvError


class FormatError(DevenvError):
    """Some input is not valid in its format.

    `offset`: where, in bytes from the beginning of the input, where one place is to blame.
    """

    def __init__(self, message: str, *, offset: int | None = None, hint: str | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})", hint=hint)
        self.offset = offset


class StorePathError(FormatError):
    """A text is no store path of the store in question, or a name cannot be part of one. `text` is it."""

    def __init__(self, message: str, *, text: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.text = text
