"""Paths inside a project, as devenv.toml and devenv.lock write them."""

from __future__ import annotations


def normal_path(text: str) -> str:
    """`text` without "./" and doubled slashes: "web/package-lock.json", or "." for the project itself.

    Raises ValueError, its text fit for "PATH <text>", for a path that could leave the project.
    """
    if not text:
        raise ValueError("is empty")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("holds a control character")
    if text.startswith(("/", "~/")) or text == "~":
        raise ValueError("must be relative to the project")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("must not hold `..`: it lies inside the project")
    return "/".join(parts) or "."


def is_normal_path(text: str) -> bool:
    """Is `text` the path of a file inside the project, written as `normal_path` writes it?"""
    try:
        return text != "." and normal_path(text) == text
    except ValueError:
        return False
