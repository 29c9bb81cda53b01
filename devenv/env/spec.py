"""The environment spec: what an environment is, as data, for every shell alike.

A spec is pure and names no project directory. Two things in it are completed when the environment is applied:
the mark `${project}` in any value or entry, and entries of `Prepend` and `Append` that are `.`, `..` or begin
with `./` or `../`. Both stand for places in the project whose environment it is. `docs/environment-spec.md`
describes the file format, `env.schema.json` beside this module checks it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from devenv.errors import DevenvError, raise_problems

PROJECT_MARK = "${project}"
# Whose languages a function's body can be in; a body "sh" is POSIX shell code.
FUNCTION_SHELLS = ("sh", "bash", "zsh", "fish", "xonsh", "pwsh", "nu", "elvish", "tcsh")
WORD_MARKS = "-_.:/+@%,"  # what a word of a completion may hold besides letters and digits
PROJECT_VARIABLE = "DEVENV_PROJECT"  # every environment sets it to the project's directory
_OWN_PREFIX = "__devenv"  # what the rendered shell code keeps its state in


class SpecError(DevenvError):
    """A spec that means nothing, or not one thing. The message names the variable and its origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """The variable has exactly this value."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unset:
    """The variable does not exist."""

    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """The variable has this value where the user has not set one, not even an empty one."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepend:
    """The variable is a list, and these entries stand before whatever else it holds, in this order."""

    entries: tuple[str, ...]
    origin: str
    separator: str = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """The variable is a list, and these entries stand after whatever else it holds, in this order."""

    entries: tuple[str, ...]
    origin: str
    separator: str = ":"


Operation = Set | Unset | Default | Prepend | Append


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRef:
    """A view that the environment uses: its kind, where it goes (relative to the project), its recipe's path."""

    kind: str
    root: str
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRef:
    """A package that the environment names: `path` is its store path."""

    name: str
    version: str
    path: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """An environment. Of a variable's operations at most one is a set, unset or default, and it comes first
    whatever its place; prepends and appends follow in their order, so the last prepend is found first.

    `aliases` maps a name to a command's words, `scripts` a program's name to POSIX shell text, `functions` a
    name to its body by shell, as FUNCTION_SHELLS has them, `completions` a command to words that may follow it. `root` is the recipe, a store path, of the FHS root that it is entered in; None for that of the machine. `origins` says where other parts were
    declared, by "aliases.NAME", "functions.NAME" and "scripts.NAME": "devenv.toml:12". `parameters` are the values that it was made with,
    `profiles` the names of those that were chosen.
    Raises SpecError, or Problems with several.
    """

    name: str
    variables: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    completions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: tuple[ViewRef, ...] = ()
    packages: tuple[PackageRef, ...] = ()
    root: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | int | bool] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        raise_problems(SpecError(text) for text in _problems(self))

    def to_json(self) -> str:
        """The text of env.json: canonical, so equal specs have equal bytes."""
        from devenv.env.spec_json import dump

        return dump(self)

    @staticmethod
    def from_json(text: str) -> Spec:
        """Read env.json. Raises SpecError for anything else."""
        from devenv.env.spec_json import load

        return load(text)


def conflict(name: str, operations: tuple[Operation, ...]) -> str | None:
    """Why these operations on the variable `name` cannot all hold; the sentence names both origins."""
    settled = [entry for entry in operations if isinstance(entry, Set | Unset | Default)]
    for first, second in itertools.pairwise(settled):
        return f"{name} is {_describe(first)} by {first.origin} and {_describe(second)} by {second.origin}"
    lists = [entry for entry in operations if isinstance(entry, Prepend | Append)]
    for first_list, second_list in itertools.pairwise(lists):
        if first_list.separator != second_list.separator:
            return (
                f"{name} is a list separated by {first_list.separator!r} for {first_list.origin} "
                f"and by {second_list.separator!r} for {second_list.origin}"
            )
    return None


def _describe(operation: Set | Unset | Default) -> str:
    if isinstance(operation, Unset):
        return "unset"
    shown = operation.value if len(operation.value) <= 60 else operation.value[:57] + "..."
    return f"{'set' if isinstance(operation, Set) else 'given the default'} {shown!r}"


def _problems(spec: Spec) -> Iterator[str]:
    if not spec.name or not spec.name.isprintable():
        yield f"the environment's name must be printable text on one line, not {spec.name!r}"
    for name, operations in spec.variables.items():
        yield from _variable_problems(name, operations)
    for name, words in spec.aliases.items():
        if not _is_command(name):
            yield f"alias {name!r}: the name must be of letters, digits, '_', '.', '+' and '-', as a program's"
        if not words or not words[0]:
            yield f"alias {name!r}: its command is empty"
        if any("\0" in word for word in words):
            yield f"alias {name!r}: no shell can hold the NUL character in its command"
    for name, text in spec.scripts.items():
        if not _is_command(name):
            yield f"script {name!r}: the name must be of letters, digits, '_', '.', '+' and '-', as a program's"
        if "\0" in text:
            yield f"script {name!r}: no shell can hold the NUL character in its text"
    for name, bodies in spec.functions.items():
        yield from _function_problems(name, bodies)
    for name, words in spec.completions.items():
        if not _is_command(name):
            yield f"completions of {name!r}: the name must be of letters, digits, '_', '.', '+' and '-', as a program's"
        for word in words:
            if not is_plain_word(word):
                yield f"completions of {name!r}: {word!r} is no word of letters, digits and {WORD_MARKS}"
    for view in spec.views:
        if view.root.startswith("/") or ".." in view.root.split("/") or "\0" in view.root:
            yield f"view {view.kind}: its place must be inside the project, not {view.root!r}"


def _function_problems(name: str, bodies: Mapping[str, str]) -> Iterator[str]:
    if not _is_name(name):
        yield f"function {name!r}: the name must be of ASCII letters, digits and '_'"
    elif name.lower().startswith((_OWN_PREFIX, "devenv_")):
        yield f"function {name}: devenv itself uses this name"
    if not bodies:
        yield f"function {name!r}: it has no body for any shell"
    for shell, text in bodies.items():
        if shell not in FUNCTION_SHELLS:
            yield f"function {name!r}: {shell!r} is none of {', '.join(FUNCTION_SHELLS)}"
        if "\0" in text:
            yield f"function {name!r}: no shell can hold the NUL character in its body for {shell}"


def is_plain_word(text: str) -> bool:
    """Whether the text means itself in every shell, unquoted, wherever it stands in a list of words."""
    return bool(text) and text.isascii() and all(letter.isalnum() or letter in WORD_MARKS for letter in text)


def _is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def _variable_problems(name: str, operations: tuple[Operation, ...]) -> Iterator[str]:
    origin = f" ({operations[0].origin})" if operations else ""
    if not _is_name(name):
        yield f"variable {name!r}{origin}: the name must be of ASCII letters, digits and '_'"
    elif name.lower().startswith(_OWN_PREFIX) or name == PROJECT_VARIABLE:
        yield f"variable {name}{origin}: devenv itself uses this name"
    if not operations:
        yield f"variable {name}: nothing is to be done with it"
    found = conflict(name, operations)
    if found:
        yield found
    for operation in operations:
        for text in _texts(operation):
            if "\0" in text:
                yield f"variable {name} ({operation.origin}): no variable can hold the NUL character"
        if isinstance(operation, Prepend | Append):
            if not operation.separator:
                yield f"variable {name} ({operation.origin}): a list needs a separator"
            if "" in operation.entries or not operation.entries:
                # An empty entry of PATH is the current directory, wherever that is.
                yield f"variable {name} ({operation.origin}): an entry of a list must not be empty"


def _texts(operation: Operation) -> tuple[str, ...]:
    if isinstance(operation, Prepend | Append):
        return (*operation.entries, operation.separator)
    return () if isinstance(operation, Unset) else (operation.value,)


def _is_command(name: str) -> bool:
    """Whether the name can be an alias in every shell and a file in bin/."""
    first, rest = name[:1].replace("_", "a"), name[1:]
    for mark in "_.+-":
        rest = rest.replace(mark, "a")
    return (first + rest).isascii() and first.isalnum() and (rest.isalnum() or not rest)
