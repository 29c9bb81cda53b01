"""The syntax of yarn.lock files: both kinds as tables.

yarn 1 writes a format of its own:

    # yarn lockfile v1
    "a@^1.0.0", a@^1.1.0:
      version "1.1.0"
      resolved "https://.../a-1.1.0.tgz#<sha1>"
      integrity sha512-...
      dependencies:
        b "^2.0.0"

Lines are indented by two blanks a level; words are in quotes, with JSON's escapes, where they hold anything special. Later
versions write YAML with `__metadata` at the top.
"""

from __future__ import annotations

import json
import re

from devenv.adapter import AdapterError
from devenv.adapters._fields import Table
from devenv.adapters._yaml import parse_yaml

_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,:"][^\s,"]*')


def parse_yarn(text: str, file: str) -> tuple[Table, bool]:
    """The entries by their keys, as they are written ("a@^1, a@^2"), and whether it is of yarn 2 or newer.

    Raises `AdapterError`.
    """
    if re.search(r"^__metadata:", text, re.MULTILINE):
        return parse_yaml(text, file), True
    return Table(_entries(text, file), file=file), False


def _entries(text: str, file: str) -> dict[str, object]:
    """Each entry with texts, and tables of texts one level deeper."""
    found: dict[str, object] = {}
    entry: dict[str, object] = {}
    inner: dict[str, object] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        words = _words(stripped, file, number)
        if depth == 0 and stripped.endswith(":") and words:
            entry = {}
            found[", ".join(words)] = entry
            inner = {}
        elif depth == 2 and found and stripped.endswith(":") and len(words) == 1:
            inner = {}
            entry[words[0]] = inner
        elif depth in (2, 4) and found and len(words) == 2:
            (entry if depth == 2 else inner)[words[0]] = words[1]
        else:
            conflict = stripped.startswith(("<<<<<<<", ">>>>>>>", "======="))
            problem = "it contains merge conflict markers" if conflict else "this is no line of a yarn.lock"
            raise AdapterError(f"{file}: line {number}: {problem}", hint="Run yarn install.", file=file)
    return found


def _words(line: str, file: str, number: int) -> list[str]:
    """The words of a line, the colon at its end left out."""
    words = []
    for match in _WORD.finditer(line):
        word = match[0]
        if word.startswith('"'):
            try:
                word = json.loads(word)
            except ValueError:
                raise AdapterError(f"{file}: line {number}: {word[:80]!r} is no text", file=file) from None
        elif match.end() == len(line):
            word = word.removesuffix(":")
        words.append(str(word))
    return words
