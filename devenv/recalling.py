"""A known environment in another checkout: composed again without being planned. `recording` writes down what is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from devenv.errors import DevenvError
from devenv.known import Known
from devenv.stamp import store_request, take_signatures, write_stamp
from devenv.views.operations import JOURNAL
from devenv.views.portable import filled, is_portable, read_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from devenv.events import Reporter
    from devenv.store.layout import Layout


@contextmanager
def project_lock(root: str) -> Iterator[None]:
    """One preparation of a project at a time; `.devenv` exists inside, ignored by git. Raises DevenvError."""
    import fcntl

    folder = os.path.join(root, ".devenv")
    try:
        os.makedirs(folder, exist_ok=True)
        ignore = os.path.join(folder, ".gitignore")
        if not os.path.exists(ignore):
            with open(ignore, "w", encoding="utf-8") as file:
                file.write("*\n")
        handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DevenvError(
            f"preparing {folder}: {error.strerror}",
            hint="devenv keeps the environment of a project there; the project's directory must be writable",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def recall(
    project: str, known: Known, layout: Layout, environ: Mapping[str, str], reporter: Reporter
) -> bool:
    """Make a known environment in the project, whose `project_lock` is held, and stamp it.

    False, with nothing done that preparing does not do as well, where the project is another, or something is in the way.
    """
    if not is_portable(project):
        return False
    try:
        # Taken before anything is read: a file edited meanwhile must look changed next time.
        signatures = take_signatures(os.path.join(project, name) for name in known.files)
        if not known.fits(project):
            return False
        watched = _compose(project, known, layout, reporter)
    except (DevenvError, ValueError, TypeError, LookupError):
        return False  # preparing says what is wrong, or mends it
    signatures |= take_signatures([*watched, *known.python[:1]])
    write_stamp(project, store_request(environ), known.spec, signatures, environ)
    return True


def _compose(project: str, known: Known, layout: Layout, reporter: Reporter) -> list[str]:
    """Compose the views and set the roots; gives the views' journals."""
    from devenv.keeping import add_shell_derivation, keep_bytecode, keep_environment
    from devenv.store.generations import record_generation
    from devenv.store.local import Store

    with Store.open(layout, reporter=reporter) as store:
        parse = store.store_dir.parse
        spec, sources, bytecode = parse(known.spec), parse(known.sources), [*map(parse, known.bytecode)]
        needed = {spec, sources, *map(parse, known.objects)}
        store.add_temp_roots(needed)
        if len(store.valid_paths(needed)) < len(needed):
            raise LookupError("some of it was collected")
        if os.path.exists(f"{spec}/root") and not _has_root(spec):
            raise LookupError("the root of system packages is to be composed")
        if store.valid_paths(map(parse, known.later)):
            raise LookupError("there is byte code to be put in place")
        shell = add_shell_derivation(project, known.name, spec, store)
        journals = [_compose_view(project, view, reporter) for view in known.views]
        keep_environment(project, spec, shell, store)
        if bytecode:
            keep_bytecode(project, bytecode, store)
        record_generation(layout, project, spec, sources)
    return journals


def _has_root(spec: str) -> bool:
    from devenv.fhs.entering import root_of

    return os.path.isdir(root_of(spec) or "")


def _compose_view(project: str, view: Mapping[str, Any], reporter: Reporter) -> str:
    """Compose one; gives its journal. Raises ViewError, where it is not devenv's as well."""
    from devenv.views.compose import compose

    root = os.path.join(project, view["root"])
    if view["modules"] is not None:
        from devenv.views.node import prepare_node_modules

        base, roots = view["modules"]
        prepare_node_modules(os.path.normpath(os.path.join(project, base)), tuple(roots), reporter)
    operations = read_back(view["operations"], project)
    lines = {op.dest: op.line for op in operations}
    os.makedirs(os.path.dirname(root), exist_ok=True)
    compose(root, operations, key=filled(view["key"], project, lines), reporter=reporter)
    return os.path.join(root, JOURNAL)
