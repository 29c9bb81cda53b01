"""A spec lowered to steps: what is done to the environment, one thing at a time, in order.

Shells render steps, `devenv.env.apply` performs them. A step's value is a sequence of pieces: literal text, and
the two places that are known only when the environment is applied. The flat text form of the steps that
concern variables (`dump`, read by `devenv.env.apply`) is a file of the spec object, because reading JSON costs
more than all the rest of entering:

    steps  = { line }
    line   = kind TAB name TAB separator TAB value LF
    kind   = "set" | "unset" | "default" | "prepend" | "append"
    value  = text in which "\\\\" is a backslash, "\\t" TAB, "\\n" LF, "\\p" the project, "\\s" the spec object
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from devenv.env.spec import (
    PROJECT_MARK,
    PROJECT_VARIABLE,
    Append,
    Default,
    Operation,
    Prepend,
    Set,
    Spec,
    Unset,
)


@dataclass(frozen=True, slots=True)
class Place:
    """A directory known only when the environment is applied. `variable` is its name in rendered shell code."""

    variable: str
    escape: str


PROJECT: Final = Place("__devenv_project", "\\p")
SPEC: Final = Place("__devenv_spec", "\\s")

Text = tuple[str | Place, ...]
Kind = Literal["set", "unset", "default", "prepend", "append"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one variable. `separator` is empty except for list entries."""

    kind: Kind
    name: str
    value: Text = ()
    separator: str = ""


def lower(spec: Spec) -> tuple[Step, ...]:
    """The steps of an environment. The spec object's own bin/, if it has scripts, is the first entry of PATH, and its share/,
    if it has completions, that of XDG_DATA_DIRS."""
    steps = [Step(kind="set", name=PROJECT_VARIABLE, value=(PROJECT,))]
    for name, operations in sorted(spec.variables.items()):
        for operation in sorted(operations, key=_is_list):
            steps.extend(_steps(name, operation))
    if spec.scripts:
        steps.append(Step(kind="prepend", name="PATH", value=(SPEC, "/bin"), separator=":"))
    if spec.completions:
        # Where it does not exist, this is what it stands for. (XDG Base Directory Specification)
        steps.append(Step(kind="default", name="XDG_DATA_DIRS", value=("/usr/local/share:/usr/share",)))
        steps.append(Step(kind="prepend", name="XDG_DATA_DIRS", value=(SPEC, "/share"), separator=":"))
    return tuple(steps)


def uses_spec(steps: Iterable[Step]) -> bool:
    """Whether the steps can be done only by one who knows where the spec object is."""
    return any(SPEC in step.value for step in steps)


def spec_id(spec: Spec) -> str:
    """A name for the spec that is fit for shell code: equal specs have equal ones."""
    return hashlib.sha256(spec.to_json().encode()).hexdigest()[:20]


def pieces(text: str) -> Text:
    """Split at `${project}`; `$${project}` is the mark itself, as text."""
    found: list[str | Place] = []
    literal = ""
    first, *rest = text.split(PROJECT_MARK)
    literal = first
    for part in rest:
        if literal.endswith("$"):
            literal = literal[:-1] + PROJECT_MARK + part
            continue
        if literal:
            found.append(literal)
        found.append(PROJECT)
        literal = part
    if literal:
        found.append(literal)
    return tuple(found)


def entry_pieces(entry: str) -> Text:
    """The same for an entry of a list, where paths that begin with a dot belong to the project."""
    if entry == "." or entry.startswith("./"):
        return (PROJECT, *pieces(entry[1:]))
    if entry == ".." or entry.startswith("../"):
        return (PROJECT, *pieces("/" + entry))
    return pieces(entry)


def dump(steps: Iterable[Step]) -> str:
    """The flat text form."""
    return "".join(
        f"{step.kind}\t{step.name}\t{_escape((step.separator,))}\t{_escape(step.value)}\n" for step in steps
    )


def _escape(text: Text) -> str:
    return "".join(
        piece.escape
        if isinstance(piece, Place)
        else piece.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        for piece in text
    )


def _is_list(operation: Operation) -> bool:
    return isinstance(operation, Prepend | Append)


def _steps(name: str, operation: Operation) -> Iterator[Step]:
    match operation:
        case Set():
            yield Step(kind="set", name=name, value=pieces(operation.value))
        case Default():
            yield Step(kind="default", name=name, value=pieces(operation.value))
        case Unset():
            yield Step(kind="unset", name=name)
        case Prepend():
            for entry in reversed(operation.entries):
                value = entry_pieces(entry)
                yield Step(kind="prepend", name=name, value=value, separator=operation.separator)
        case Append():
            for entry in operation.entries:
                value = entry_pieces(entry)
                yield Step(kind="append", name=name, value=value, separator=operation.separator)
