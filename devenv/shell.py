"""What a shell renderer is, and what all renderers share. The only door for `devenv.shells`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from devenv.env.spec import Spec
from devenv.env.steps import Place, Step, Text, lower
from devenv.errors import DevenvError


class ShellError(DevenvError):
    """A shell cannot hold a text that the environment needs. The message names variable and shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a shell is started in an environment, as data, so that starting it needs no renderer.

    When it starts, `__devenv_spec` and `__devenv_project` are in its environment, `__devenv_pure` too where
    the user's own files must not be read, and `__devenv_line` where a command line is to be run; what they
    start must remove them. `arguments` follow the program's name, after `pure_arguments` in the pure case.
    Variables in `keep` are handed over as `__devenv_kept_NAME` before `environment` is set. In all texts
    `{spec}` stands for the spec object, `{line}` for the command line.
    """

    arguments: tuple[str, ...]
    pure_arguments: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


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

    def files(self, spec: Spec) -> Mapping[str, str]:
        """Further files of the spec object, name to text: those that `interactive` and `command` start with."""
        ...

    def interactive(self) -> Launch:
        """A shell for the user, with their own settings, entered last."""
        ...

    def command(self) -> Launch:
        """The shell running one line and ending with its status."""
        ...


Quote = Callable[[str], str]


def step_words(spec: Spec, quote: Quote, alias_value: Callable[[tuple[str, ...]], str]) -> Iterator[str]:
    """The arguments of the runtime's step function, a line for each step: kind, name, separator, value."""
    for step in lower(spec):
        yield f"{step.kind} {quote(step.name)} {quote(step.separator)} {_value(step, quote)}"
    for name, words in sorted(spec.aliases.items()):
        try:
            yield f"alias {quote(name)} '' {quote(alias_value(words))}"
        except ShellError as error:
            raise ShellError(f"alias {name}: {error}") from error


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
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shells", "templates", name)
    with open(place, encoding="utf-8") as file:
        return file.read()
