"""The name of a Python project, by the files in its directory: what a path in a requirements file does not say."""

from __future__ import annotations

import ast
import configparser
import tomllib
from collections.abc import Callable

MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py")


def project_name(text_of: Callable[[str], str]) -> str:
    """The name that [project], [tool.poetry], setup.cfg or the call of setup() says; "" where only a program knows it.

    text_of: the text of one of `MANIFESTS`, "" where there is none
    """
    return (
        _of_toml(text_of("pyproject.toml")) or _of_cfg(text_of("setup.cfg")) or _of_setup(text_of("setup.py"))
    )


def _of_toml(text: str) -> str:
    try:
        top = tomllib.loads(text)
    except (ValueError, RecursionError):
        return ""
    tool = top.get("tool")
    for table in (top.get("project"), tool.get("poetry") if isinstance(tool, dict) else None):
        name = table.get("name") if isinstance(table, dict) else None
        if isinstance(name, str) and name:
            return name
    return ""


def _of_cfg(text: str) -> str:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
        return parser.get("metadata", "name", fallback="").strip()
    except (configparser.Error, ValueError):
        return ""


def _of_setup(text: str) -> str:
    try:
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for call in calls:
        if (
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        ) != "setup":
            continue
        for keyword in call.keywords:
            value = keyword.value
            if keyword.arg == "name" and isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value
    return ""
