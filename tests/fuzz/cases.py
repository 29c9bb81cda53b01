"""What a parser is given: a few files by name, of which the first is the one that it is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A parser under test.

    patterns: shell patterns of the names of files that it reads
    parse:    called with a case's files; returns anything, raises `DevenvError`
    syntax:   what structural mutations know of the main file: "json", "toml", "yaml", or "text" for nothing
    companions: names of files that may lie beside the main one
    """

    name: str
    patterns: tuple[str, ...]
    parse: Callable[[Files], object]
    syntax: str = "text"
    companions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input of one subject, by its name."""

    subject: str
    files: Files

    @property
    def size(self) -> int:
        """In bytes, of all files."""
        return sum(map(len, self.files.values()))

    def to_bytes(self) -> bytes:
        """A form that is made quickly: a line of JSON, then the files one after the other."""
        head = {"subject": self.subject, "files": {name: len(data) for name, data in self.files.items()}}
        return json.dumps(head).encode() + b"\n" + b"".join(self.files.values())

    @classmethod
    def from_bytes(cls, data: bytes) -> Case:
        """What `to_bytes` made. Raises ValueError, KeyError for anything else."""
        line, _, rest = data.partition(b"\n")
        head = json.loads(line)
        files = {}
        for name, size in head["files"].items():
            files[name], rest = rest[:size], rest[size:]
        return cls(subject=head["subject"], files=files)

    def to_json(self) -> str:
        """A text to keep it in; bytes as characters of the same number."""
        files = {name: data.decode("latin-1") for name, data in self.files.items()}
        return json.dumps({"subject": self.subject, "files": files}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Case:
        """What `to_json` wrote. Raises ValueError, KeyError for anything else."""
        found = json.loads(text)
        files = {name: data.encode("latin-1") for name, data in found["files"].items()}
        return cls(subject=found["subject"], files=files)
