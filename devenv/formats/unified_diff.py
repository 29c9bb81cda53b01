r"""Unified diffs: read strictly, applied without guessing.

The format is that of diff -u (GNU diffutils, "Detailed Description of Unified Format") with git's lines about new,
deleted, renamed and executable files (git-diff(1), "Generating patch text with -p"). Names begin with one directory that
does not count, "a/" and "b/", as `patch -p1` and `git apply` have it.

A hunk is applied where all its lines fit: at its own line, moved by what earlier hunks were moved, or else at the nearest
place. There is no fuzz: a patch that does not fit is an error, for one that nearly fits can do harm unseen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from devenv.formats.errors import FormatError

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*", re.DOTALL)
_NO_NEWLINE = b"\\"
_NOWHERE = b"/dev/null"
_BINARY = (b"GIT binary patch", b"Binary files ")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b'"': b'"', b"\\": b"\\", b"a": b"\a", b"b": b"\b"}
_ESCAPE = re.compile(rb'\\([0-7]{3}|[ntr"\\ab])')


class DiffError(FormatError):
    """A text is no unified diff, or does not fit a file. `line`: of the diff, from 1, where one is to blame."""

    def __init__(self, finding: str, *, line: int | None = None) -> None:
        super().__init__(finding if line is None else f"line {line}: {finding}")
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """A piece of change. `start`: the line in the old file, from 0; `old`, `new`: the lines, with their ends.

    `line`: where in the diff it begins, from 1.
    """

    start: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What a diff does to one file. `old`, `new`: its paths, None where it is created or deleted; they differ for a rename.

    `executable`: what it is afterwards, None for what it was. `line`: where in the diff it begins, from 1.
    """

    old: bytes | None
    new: bytes | None
    hunks: tuple[Hunk, ...]
    line: int
    executable: bool | None = None


def parse_diff(data: bytes) -> tuple[FileChange, ...]:
    """The changes of a diff, in its order; text between them, as of a mail, is passed over. Raises DiffError."""
    found = _Reader(data.split(b"\n")).changes()
    if not found:
        raise DiffError("it holds no change in unified format (diff -u, git diff)")
    return found


def apply_hunks(hunks: Sequence[Hunk], data: bytes) -> bytes:
    """The new contents of a file. Raises DiffError naming the first hunk that does not fit."""
    lines = _lines(data)
    done: list[bytes] = []
    position = moved = 0
    for hunk in hunks:
        place = _place(lines, hunk, position, hunk.start + moved)
        if place is None:
            raise DiffError("what it expects is not in the file", line=hunk.line)
        done += lines[position:place]
        done += hunk.new
        position = place + len(hunk.old)
        moved = place - hunk.start
    return b"".join((*done, *lines[position:]))


def _lines(data: bytes) -> list[bytes]:
    """Lines end with a newline and nothing else: a carriage return belongs to them."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _place(lines: Sequence[bytes], hunk: Hunk, least: int, wanted: int) -> int | None:
    """Where the old lines stand, not before `least`: as near as possible to `wanted`."""
    most = len(lines) - len(hunk.old)
    old = list(hunk.old)
    if not old:
        return min(max(wanted, least), len(lines))
    for distance in range(max(most - wanted, wanted - least) + 1):
        for place in (wanted + distance, wanted - distance) if distance else (wanted,):
            if least <= place <= most and lines[place] == old[0] and lines[place : place + len(old)] == old:
                return place
    return None


class _Reader:
    """Goes through the lines of a diff once."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._at = 0

    def changes(self) -> tuple[FileChange, ...]:
        found = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith(b"diff --git "):
                found.append(self._git())
            elif line.startswith(b"--- ") and self._next().startswith(b"+++ "):
                found.append(self._plain(self._at + 1, None, None, None))
            elif line.startswith(_BINARY):
                raise DiffError("it changes a binary file, which is not supported", line=self._at + 1)
            elif _HUNK.fullmatch(line.rstrip(b"\r")):
                raise DiffError("a hunk without the names of its file", line=self._at + 1)
            else:
                self._at += 1
        return tuple(found)

    def _next(self) -> bytes:
        return self._lines[self._at + 1] if self._at + 1 < len(self._lines) else b""

    def _git(self) -> FileChange:
        """A change with git's header; the hunks, if any, follow."""
        first = self._at + 1
        said: dict[bytes, bytes] = {}
        self._at += 1
        while self._at < len(self._lines):
            line = self._lines[self._at].rstrip(b"\r")
            if line.startswith(_BINARY):
                raise DiffError("it changes a binary file, which is not supported", line=self._at + 1)
            if line.startswith((b"--- ", b"diff --git ", b"@@ ")):
                break
            for key in (b"new file mode", b"deleted file mode", b"new mode", b"rename from", b"rename to"):
                if line.startswith(key + b" "):
                    said[key] = line[len(key) + 1 :]
            if line.startswith((b"copy from ", b"copy to ")):
                raise DiffError("copies of files are not supported", line=self._at + 1)
            self._at += 1
        mode = said.get(b"new file mode") or said.get(b"new mode")
        if mode not in (None, b"100644", b"100755", b"100664"):
            raise DiffError(f"a file of the mode {mode!r} is not supported", line=first)
        executable = None if mode is None else mode == b"100755"
        old, new = said.get(b"rename from"), said.get(b"rename to")
        if (old is None) != (new is None):
            raise DiffError("a file is renamed from or to nothing", line=first)
        names = (_unquoted(old, first), _unquoted(new, first)) if old and new else None
        if (
            self._at < len(self._lines)
            and self._lines[self._at].startswith(b"--- ")
            and self._next().startswith(b"+++ ")
        ):
            return self._plain(first, executable, names, said)
        return self._without_hunks(first, executable, names, said)

    def _without_hunks(
        self, first: int, executable: bool | None, names: tuple[bytes, bytes] | None, said: dict[bytes, bytes]
    ) -> FileChange:
        """A rename, a change of mode, or a file that is or was empty."""
        if names is None:
            same = _same_name(self._lines[first - 1].rstrip(b"\r"), first)
            names = same, same
        if not said:
            raise DiffError("it says nothing about the file", line=first)
        old = None if b"new file mode" in said else _checked(names[0], first)
        new = None if b"deleted file mode" in said else _checked(names[1], first)
        return FileChange(old=old, new=new, hunks=(), line=first, executable=executable)

    def _plain(
        self,
        first: int,
        executable: bool | None,
        renamed: tuple[bytes, bytes] | None,
        said: dict[bytes, bytes] | None,
    ) -> FileChange:
        old = _name(self._lines[self._at][4:], self._at + 1)
        new = _name(self._next()[4:], self._at + 2)
        self._at += 2
        hunks = []
        while self._at < len(self._lines) and self._lines[self._at].startswith(b"@@ "):
            hunks.append(self._hunk())
        if not hunks:
            raise DiffError("no hunk follows the names of a file", line=self._at)
        if old is None and new is None:
            raise DiffError("a file that is nowhere before and after", line=first)
        if renamed is not None:
            old, new = (_checked(name, first) for name in renamed)
        elif old is not None and new is not None:
            old = new  # the other may be that of a copy, such as "file.orig"
        return FileChange(old=old, new=new, hunks=tuple(hunks), line=first, executable=executable)

    def _hunk(self) -> Hunk:
        head = _HUNK.fullmatch(self._lines[self._at])
        first = self._at + 1
        if head is None:
            raise DiffError("this is no head of a hunk (@@ -1,2 +1,3 @@)", line=first)
        start, olds, _, news = (int(each) if each is not None else 1 for each in head.groups())
        self._at += 1
        old: list[bytes] = []
        new: list[bytes] = []
        while len(old) < olds or len(new) < news or self._current()[:1] == _NO_NEWLINE:
            self._line_of_hunk(old, new)
        if len(old) != olds or len(new) != news:
            raise DiffError("the hunk has other numbers of lines than its head says", line=first)
        return Hunk(start=start - 1 if olds else start, old=tuple(old), new=tuple(new), line=first)

    def _current(self) -> bytes:
        return self._lines[self._at] if self._at < len(self._lines) else b""

    def _line_of_hunk(self, old: list[bytes], new: list[bytes]) -> None:
        if self._at >= len(self._lines) or (self._at == len(self._lines) - 1 and not self._lines[self._at]):
            raise DiffError("it ends in the middle of a hunk", line=self._at + 1)
        line = self._lines[self._at]
        mark, rest = line[:1], line[1:] + b"\n"
        if mark in (b" ", b""):
            # Some programs take the blank away that stands for an unchanged empty line.
            old.append(rest if mark else b"\n")
            new.append(rest if mark else b"\n")
        elif mark == b"-":
            old.append(rest)
        elif mark == b"+":
            new.append(rest)
        elif mark == _NO_NEWLINE:
            self._cut(old, new)
        else:
            raise DiffError("expected a line of a hunk, which begins with ' ', '-' or '+'", line=self._at + 1)
        self._at += 1

    def _cut(self, old: list[bytes], new: list[bytes]) -> None:
        """ "\\ No newline at end of file": the line before ends without one."""
        before = self._lines[self._at - 1][:1]
        if before not in (b" ", b"-", b"+"):
            raise DiffError("nothing stands before this", line=self._at + 1)
        for lines, marks in ((old, b" -"), (new, b" +")):
            if before in marks and lines:
                lines[-1] = lines[-1].removesuffix(b"\n")


def _name(text: bytes, line: int) -> bytes | None:
    """The path after "--- " or "+++ ", without the time that may follow; None for no file."""
    text = text.rstrip(b"\r\t") if text.startswith(b'"') else text.rstrip(b"\r")
    text = text if text.startswith(b'"') else text.partition(b"\t")[0]
    if text == _NOWHERE or text.startswith(_NOWHERE + b" "):
        return None
    name = _unquoted(text, line)
    if b"/" not in name:
        raise DiffError(
            f"{_shown(name)} has no directory at its beginning; write a/{_shown(name)[1:-1]}", line=line
        )
    return _checked(name.partition(b"/")[2], line)


def _same_name(line: bytes, number: int) -> bytes:
    """The path in "diff --git a/PATH b/PATH", where both are the same."""
    rest = line.removeprefix(b"diff --git ")
    middle = len(rest) // 2
    first, second = rest[:middle], rest[middle + 1 :]
    if len(rest) % 2 and rest[middle : middle + 1] == b" ":
        names = [_unquoted(each, number).partition(b"/")[2] for each in (first, second)]
        if names[0] == names[1] and names[0]:
            return names[0]
    raise DiffError("the names of the file cannot be understood", line=number)


def _unquoted(text: bytes, line: int) -> bytes:
    """A name as git quotes it: in double quotes, with the escapes of C."""
    if not text.startswith(b'"'):
        return text
    if len(text) < 2 or not text.endswith(b'"'):
        raise DiffError("a name in quotes that do not end", line=line)

    def plain(match: re.Match[bytes]) -> bytes:
        return _ESCAPES.get(match[1]) or bytes([int(match[1], 8) & 255])

    return _ESCAPE.sub(plain, text[1:-1])


def _checked(name: bytes, line: int) -> bytes:
    parts = name.split(b"/")
    if b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
        raise DiffError(f"{_shown(name)} is no path inside a package", line=line)
    return name


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace")[:200])
