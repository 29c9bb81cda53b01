"""What a shell renderer is, and what all renderers share. The only door for `devenv.shells`."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from devenv.env.launch import Launch
from devenv.env.object import RenderError
from devenv.env.spec import Spec
from devenv.env.steps import SPEC, Place, Step, Text, lower

__all__ = [
    "HookSettings",
    "Launch",
    "Shell",
    "ShellError",
    "check_variables",
    "completion_words",
    "function_words",
    "prompt_label",
    "step_words",
    "template",
    "template_directory",
    "word",
]


class ShellError(RenderError):
    """A shell cannot hold a text that the environment needs. The message names variable and shell."""


def check_variables(spec: Spec, check: Callable[[str], None]) -> None:
    """Call `check` with each text of the variables. The ShellError that it raises gets the variable's name before it."""
    for step in lower(spec):
        try:
            for piece in (step.separator, *step.value):
                if not isinstance(piece, Place):
                    check(piece)
        except ShellError as error:
            raise ShellError(f"variable {step.name}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """What a shell's hook has to know. `program` is devenv's own command, `tree` the directory of `hook_index`.

    wrap_cd: whether cd itself should react, in shells that have no event for it
    """

    program: tuple[str, ...]
    tree: str
    wrap_cd: bool = False


class Shell(Protocol):
    """One shell. Renderers are modules: these are module-level functions, and all but `quote` are pure text."""

    def quote(self, text: str) -> str:
        """One word of the shell's code that stands for exactly this text. Raises ShellError if none can."""
        ...

    def activate(self, spec: Spec) -> str:
        """Code to be sourced: enters the environment, and defines `devenv_leave`."""
        ...

    def deactivate(self, spec: Spec) -> str:
        """Code to be sourced: leaves this environment, does nothing where it is not entered."""
        ...

    def refuse(self, message: str) -> str:
        """Code to be sourced in place of `activate`: shows one line of printable ASCII on standard error."""
        ...

    def files(self, spec: Spec) -> Mapping[str, str]:
        """Further files of the spec object, name to text: those that `interactive` and `command` start with."""
        ...

    def interactive(self) -> Launch:
        """A shell for the user, with their own settings, entered last."""
        ...

    def command(self) -> Launch:
        """The shell running one line and ending with its status."""
        ...

    def hook(self, settings: HookSettings) -> str:
        """Code for the user's own rc file: before each prompt, be in the environment of the nearest project.

        It starts no process while nothing changed, and believes only the files of `devenv.hook_index`.
        """
        ...


Quote = Callable[[str], str]


def step_words(
    spec: Spec, quote: Quote, alias_command: Callable[[tuple[str, ...], Container[str]], str]
) -> Iterator[str]:
    """The arguments of the runtime's step function, for each step: kind, name, separator, value.

    `alias_command` makes the text that the shell keeps for an alias: from its command's words, and the names of
    all aliases, none of which applies to the first word.
    """
    for step in lower(spec):
        yield f"{step.kind} {step.name} {quote(step.separator)} {_value(step, quote)}"
    for name, words in sorted(spec.aliases.items()):
        try:
            yield f"alias {name} '' {quote(alias_command(words, spec.aliases))}"
        except ShellError as error:
            raise ShellError(f"alias {name}: {error}") from error


def function_words(
    spec: Spec, quote: Quote, shells: Mapping[str, str], *, program: bool = False
) -> Iterator[str]:
    """The same for functions: the first body of one of `shells`, whose value is what goes before the body.

    program: whether an alias of the program that a function is in POSIX shell stands for one without such a body
    """
    for name, bodies in sorted(spec.functions.items()):
        own = next((shell for shell in shells if shell in bodies), None)
        try:
            if own is not None:
                # Where aliases and functions are two things, an alias of the user's would come first.
                if not program:
                    yield f"unalias {name} '' ''"
                yield f"function {name} '' {quote(shells[own] + bodies[own])}"
            elif program and "sh" in bodies:
                # Quoted twice: the text of an alias is code.
                yield f"program {name} '' {word((SPEC, f'/functions/sh/{name}'), quote)}"
        except ShellError as error:
            raise ShellError(f"function {name}: {error}") from error


def completion_words(spec: Spec, quote: Quote) -> Iterator[str]:
    """The same for the directories of data that may hold completions: what the environment adds to XDG_DATA_DIRS."""
    for step in lower(spec):
        if step.name == "XDG_DATA_DIRS" and step.kind in ("prepend", "append"):
            yield f"{word(step.value, quote)}"


def _value(step: Step, quote: Quote) -> str:
    try:
        return word(step.value, quote)
    except ShellError as error:
        raise ShellError(f"variable {step.name}: {error}") from error


def word(text: Text, quote: Quote) -> str:
    """One word of code; places are read from variables of the same name in every shell."""
    if not text:
        return quote("")
    return "".join(f'"${piece.variable}"' if isinstance(piece, Place) else quote(piece) for piece in text)


def prompt_label(spec: Spec) -> str:
    """What stands before the prompt: the name, without what a prompt would expand in some shell."""
    kept = "".join(letter if letter.isalnum() or letter in " ._+-@:/" else "_" for letter in spec.name)
    return f"({kept}) "


def template(name: str) -> str:
    """The text of a constant file in shells/templates."""
    with open(os.path.join(template_directory(), name), encoding="utf-8") as file:
        return file.read()


def template_directory() -> str:
    """Where the constant files are, links resolved."""
    return os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "shells", "templates"))
