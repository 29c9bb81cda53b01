"""What can go wrong between an archive and a set of packages."""

from __future__ import annotations

from devenv.errors import DevenvError


class DebianError(DevenvError):
    """A base, an archive or a package of one cannot be used."""


class ArchiveError(DebianError):
    """No mirror has a usable edition of a suite or an index. `archive` and `suite` say which."""

    def __init__(self, message: str, *, archive: str, suite: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.archive = archive
        self.suite = suite


class MissingSuite(ArchiveError):
    """Every mirror of an archive says that it has no such suite."""


class UnknownPackage(DebianError):
    """A base has no package of a name. `suggestions` are names that it has."""

    def __init__(self, message: str, *, name: str, suggestions: tuple[str, ...] = ()) -> None:
        hint = (
            f"did you mean {' or '.join(suggestions)}?"
            if suggestions
            else "`devenv search` looks for packages"
        )
        super().__init__(message, hint=hint)
        self.name = name
        self.suggestions = suggestions


class Unsolvable(DebianError):
    """Packages that cannot be had together. `chain` leads from what was asked for to what fails."""

    def __init__(self, message: str, *, chain: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__("\n  ".join([message, *chain]), hint=hint)
        self.chain = chain
