"""What a project's environment needs an object for, with objects named as people name them."""

from __future__ import annotations

import difflib
import os

from devenv.env.spec import PackageRef, Spec
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath, name_of
from devenv.store.layout import Layout
from devenv.store.queries import asking, find_path
from devenv.store.why import Step, explain


def why(
    layout: Layout, project: str | None, start: str | None, end: str
) -> tuple[StorePath, StorePath, list[tuple[Step, ...]]]:
    """Both objects, and the shortest chains of references from one to the other; none where there is none.

    `start` and `end` are paths or names of packages of the project's environment, which `start` None means.
    Raises `StoreError`, and `DevenvError` for a name that is none or several.
    """
    spec = _read_spec(project)
    first = _environment(layout, project) if start is None else _resolve(layout, spec, start)
    last = _resolve(layout, spec, end)
    with asking(layout) as queries:
        queries.require([first, last])
        objects = queries.objects([first])
    return first, last, explain(objects, first, last)


def _environment(layout: Layout, project: str | None) -> StorePath:
    if project is None:
        raise DevenvError(
            "there is no project here whose environment could be asked",
            hint="Give two objects: devenv why A B",
        )
    link = os.path.join(project, ".devenv", "env")
    if not os.path.islink(link):
        raise DevenvError(f"{project} has no environment yet", hint="`devenv enter` makes it.")
    return find_path(layout, link)


def _read_spec(project: str | None) -> Spec | None:
    """The present environment of the project, None where there is none."""
    if project is None:
        return None
    try:
        with open(os.path.join(project, ".devenv", "env", "env.json"), encoding="utf-8") as file:
            return Spec.from_json(file.read())
    except OSError:
        return None


def _resolve(layout: Layout, spec: Spec | None, text: str) -> StorePath:
    packages = spec.packages if spec is not None else ()
    found = {entry.path for entry in packages if text in _names(entry)}
    if len(found) == 1:
        return find_path(layout, found.pop())
    if found:
        choices = sorted({f"{entry.name}@{entry.version}" for entry in packages if entry.path in found})
        raise DevenvError(
            f"{text} is {len(found)} packages here: {', '.join(choices[:8])}",
            hint="Name one by its version, or by its store path.",
        )
    if os.path.lexists(text) or os.path.isabs(text):
        return find_path(layout, text)
    try:
        return find_path(layout, text)
    except DevenvError:
        names = sorted({entry.name for entry in packages})
        close = difflib.get_close_matches(text, names, n=1)
        raise DevenvError(
            f"{text} is neither a package of the environment nor a path in the store",
            hint=f"Did you mean {close[0]}?" if close else "`devenv env` lists the packages.",
        ) from None


def _names(entry: PackageRef) -> tuple[str, ...]:
    return (
        entry.name,
        f"{entry.name}@{entry.version}",
        f"{entry.name}=={entry.version}",
        name_of(StorePath(entry.path)),
    )
