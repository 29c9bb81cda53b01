"""`builtin:devenv-unpack`: a package's archive as a tree.

env: `src` the archive, `format` "npm", "git-npm", "wheel", "sdist", "crate", "git-crate" or "r", `executables` a JSON list of paths inside the package, `manifests`
one of directories inside it whose package.json names more executables; of a crate its `checksum`, or the name `crate` and
the `version` of one that is to be found in a repository; of an sdist the `subdirectory` that its project is in. A wheel
may be in a directory of its own, as builds leave it. `patches` are applied to what was unpacked: `patching`.
"""

from __future__ import annotations

import json
import os
from functools import partial

from devenv.derivations.builders.job import Job
from devenv.derivations.builders.patching import apply_patches
from devenv.derivations.errors import ArchiveError, BuildError, shown


def build(job: Job) -> tuple[str, ...]:
    """Unpack. Raises BuildError naming package, archive, member and what is wrong."""
    source = job.env["src"]
    try:
        if job.env["format"] == "sdist":
            from devenv.derivations.builders.sdist import unpack_source

            return unpack_source(source, job.target, job.env["subdirectory"], partial(apply_patches, job))
        notices = _unpack(job, source)
        apply_patches(job, job.target)
        return notices
    except ArchiveError as error:
        subject = "it" if error.member is None else f"its member {shown(error.member)}"
        archive = os.path.basename(source).partition("-")[2]
        raise BuildError(
            f"cannot unpack {job.label} from {archive}: {subject} {error.finding}",
            package=job.label,
            hint="The file is the one that the lockfile names, so the package itself is unusable: "
            "choose another version, or ask its publisher.",
        ) from error


def _unpack(job: Job, source: str) -> tuple[str, ...]:
    if job.env["format"] in ("npm", "git-npm"):
        from devenv.derivations.builders.npm_tarball import npm_of_repository, unpack_npm

        unpack = unpack_npm if job.env["format"] == "npm" else npm_of_repository
        lists = (json.loads(job.env.get(name) or "[]") for name in ("executables", "manifests"))
        return unpack(source, job.target, *lists)
    if job.env["format"] == "crate":
        from devenv.derivations.builders.crate import unpack_crate

        return unpack_crate(source, job.target, job.env["checksum"] or None)
    if job.env["format"] == "git-crate":
        from devenv.derivations.builders.crate import crate_of_repository

        checksum = job.env.get("checksum") or None
        return crate_of_repository(source, job.target, job.env["crate"], job.env["version"], checksum)
    if job.env["format"] == "r":
        from devenv.derivations.builders.sdist import unpack_tree

        return unpack_tree(source, job.target)
    from devenv.derivations.builders.wheel import built_wheel, unpack_wheel

    archive = built_wheel(source) if os.path.isdir(source) else source
    return unpack_wheel(archive, job.target, None if job.env.get("patches") else job.meter)
