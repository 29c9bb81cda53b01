"""Directories of a project as sources of wheels: which of their files a build sees, and which are watched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice

from devenv.recipes.sources import SourceTree

# What tools leave in a directory; none of it is source. Patterns of names or of paths in it.
_MADE = ("__pycache__", "*.egg-info", ".venv", "venv", "node_modules", ".tox", ".nox", ".*_cache")
_MOST_WATCHED = 5000


def source_tree(directory: str) -> SourceTree:
    """The files of a directory that a build of it sees."""
    name = os.path.basename(directory) or "directory"
    return SourceTree(project=directory, paths=(".",), exclude=_MADE, recipe=name)


def files_of(directories: Iterable[str]) -> Iterator[str]:
    """What to watch for changes in directories of which wheels are built: directories and files, the first thousands."""
    for directory in directories:
        yield from islice(_walked(directory), _MOST_WATCHED)


def _walked(directory: str) -> Iterator[str]:
    for folder, names, files in os.walk(directory):
        names[:] = sorted(
            name
            for name in names
            if name not in (".git", ".devenv") and not any(fnmatchcase(name, pattern) for pattern in _MADE)
        )
        yield folder
        yield from (os.path.join(folder, name) for name in sorted(files))
