"""`builtin:devenv-bytecode`: the `__pycache__` directories of a wheel's modules, and nothing else.

env: `src` the unpacked wheel, `python` the version that they are for ("3.11"). Kept apart from the
wheel's own object, so that one unpacked wheel serves several Pythons.
"""

from __future__ import annotations

from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError


def build(job: Job) -> tuple[str, ...]:
    """Compile. Raises BuildError when there is no such interpreter or it fails."""
    version = job.env["python"]
    interpreter = job.pythons.get(version)
    if interpreter is None:
        raise BuildError(
            f"cannot make {job.label}: no Python {version} was found",
            package=job.label,
            hint=f"Install Python {version}, or change [packages] python in devenv.toml.",
        )
    try:
        job.interpreters.compile(interpreter, job.env["src"], job.target)
    except BuildError as error:
        raise BuildError(f"cannot make {job.label}: {error}", package=job.label) from error
    return ()
