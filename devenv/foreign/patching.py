"""A patched copy of a foreign program, for machines that forbid namespaces: it finds a root's loader and libraries by itself.

Interpreter and DT_RPATH name the root's relocated tree. A DT_RPATH holds for the libraries of the program as well, and no
variable is needed that children would inherit. What looks itself up by /proc/self/exe sees the copy.
"""

from __future__ import annotations

import os

from devenv.elf.redirecting import redirect
from devenv.foreign.digests import digest_of
from devenv.foreign.errors import ForeignError
from devenv.foreign.kinds import kind_of
from devenv.foreign.loading import expanded
from devenv.foreign.plans import Plan
from devenv.foreign.program import read_program
from devenv.formats.hashes import Hash
from devenv.store.last_use import mark_used


def patched_copy(plan: Plan, tree: str, libraries: list[str], cache: str) -> str:
    """The copy of the plan's program, made if it is not there. Raises ForeignError, ElfError.

    tree: of packages, with their loader at its usual place; libraries: directories of theirs, the first counts
    """
    if kind_of(plan.start) != "elf":
        raise ForeignError(
            plan.start,
            "is no ELF program, and only those can be patched",
            hint="With namespaces it would run in a root: `devenv doctor` says what is in the way.",
        )
    program = read_program(plan.start, guess=False)
    interpreter = f"{tree}{program.interpreter}"
    if program.interpreter is None or not os.path.exists(interpreter):
        raise ForeignError(
            plan.start, f"cannot be patched: {program.interpreter or 'no loader'} is not in {tree}"
        )
    path = [*expanded(program), *plan.beside, *libraries]
    key = Hash.of("sha256", "\0".join([digest_of(plan.start), interpreter, *path]).encode()).nix32[:32]
    folder = os.path.join(cache, "foreign", f"{key}-patched")
    target = os.path.join(folder, os.path.basename(plan.start))
    if not (os.path.exists(target) and mark_used(folder, exactly=True)):
        _write(plan.start, target, interpreter, path)
    return target


def _write(source: str, target: str, interpreter: str, path: list[str]) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except OSError as error:
        raise ForeignError(target, f"cannot be written: {error.strerror}") from error
    redirect(source, target, loader=interpreter, run_path=":".join(path))
