"""An environment's parts in a few words, and with their places filled in."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.env.spec import Append, Default, Operation, Prepend, Set, Spec
from devenv.env.steps import PROJECT, Text, entry_pieces, pieces


def operation_text(operation: Operation) -> str:
    """What is done to a variable, without its name: "= 'red'", "./bin in front"."""
    if isinstance(operation, Prepend):
        return f"{operation.separator.join(operation.entries)} in front"
    if isinstance(operation, Append):
        return f"{operation.separator.join(operation.entries)} behind"
    if isinstance(operation, Set):
        return f"= {operation.value!r}"
    return f"= {operation.value!r} unless set" if isinstance(operation, Default) else "is unset"


def operations(spec: Spec, place: str) -> dict[str, tuple[Operation, ...]]:
    """All that is done to variables, the directory of scripts on PATH included. `place`: of the spec object, "" for none."""
    found = dict(spec.variables)
    if spec.scripts and place:
        scripts = Prepend(entries=(f"{place}/bin",), origin="the scripts of the project")
        found["PATH"] = (*found.get("PATH", ()), scripts)
    return found


def value_at(value: str, project: str) -> str:
    """A value as it is in a project at this directory."""
    return _filled(pieces(value), project)


def entries_at(operation: Prepend | Append, project: str) -> Iterator[str]:
    """The entries of a list, as they are in a project at this directory."""
    for entry in operation.entries:
        yield _filled(entry_pieces(entry), project)


def _filled(text: Text, project: str) -> str:
    return "".join(project if piece is PROJECT else str(piece) for piece in text)
