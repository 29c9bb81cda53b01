"""Quoting for shells of the POSIX family."""

from __future__ import annotations

from collections.abc import Container

from devenv.shell import ShellError


def quote(text: str) -> str:
    """Single quotes keep everything; a single quote itself stands outside of them, behind a backslash.

    POSIX.1-2024, Shell Command Language, 2.2.2. Two quotes never meet inside a word, because zsh with RC_QUOTES
    would read them as one.
    """
    if "\0" in text:
        raise ShellError("no shell can hold the NUL character")
    return "\\'".join(f"'{part}'" if part else "" for part in text.split("'")) or "''"


def alias_command(words: tuple[str, ...], _aliases: Container[str]) -> str:
    """An alias's text: quoted words with blanks between, so that no alias or expansion applies in turn."""
    return " ".join(quote(word) for word in words)
