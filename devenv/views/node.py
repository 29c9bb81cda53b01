"""node_modules trees as views.

A lock places packages in the project's own node_modules and, where workspaces disagree about a version, in
node_modules directories inside those. Each such top directory is a view of its own, because between them lie
the project's files. The project's own one is composed last: it holds npm's hidden lock, which npm believes
only while nothing that it describes is younger, and the list of the others.

Packages are hard-linked trees; Node resolves the real path of a file before it climbs for node_modules, so
links to one directory per package would not find their neighbours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from devenv.adapter import NodeModules
from devenv.events import Notice, Reporter
from devenv.formats.npm_places import MODULES as _MODULES
from devenv.views.compose import File, Op, Symlink, Tree, ViewError, compose, composed_key, decompose
from devenv.views.node_manifests import settle
from devenv.views.node_pages import page_links

_HIDDEN_LOCK = ".package-lock.json"
_ROOTS = ".devenv-roots"


def node_modules_ops(view: NodeModules, trees: Mapping[str, str]) -> list[Op]:
    """The operations of the project's own node_modules: see `node_modules_compositions`."""
    return node_modules_compositions(view, trees)[_MODULES]


def node_modules_compositions(view: NodeModules, trees: Mapping[str, str]) -> dict[str, list[Op]]:
    """The operations by the directory, relative to the lock's, whose paths they are relative to.

    `trees`: place -> directory of the unpacked package, an existing absolute path. The directories are those of
    `node_modules_roots`, the project's own last. Commands whose file a package lacks are left out, as npm does.
    Raises what `settle` raises.
    """
    roots = node_modules_roots(view)
    view = settle(view, trees).view
    nested: dict[str, set[str]] = {}
    for place in (*view.packages, *view.links):
        for above in _enclosing(place):
            if above in view.packages:
                nested.setdefault(above, set()).add(place[len(above) + 1 :])
    found: dict[str, list[Op]] = {}
    for place in sorted(view.packages):
        root, dest = _split(place)
        skip = frozenset(nested.get(place, ()))
        found.setdefault(root, []).append(Tree(source=trees[place], dest=dest, skip=skip))
    for place, directory in sorted(view.links.items()):
        root, dest = _split(place)
        found.setdefault(root, []).append(Symlink(dest=dest, target=_relative(directory, place)))
    for place, file in sorted(view.bins.items()):
        if _is_there(file, view, trees):
            root, dest = _split(place)
            found.setdefault(root, []).append(Symlink(dest=dest, target=_relative(file, place)))
    main = found.pop(_MODULES, [])
    for dest, page in page_links(view, trees).items():
        main.append(Symlink(dest=dest, target=_relative(page, f"{_MODULES}/{dest}")))
    main.append(File(dest=_ROOTS, contents=json.dumps(list(roots[:-1])).encode() + b"\n"))
    if view.hidden_lock is not None:
        main.append(File(dest=_HIDDEN_LOCK, contents=view.hidden_lock.encode(), newest=True))
    return {**{root: found.get(root, []) for root in roots[:-1]}, _MODULES: main}


def node_modules_roots(view: NodeModules) -> tuple[str, ...]:
    """The directories to compose, relative to the lock's; the project's own is always there, and last."""
    roots = {_split(place)[0] for places in (view.packages, view.links, view.bins) for place in places}
    return (*sorted(roots - {_MODULES}), _MODULES)


def compose_node_modules(
    directory: str,
    view: NodeModules,
    trees: Mapping[str, str],
    *,
    key: str,
    reporter: Reporter | None = None,
    repair: bool = False,
) -> None:
    """Compose all node_modules directories of the project in `directory`, where its lock lies.

    Those that an earlier composition made and that are not wanted any more are taken away. When it is
    through, `composed_node_modules` gives `key`. Raises what `settle` and `compose` raise.
    """
    reporter = reporter or Reporter()
    for notice in settle(view, trees).notices:
        reporter.event(Notice(text=notice))
    compositions = node_modules_compositions(view, trees)
    prepare_node_modules(directory, compositions, reporter)
    for root, ops in compositions.items():
        if not os.path.isdir(os.path.dirname(f"{directory}/{root}")):
            text = (
                f"{os.path.dirname(root)} is in the lock but not in the project: nothing is installed there"
            )
            reporter.event(Notice(text=text))
            continue
        compose(f"{directory}/{root}", ops, key=key, reporter=reporter, repair=repair)


def prepare_node_modules(directory: str, roots: Iterable[str], reporter: Reporter | None = None) -> None:
    """Check the directories to compose and take away those that an earlier composition made besides.

    Raises `ViewError` when a link of the project leads one of `roots` out of `directory`: whoever wrote the
    lock does not choose what is written elsewhere.
    """
    wanted = set(roots)
    for root in sorted(wanted):
        if not _is_inside(directory, root):
            raise ViewError(f"{root} leads out of {directory}", root=f"{directory}/{root}")
    for root in _recorded_roots(directory):
        if root not in wanted and _is_inside(directory, root):
            decompose(f"{directory}/{root}", reporter=reporter)


def composed_node_modules(directory: str) -> str | None:
    """The key of the finished composition for the lock in `directory`, None if there is none."""
    return composed_key(f"{directory}/{_MODULES}")


def _split(place: str) -> tuple[str, str]:
    """The top node_modules directory of a place, and the place below it."""
    parts = place.split("/")
    top = parts.index(_MODULES) + 1
    return "/".join(parts[:top]), "/".join(parts[top:])


def _enclosing(place: str) -> Iterable[str]:
    """The places of the packages around one, nearest first."""
    above = place
    while (cut := above.rfind(f"/{_MODULES}/")) > 0:
        above = above[:cut]
        yield above


def _relative(target: str, place: str) -> str:
    """What a link at `place` must hold to lead to `target`, both relative to the lock's directory."""
    here, there = place.split("/")[:-1], target.split("/") if target != "." else []
    while here and there and here[0] == there[0]:
        del here[0], there[0]
    return "/".join([*([".."] * len(here)), *there]) or "."


def _is_there(file: str, view: NodeModules, trees: Mapping[str, str]) -> bool:
    """Whether the file that a command runs exists; a workspace's may still be built."""
    parts = file.split("/")
    for count in range(len(parts) - 1, 0, -1):
        place = "/".join(parts[:count])
        if place in view.links:
            return True
        if place in view.packages:
            return os.path.lexists(f"{trees[place]}/{file[len(place) + 1 :]}")
    return False


def _recorded_roots(directory: str) -> list[str]:
    """The other directories that the last composition made, as far as that can be believed."""
    try:
        with open(f"{directory}/{_MODULES}/{_ROOTS}", encoding="utf-8") as file:
            roots = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(roots, list):
        return []
    return [r for r in roots if isinstance(r, str) and r.endswith(f"/{_MODULES}") and not r.startswith("/")]


def _is_inside(directory: str, root: str) -> bool:
    """Whether the directory that holds `root` really lies in the project, links followed."""
    base = os.path.realpath(directory)
    holder = os.path.realpath(os.path.dirname(f"{directory}/{root}"))
    return holder == base or holder.startswith(f"{base.rstrip('/')}/")
