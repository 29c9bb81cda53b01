"""The editable wheels of a project's directories, unpacked in `.devenv/editables/NAME-KEY`.

KEY stands for what they are made of: the files that say how the project is built, the environment that its backend runs in, the
interpreter, the place. When one of these changes the wheel is made again, and the former one goes.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from devenv.adapter import Editable, Package, RemoteFile, SitePackages
from devenv.environment.instantiate import Instantiated
from devenv.environment.nodes import InPlace
from devenv.events import Reporter
from devenv.formats.hashes import Hash
from devenv.store.tree import remove
from devenv.views.python import manifest_key

if TYPE_CHECKING:
    from devenv.derivations.graph import Graph, Node
    from devenv.store.local import Store

PLACE = ".devenv/editables"


def in_place_trees(project: str, view: SitePackages, made: Instantiated) -> dict[str, str]:
    """Where each editable wheel is unpacked, by name; without those whose backends make none."""
    places = {each.name: _tree(project, each, made) for each in view.editables if each.name in made.in_place}
    return {name: place for name, place in places.items() if os.path.isdir(place) and os.listdir(place)}


def make(project: str, view: SitePackages, made: Instantiated, store: Store, reporter: Reporter) -> list[str]:
    """Make the editable wheels that are missing, remove those that nobody wants; what people should know.

    Raises BuildError, ArchiveError, StoreError.
    """
    from devenv.derivations.in_place import build_in_place
    from devenv.sandbox.mounts import is_inside
    from devenv.store.errors import explaining

    notices, wanted = [], set()
    for editable in view.editables:
        if editable.name not in made.in_place:
            notices.append(f"{editable.name}: imported as it lies there; it names no build backend")
            continue
        place, directory = _tree(project, editable, made), _directory(project, editable)
        wanted.add(os.path.basename(place))
        if not os.path.isdir(place):
            node = _node(made.graph, editable, directory, made.in_place[editable.name])
            trusted = is_inside(directory, _work_tree(project))
            build_in_place(
                node,
                store,
                place,
                shown=_shown(project, directory) if trusted else (project,),
                copied=() if trusted else (directory,),
                show=lambda line: None,
            )
            notices += compiled_on_import(editable)
            if not trusted:
                notices.append(_built_of_a_copy(editable))
        if not os.listdir(place):
            notices.append(
                f"{editable.name}: imported as it lies there; its backend makes no editable wheels"
            )
    folder = os.path.join(project, PLACE)
    with explaining("removing editable wheels in", folder):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name not in wanted:
                remove(os.path.join(folder, name))
    return notices


def compiled_on_import(editable: Editable) -> list[str]:
    """A line about what must be on PATH, of a package that meson-python compiles again whenever it is imported."""
    names = {each.name for each in (editable.build.requires if editable.build is not None else ())}
    if "meson-python" not in names:
        return []
    tools = ", ".join(("its compilers", "ninja", *(["cython"] if "cython" in names else [])))
    what = f"{editable.name}: compiled again on import when its sources changed, by what is on PATH then: {tools}."
    return [f"{what} Have these among the project's packages"]


def _work_tree(project: str) -> str:
    """The directory that has version control and holds the project; else the project. Not a home that is kept so."""
    at = project
    while at != os.path.dirname(at) and at != os.path.expanduser("~"):
        if os.path.lexists(os.path.join(at, ".git")):
            return at
        at = os.path.dirname(at)
    return project


def _built_of_a_copy(editable: Editable) -> str:
    what = f"{editable.name}: {editable.path} is no part of this project's repository, so what its build wrote is not kept"
    return f"{what}. Its modules are imported from there, without those that it compiles"


def _shown(project: str, directory: str) -> tuple[str, ...]:
    """The whole project, for the sake of its version control, and the directory where that is elsewhere."""
    inside = os.path.commonpath((project, directory)) == project
    return (project,) if inside else (project, directory)


def _directory(project: str, editable: Editable) -> str:
    return os.path.normpath(os.path.join(project, editable.path))


def _tree(project: str, editable: Editable, made: Instantiated) -> str:
    way = made.in_place[editable.name]
    manifests = manifest_key(SitePackages(packages=(), editables=(editable,)), project)
    made_of = [manifests, way.environment.out, way.surroundings.interpreter, project]
    text = json.dumps(made_of if way.crates is None else [*made_of, way.crates.out])
    return os.path.join(project, PLACE, f"{editable.name}-{Hash.of('sha256', text.encode()).hex[:16]}")


def _node(graph: Graph, editable: Editable, directory: str, way: InPlace) -> Node:
    from devenv.derivations.builders.sdist import description_of
    from devenv.derivations.wheels import DIRECTORY, in_place_node

    file = RemoteFile(file_name="", url=DIRECTORY + directory, hash=Hash.of("sha256", b""))
    package = Package(
        name=editable.name, version="", format="sdist", file=file, direct=True, build=editable.build
    )
    description = json.dumps(description_of(directory, ""), sort_keys=True)
    return in_place_node(
        graph, package, directory, description, way.environment, way.crates, way.surroundings
    )
