"""`builtin:devenv-link`: a tree of symbolic links.

env: `links` a JSON object, relative path -> absolute target.
"""

from __future__ import annotations

import json
import os

from devenv.derivations.builders.job import Job
from devenv.derivations.builders.tree import clean, seal
from devenv.derivations.errors import ArchiveError, BuildError


def build(job: Job) -> tuple[str, ...]:
    """Make the links. Raises BuildError for names that contradict each other or leave the tree."""
    links: dict[str, str] = json.loads(job.env["links"])
    directories = {""}
    os.mkdir(job.target, 0o755)
    for name, destination in sorted(links.items()):
        path = _checked(job.label, name, links)
        parent = os.path.dirname(path)
        if parent not in directories:
            os.makedirs(f"{job.target}/{parent}", 0o755, exist_ok=True)
            while parent not in directories:
                directories.add(parent)
                parent = os.path.dirname(parent)
        os.symlink(destination, f"{job.target}/{path}")
        os.utime(f"{job.target}/{path}", (1, 1), follow_symlinks=False)
    for directory in directories:
        seal(f"{job.target}/{directory}" if directory else job.target)
    return ()


def _checked(label: str, name: str, links: dict[str, str]) -> str:
    try:
        path = os.fsdecode(clean(os.fsencode(name)))
    except ArchiveError as error:
        raise BuildError(f"cannot make the links of {label}: {error}", package=label) from error
    parent = path
    while parent := os.path.dirname(parent):
        if parent in links:
            raise BuildError(
                f"cannot make the links of {label}: {path!r} would lie inside {parent!r}, which is a link",
                package=label,
            )
    if path != name:
        raise BuildError(
            f"cannot make the links of {label}: {name!r} is no plain relative path", package=label
        )
    return path
