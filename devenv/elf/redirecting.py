"""The edit that everything needs which runs programs elsewhere than they were made for: loader and run path."""

from __future__ import annotations

from devenv.elf import edits
from devenv.elf.draft import Draft
from devenv.elf.elf import Elf
from devenv.elf.planning import plan
from devenv.elf.rewriting import rewrite


def redirect(
    path: str, target: str | None = None, *, loader: str | None, run_path: str, force_rpath: bool = True
) -> None:
    """Have the file at `path` start `loader`, unless that is None, and look for libraries in `run_path`.

    The result goes to `target`, or takes the file's place. With `force_rpath` it is a DT_RPATH, in which what the
    libraries need is looked for as well (ld.so(8)). Raises ElfError.
    """
    with Elf.open(path, whole=True) as elf:
        draft = Draft(elf)
        if loader is not None:
            edits.set_interpreter(draft, loader)
        edits.set_run_path(draft, run_path, force_rpath=force_rpath)
        rewrite(elf.source, plan(draft), target)
