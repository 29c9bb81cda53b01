"""Operations of a view written down for other checkouts: what depends on where the project lies is left open.

A text is a list of pieces, each a string as it is, or what stands for something of the checkout: `PROJECT` for the directory of
the project, `NAME` for the last part of that, `[DEST]` for the hash and size of the file at DEST, as a RECORD has them. Only
paths below the project's `.devenv` are left open; a text that names the project in another way is nobody else's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from devenv.views.operations import File, Op, Symlink, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Piece = str | int | list[str]
    Text = list[Piece]

PROJECT, NAME = 0, 1

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+")
_LONGEST = (
    80  # bytes; of programs below a longer path the first line of a script may not name the interpreter
)
_CONFIGURATION = "pyvenv.cfg"  # the only file with the name of the project in it


def is_portable(project: str) -> bool:
    """Whether the path of a project goes into scripts as it is, whatever shell or kernel reads them."""
    return _PLAIN.issuperset(project) and len(project) <= _LONGEST and os.path.basename(project) != ""


def write_down(operations: Sequence[Op], project: str) -> list[list[Any]] | None:
    """The operations as values for JSON, None where they are of this project alone."""
    if not is_portable(project):
        return None
    texts: dict[str, Text] = {}
    for op in operations:
        if not isinstance(op, Tree):
            text = _left_open(op, project)
            if text is None:
                return None
            texts[op.dest] = text
    for op in operations:
        if isinstance(op, File) and len(texts[op.dest]) > 1:
            columns = _columns(op.contents)
            for dest, text in texts.items():
                texts[dest] = _cut(text, columns, [op.dest])
    rows = [_row(op, texts) for op in operations]
    return rows if [op.line for op in read_back(rows, project)] == [op.line for op in operations] else None


def _left_open(op: Symlink | File, project: str) -> Text | None:
    text = op.target if isinstance(op, Symlink) else op.contents.decode("utf-8", "surrogateescape")
    inside = f"{project}/.devenv/"
    found: Text = []
    for number, piece in enumerate(text.split(inside)):
        found += [PROJECT, f"/.devenv/{piece}"] if number else [piece]
    if any(isinstance(piece, str) and project in piece for piece in found):
        return None
    name = os.path.basename(project)
    if (
        op.dest == _CONFIGURATION
        and isinstance(found[-1], str)
        and found[-1].endswith(f"\nprompt = {name}\n")
    ):
        found[-1:] = [found[-1][: -len(name) - 1], NAME, "\n"]
    return found


def _cut(text: Text, words: str, place: Piece) -> Text:
    """`text` with `place` wherever the words were."""
    found: Text = []
    for piece in text:
        parts = piece.split(words) if isinstance(piece, str) else []
        if len(parts) < 2:
            found.append(piece)
            continue
        for number, part in enumerate(parts):
            found += [place, part] if number else [part]
    return found


def _row(op: Op, texts: Mapping[str, Text]) -> list[Any]:
    if isinstance(op, Tree):
        return ["tree", op.dest, op.source, sorted(op.skip)]
    if isinstance(op, Symlink):
        return ["link", op.dest, texts[op.dest]]
    return ["file", op.dest, texts[op.dest], op.executable, op.newest]


def _columns(contents: bytes) -> str:
    from devenv.views.wheel_tree import record_columns

    return ",".join(record_columns(contents))


def read_back(rows: Sequence[Sequence[Any]], project: str) -> list[Op]:
    """The operations for a project. Raises ValueError for values that `write_down` does not make."""
    columns: dict[str, str] = {}
    found: dict[int, Op] = {}
    # Those that need the hashes of others come last.
    for number in sorted(range(len(rows)), key=lambda number: _needs_hashes(rows[number])):
        match rows[number]:
            case ["tree", str(dest), str(source), list(skip)]:
                found[number] = Tree(source=source, dest=dest, skip=frozenset(map(str, skip)))
            case ["link", str(dest), list(text)]:
                found[number] = Symlink(dest=dest, target=filled(text, project, columns))
            case ["file", str(dest), list(text), bool(executable), bool(newest)]:
                contents = filled(text, project, columns).encode("utf-8", "surrogateescape")
                found[number] = File(dest=dest, contents=contents, executable=executable, newest=newest)
                if len(text) > 1:
                    columns[dest] = _columns(contents)
            case row:
                raise ValueError(f"no operation: {row!r:.200}")
    return [found[number] for number in range(len(rows))]


def _needs_hashes(row: Sequence[Any]) -> bool:
    return row[0] == "file" and any(isinstance(piece, list) for piece in row[2])


def filled(text: Sequence[Piece], project: str, known: Mapping[str, str]) -> str:
    """The text for a project; `known` is what stands for `[DEST]`. Raises ValueError for pieces that nothing stands for."""
    places = (project, os.path.basename(project))
    try:
        return "".join(
            piece if isinstance(piece, str) else places[piece] if isinstance(piece, int) else known[piece[0]]
            for piece in text
        )
    except (LookupError, TypeError) as error:
        raise ValueError(f"no text: {error}") from error


def write_down_key(key: str, operations: Sequence[Op], project: str) -> Text | None:
    """The key of a view, which may contain the lines of operations; here `[DEST]` stands for such a line."""
    text: Text = [key]
    for op in operations:
        if isinstance(op, File):
            text = _cut(text, op.line, [op.dest])
    return None if any(isinstance(piece, str) and project in piece for piece in text) else text
