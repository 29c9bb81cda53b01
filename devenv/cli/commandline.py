"""What can follow `devenv` on a command line, as data: verbs, verbs below them, options and choices."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from devenv.cli.dispatch import verb_parser
from devenv.cli.verbs import VERBS


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word that may be typed. `about`: what it means, in a line; `valued`: whether an option takes the next word."""

    text: str
    about: str = ""
    valued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Behind these verbs, of which there are none, one or two, the `words` fit that are no options, and the `options`."""

    verbs: tuple[str, ...]
    words: tuple[Word, ...] = ()
    options: tuple[Word, ...] = ()


def places() -> Iterator[Place]:
    """Every place of the command line."""
    help_options = (
        Word(text="--help", about="show the overview"),
        Word(text="--version", about="show the version"),
    )
    verbs = tuple(Word(text=entry.name, about=entry.summary) for entry in VERBS)
    yield Place(verbs=(), words=verbs, options=help_options)
    for entry in VERBS:
        if entry.reads_own_arguments:
            module = importlib.import_module(f"devenv.cli.commands.{entry.module}")
            parser = argparse.ArgumentParser(prog=f"devenv {entry.name}", add_help=False)
            module.add_arguments(parser)
        else:
            parser = verb_parser(entry)
        yield from _of_parser(parser, (entry.name,))


def _of_parser(parser: argparse.ArgumentParser, verbs: tuple[str, ...]) -> Iterator[Place]:
    words: list[Word] = []
    options: list[Word] = []
    below: list[tuple[argparse.ArgumentParser, str]] = []
    for action in parser._actions:  # argparse shows them nowhere else
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}
            words += [Word(text=name, about=_line(about.get(name, ""))) for name in action.choices]
            below += [(each, name) for name, each in action.choices.items()]
        elif action.option_strings:
            valued = action.nargs != 0
            line = _line(_help(action))
            options += [Word(text=text, about=line, valued=valued) for text in action.option_strings]
        elif action.choices is not None:
            words += [Word(text=str(choice)) for choice in action.choices]
    yield Place(verbs=verbs, words=tuple(words), options=tuple(options))
    for each, name in below:
        yield from _of_parser(each, (*verbs, name))


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _line(text: str) -> str:
    return " ".join(text.split())
