"""`builtin:devenv-venv`: a Python environment as a store object, for a build backend to run in.

env: `packages` a JSON list of [name, version, unpacked wheel], `interpreter` its path where the environment is used,
`python` its version, `out` where the environment will be. What lies where is described in `devenv.views.python`; files
are hard links to those of the wheels.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from devenv.adapter import Package, RemoteFile, SitePackages
from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError
from devenv.events import Reporter
from devenv.formats.hashes import Hash
from devenv.store.tree import canonicalise
from devenv.views.operations import Tree, ViewError
from devenv.views.placing import Placer
from devenv.views.python import site_packages_ops

_NO_FILE = RemoteFile(file_name="", url="", hash=Hash.of("sha256", b""))


class _Interpreter(NamedTuple):
    path: str
    version: str


def build(job: Job) -> tuple[str, ...]:
    """Compose. Raises BuildError for wheels that contradict each other or cannot be installed."""
    rows = json.loads(job.env["packages"])
    packages = tuple(Package(name=row[0], version=row[1], format="wheel", file=_NO_FILE) for row in rows)
    try:
        operations = site_packages_ops(
            SitePackages(packages=packages),
            trees={name: tree for name, _, tree in rows},
            bytecode={},
            python=_Interpreter(job.env["interpreter"], job.env["python"]),
            root=job.env["out"],
            project="/",
        )
        os.mkdir(job.target, 0o755)
        placer = Placer(job.target, operations, Reporter())
        placer.place_trees([each for each in operations if isinstance(each, Tree)])
        for operation in operations:
            if not isinstance(operation, Tree):
                placer.place(operation)
    except ViewError as error:
        raise BuildError(f"cannot make {job.label}: {error}", package=job.label, hint=error.hint) from error
    canonicalise(job.target)
    return ()
