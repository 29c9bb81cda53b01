"""What goes wrong while derivations are made and realised."""

from __future__ import annotations

from devenv.errors import DevenvError


class BuildError(DevenvError):
    """A derivation cannot be made or built. `package` is what people call it ("left-pad@1.3.0")."""

    def __init__(self, message: str, *, package: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.package = package


class ArchiveError(DevenvError):
    """An archive holds what must not be unpacked.

    `finding` continues a sentence whose subject is `member` ("package/../x" ... "leaves the package") or,
    without a member, the archive. Who knows the package and the archive's name makes a BuildError of it.
    """

    def __init__(self, finding: str, *, member: str | bytes | None = None) -> None:
        self.finding = finding
        self.member = member.decode("utf-8", "backslashreplace") if isinstance(member, bytes) else member
        super().__init__(f"member {shown(self.member)} {finding}" if self.member is not None else finding)


def shown(name: str) -> str:
    """`name` in quotes on one line, safe for a terminal, shortened in the middle when it is very long."""
    text = name if len(name) <= 200 else f"{name[:120]}…{name[-60:]}"
    return repr(text.encode("utf-8", "backslashreplace").decode())
