"""`devenv run` when the last start of the same kind ended well: a few stat calls, then the program.

Imports little, as this is on the way of programs that are started many times a day. Whatever it does not understand it
leaves to the full command.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devenv.foreign.starts import Entered, Start
    from devenv.store.layout import Layout

_SILENT = ("-y", "--yes", "-q", "--quiet")  # they matter only for what is asked and told on the way


class Line:
    """A command line of `devenv run` in its simple forms."""

    __slots__ = ("base", "file", "packages", "patched", "root", "words")

    def __init__(self) -> None:
        self.base: str | None = None
        self.packages: list[str] = []
        self.root = self.patched = False
        self.file = ""
        self.words: list[str] = []


def read_line(arguments: Sequence[str]) -> Line | None:
    """The command line, or None when it needs the real parser."""
    line = Line()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--base" and rest:
            line.base = rest.pop(0)
        elif word == "--package" and rest:
            line.packages.append(rest.pop(0))
        elif word in ("--root", "--patched"):
            setattr(line, word[2:], True)
        elif not word.startswith("-"):
            line.file, line.words = word, rest
            return line if word else None
        elif word not in _SILENT:
            return None
    return None


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Become the program when everything is as at its last start, else return. Raises DevenvError if that fails."""
    line = read_line(arguments)
    if line is None:
        return
    from devenv.cli.warm import find_project

    project = find_project(".") if line.base is None else None
    from devenv.debian.default import default_base
    from devenv.foreign import starts
    from devenv.store.last_use import mark_program_used
    from devenv.store.layout import Layout

    layout = Layout.find(None, environ)
    directory = f"{layout.root}/state/foreign"
    base = default_base(line.base) if project is None else starts.base_of_project(project)
    asked = starts.request(line.file, base, line.packages, root=line.root, patched=line.patched)
    start = starts.current(directory, asked)
    if start is None:
        return
    for word in start.argv:
        mark_program_used(layout.cache, word)
    if start.entered is None:
        _become([*start.argv, *line.words], environ)
    elif _as_it_was(start.entered, layout, environ):
        try:
            _enter(start, start.entered, line.words, environ)
        finally:  # it did not become the program
            starts.forget(directory, asked)


def _become(argv: list[str], environ: Mapping[str, str]) -> None:
    """Return if that fails: the full command knows why."""
    try:
        os.execve(argv[0], argv, dict(environ))  # noqa: S606
    except OSError:
        return


def _as_it_was(entered: Entered, layout: Layout, environ: Mapping[str, str]) -> bool:
    from devenv.foreign import drivers
    from devenv.roots import remembered_by

    if drivers.SOFTWARE in environ:
        return False
    same = drivers.describe(drivers.graphics()) == entered.graphics
    return same and remembered_by(layout, entered.link) == entered.root


def _enter(start: Start, entered: Entered, words: list[str], environ: Mapping[str, str]) -> None:
    from devenv.foreign.environ import variables
    from devenv.foreign.launching import Launch, become

    become(
        Launch(
            root=entered.root,
            state=entered.state,
            argv=(*start.argv, *words),
            environ={**variables(entered.root, environ), **entered.environ},
            binds=tuple((source, target, False) for source, target in entered.binds),
        )
    )
