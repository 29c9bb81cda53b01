"""The programs in an environment's bin directory: shebang lines, console scripts, entry points.

Sources: entry points specification (packaging.python.org), execve(2) for shebang lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

# Kernels before 5.1 cut the line after 127 bytes, "#!" and the line's end included.
_LONGEST_SHEBANG = 127
# What is taken as it is in a shebang line, in double quotes of a shell, and in a Python string.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=@%:, ~")

_SCRIPT = """\
import sys
from {module} import {first}

if __name__ == "__main__":
    sys.exit({attribute}())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """A program that calls `attribute` ("main", "cli.main") of `module`."""

    name: str
    module: str
    attribute: str


def shebang(interpreter: str) -> bytes:
    """The first lines of a Python script in the same directory as `interpreter`, an absolute path.

    Where a path is too long for the kernel, or has blanks, /bin/sh starts it: the shell sees an exec,
    Python a string. Where it has characters that either could misread, the script looks beside itself.
    """
    plain = _PLAIN.issuperset(interpreter)
    line = f"#!{interpreter}\n".encode("utf-8", "surrogateescape")
    if plain and " " not in interpreter and len(line) <= _LONGEST_SHEBANG:
        return line
    program = interpreter if plain else f"${{0%/*}}/{os.path.basename(interpreter)}"
    return f"""#!/bin/sh\n'''exec' "{program}" "$0" "$@"\n' '''\n""".encode()


def console_script(entry: EntryPoint, interpreter: str) -> bytes:
    """A script that runs an entry point. It imports nothing but what it calls."""
    first = entry.attribute.partition(".")[0]
    text = _SCRIPT.format(module=entry.module, first=first, attribute=entry.attribute)
    return shebang(interpreter) + text.encode()


def with_interpreter(script: bytes, interpreter: str) -> bytes | None:
    """A wheel's script whose first line is "#!python", made to run here; None for any other file."""
    first, newline, rest = script.partition(b"\n")
    if not first.startswith(b"#!python"):
        return None
    return shebang(interpreter) + (rest if newline else b"")


def parse_sections(text: str) -> Iterator[tuple[str, str, str]]:
    """The (section, name, value) of each line of an entry_points.txt."""
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            continue
        name, mark, value = line.partition("=")
        if mark:
            yield section, name.strip(), value.strip()


def parse_entry_point(name: str, value: str) -> EntryPoint:
    """A script's entry point. Raises ValueError for names and references that nothing can be made of."""
    if name in ("", ".", "..") or "/" in name or not name.isprintable():
        raise ValueError(f"{name!r} cannot be the name of a program")
    reference = value.partition("[")[0].strip()
    module, mark, attribute = (part.strip() for part in reference.partition(":"))
    parts = [*module.split("."), *attribute.split(".")]
    if not mark or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{value!r} (of {name}) is not of the form MODULE:FUNCTION")
    return EntryPoint(name=name, module=module, attribute=attribute)
