"""What a run begins with: every file below some directories that a subject reads, with what lies beside it."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .cases import Case, Subject

DATA = Path(__file__).parents[1] / "data"
_LARGEST = 1 << 20  # bytes


def seeds(subjects: Mapping[str, Subject], directories: Iterable[Path]) -> dict[str, list[Case]]:
    """By subject, at least an empty one for each."""
    found: dict[str, list[Case]] = {
        name: [Case(subject=name, files={subject.patterns[0].replace("*", "x"): b""})]
        for name, subject in subjects.items()
    }
    for directory in directories:
        for path in _files(directory):
            for name, subject in subjects.items():
                if _reads(subject, path, directory):
                    found[name].append(_case(subject, path))
    return found


def _files(directory: Path) -> Iterator[Path]:
    for place, _, names in sorted(os.walk(directory)):
        yield from (Path(place, name) for name in sorted(names))


def _reads(subject: Subject, path: Path, directory: Path) -> bool:
    """Whether a file's name, or its directory's in a corpus that is sorted by kinds, is one of the subject's."""
    if path.stat().st_size > _LARGEST:
        return False
    if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in subject.patterns):
        return True
    kinds = path.relative_to(directory).parts[:-1]
    return subject.name in kinds and path.suffix in (".txt", ".lock", ".json", ".toml")


def _case(subject: Subject, path: Path) -> Case:
    files = {path.name: path.read_bytes()}
    beside = [path.parent / name for name in subject.companions]
    if path.suffix == ".txt":
        beside += sorted(path.parent.glob("*.txt"))
    for other in beside:
        if other != path and other.is_file():
            files[str(other.relative_to(path.parent))] = other.read_bytes()
    return Case(subject=subject.name, files=files)
