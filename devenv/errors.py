"""The errors that devenv expects: the user's input, the world, never a bug in devenv itself."""

from __future__ import annotations

from collections.abc import Iterable


class DevenvError(Exception):
    """Something failed for a reason outside devenv's code.

    `message` says what was being done, to what, and what was found. `hint` says what to do next.
    Subclasses keep their facts as fields. The command line prints both and exits with status 1.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class Problems(DevenvError):
    """Several independent errors, reported together so that all can be fixed at once."""

    def __init__(self, problems: Iterable[DevenvError], *, summary: str | None = None) -> None:
        self.problems = tuple(problems)
        self.summary = summary
        head = [summary] if summary else []
        super().__init__("\n".join([*head, *(str(problem) for problem in self.problems)]))


def raise_problems(problems: Iterable[DevenvError], *, summary: str | None = None) -> None:
    """Raise nothing for no problem, the problem itself for one, `Problems` for several."""
    found = tuple(problems)
    if len(found) == 1 and summary is None:
        raise found[0]
    if found:
        raise Problems(found, summary=summary)
