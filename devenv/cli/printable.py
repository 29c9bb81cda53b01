"""Text of others for a terminal."""

from __future__ import annotations

from collections.abc import Iterable


def printable(text: str) -> str:
    """The text in one line without anything that a terminal would obey: escape sequences, directions of writing."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " if letter == "\t" else "?" for letter in text)


def printable_lines(lines: Iterable[str]) -> str:
    """Lines, each as `printable` has it and ended."""
    return "".join(f"{printable(line)}\n" for line in lines)
