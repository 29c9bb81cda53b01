"""Quoting for shells of the POSIX family."""

from __future__ import annotations

from collections.abc import Container

from devenv.shell import ShellError


def quote(text: str) -> str:
    """Single quotes keep everything; a single quote itself stands outside of them, behind a backslash.

    POSIX.1-2024, Shell Command Language, 2.2.2. A newline stands in `$'...'` (2.2.4), because zsh with
    CSH_JUNKIE_QUOTES refuses one in single quotes. Two quotes never meet inside a word, for zsh with RC_QUOTES
    would read them as one.
    """
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    lines = (_quote_line(line) for line in text.split("\n"))
    return "$'\\n'".join(lines) if "\n" in text else _quote_line(text) or "''"


def _quote_line(line: str) -> str:
    """ "it's" -> 'it'"\\'"'s' ; nothing for nothing."""
    return "\\'".join(f"'{part}'" if part else "" for part in line.split("'"))


def alias_command(words: tuple[str, ...], _aliases: Container[str]) -> str:
    """An alias's text: quoted words with blanks between, so that no alias or expansion applies in turn."""
    return " ".join(quote(word) for word in words)
