"""What a project's environment needs an object for, with objects named as people name them."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from devenv.env.spec import Spec
from devenv.errors import DevenvError
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.queries import asking, find_path
from devenv.store.why import Step, explain


@dataclass(frozen=True, slots=True)
class Package:
    """An object of the environment as people know it. `place`: where a lockfile puts it, or its name again."""

    name: str
    version: str
    place: str
    path: str

    @property
    def names(self) -> set[str]:
        return {self.name, f"{self.name}@{self.version}", f"{self.name}=={self.version}", self.place}


def why(
    layout: Layout, project: str | None, start: str | None, end: str
) -> tuple[StorePath, StorePath, list[tuple[Step, ...]]]:
    """Both objects, and the shortest chains of references from one to the other; none where there is none.

    `start` and `end` are paths or names of packages of the project's environment, which `start` None means.
    Raises `StoreError`, and `DevenvError` for a name that is none or several.
    """
    packages = environment_packages(project)
    first = _environment(layout, project) if start is None else _resolve(layout, packages, start)
    last = _resolve(layout, packages, end)
    with asking(layout) as queries:
        queries.require([first, last])
        objects = queries.objects([first])
    return first, last, explain(objects, first, last)


def environment_packages(project: str | None) -> list[Package]:
    """The packages of the project's present environment, those of its views included; none where there is none."""
    if project is None:
        return []
    environment = read_environment(project)
    if environment is None:
        return []
    _, spec = environment
    found = [Package(entry.name, entry.version, entry.name, entry.path) for entry in spec.packages]
    for view in spec.views:
        found += read_view_packages(_read(view.recipe))
    return found


def read_environment(project: str) -> tuple[str, Spec] | None:
    """The spec object of a project's present environment and what it says; None where there is none yet."""
    place = os.path.realpath(os.path.join(project, ".devenv", "env"))
    text = _read(os.path.join(place, "env.json"))
    return None if text is None else (place, Spec.from_json(text))


def read_view_packages(text: str | None) -> Iterator[Package]:
    """What a view's recipe names. Kinds of recipes that name nothing in this way give nothing."""
    try:
        packages = json.loads(text or "{}")["packages"].items()
        for place, entry in packages:
            yield Package(entry.get("name", place), entry["version"], place, entry["path"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


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


def _resolve(layout: Layout, packages: Sequence[Package], text: str) -> StorePath:
    found = [entry for entry in packages if text in entry.names]
    if len({entry.path for entry in found}) == 1:
        return find_path(layout, found[0].path)
    if found:
        choices = sorted({f"{entry.name}@{entry.version}" for entry in found})
        if len(choices) == 1:
            choices = sorted(entry.place for entry in found)
        raise DevenvError(
            f"{text} is {len(found)} packages here: {', '.join(choices[:8])}",
            hint="Name one of these, or its store path.",
        )
    try:
        return find_path(layout, text)
    except DevenvError:
        if os.path.lexists(text) or os.path.isabs(text):
            raise
        close = difflib.get_close_matches(text, sorted({entry.name for entry in packages}), n=1)
        raise DevenvError(
            f"{text} is neither a package, variable, entry of a list or command of the environment, nor a path in the store",
            hint=f"Did you mean {close[0]}?" if close else "`devenv env` shows the environment.",
        ) from None
