"""What can be wrong with an ELF file, or with what is asked of it."""

from __future__ import annotations

from devenv.errors import DevenvError


class ElfError(DevenvError):
    """`path` is the file, `found` what is the matter with it, without the path."""

    def __init__(self, path: str, found: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {found}", hint=hint)
        self.path = path
        self.found = found


class NotElf(ElfError):
    """The file is something else."""


class DamagedElf(ElfError):
    """The file says it is ELF, and then contradicts itself or ends too early."""


class UnsupportedElf(ElfError):
    """A correct file that cannot be edited as asked."""
