"""Views that belong to no project, as far as a collection minds them.

`state/views/NAME` is a view whose recipe is the store path with the same name. The recipe refers to all that the view is
made of, so a view is in use as long as its recipe is valid; one without is garbage. `NAME.new` is one in the making, and
`NAME.lock` held by who makes it. `NAME.relocated` is made of the view NAME, `NAME.compiled` is what cargo compiled of the
sources in the object NAME; they go with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from devenv.store.layout import Layout
from devenv.store.locks import try_lock

NEW, LOCK = ".new", ".lock"
RELOCATED, COMPILED = ".relocated", ".compiled"

# Which of some store paths are valid.
Valid = Callable[[Iterable[str]], Collection[str]]


def dead_views(layout: Layout, valid: Valid) -> list[str]:
    """Views that nothing keeps, and what is left of those whose makers were killed. Raises OSError."""
    try:
        names = sorted(os.listdir(layout.views))
    except FileNotFoundError:
        return []
    whole = {
        name: f"{layout.store}/{name.removesuffix(RELOCATED).removesuffix(COMPILED)}"
        for name in names
        if not name.endswith((NEW, LOCK))
    }
    kept = valid(set(whole.values()))
    dead = [name for name, path in whole.items() if path not in kept]
    dead += [name for name in names if name.endswith(NEW)]
    return [f"{layout.views}/{name}" for name in dead if not _is_being_made(layout, name.removesuffix(NEW))]


def _is_being_made(layout: Layout, name: str) -> bool:
    with suppress(FileNotFoundError):
        descriptor = os.open(f"{layout.views}/{name}{LOCK}", os.O_RDWR | os.O_CLOEXEC)
        try:
            return not try_lock(descriptor, exclusive=True)
        finally:
            os.close(descriptor)
    return False
