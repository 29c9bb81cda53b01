"""`builtin:devenv-write`: small files given as text.

env: `files` a JSON object, relative path -> text; `executables` a JSON list of those that are programs.
"""

from __future__ import annotations

import json
import os

from devenv.derivations.builders.job import Job
from devenv.derivations.builders.tree import Tree, clean
from devenv.derivations.errors import ArchiveError, BuildError


def build(job: Job) -> tuple[str, ...]:
    """Write the files. Raises BuildError for names that contradict each other or leave the tree."""
    files: dict[str, str] = json.loads(job.env["files"])
    executables = set(json.loads(job.env.get("executables") or "[]"))
    size = sum(len(text) for text in files.values())
    tree = Tree(job.target, ceiling=4 * size, members=len(files))
    try:
        for name, text in sorted(files.items()):
            path = clean(os.fsencode(name))
            tree.file(path, [text.encode()], executable=name in executables)
        tree.finish()
    except ArchiveError as error:
        raise BuildError(f"cannot write the files of {job.label}: {error}", package=job.label) from error
    return ()
