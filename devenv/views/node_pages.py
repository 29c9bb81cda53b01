"""Manual pages of npm packages: files that package.json names under `man` or has in `directories.man`.

npm gives them to man for packages that are installed globally (docs of package.json, "man"); in an environment man finds
those of every package that has commands in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from devenv.adapter import NodeModules
from devenv.formats.npm_manifest import MAX_SIZE
from devenv.formats.npm_places import MODULES

PAGES = ".man"  # in node_modules: a directory as man wants it, with man1, man5 and so on
# What npm takes for the name of a page; the number is the section.
_PAGE = re.compile(r"[^/\0]+\.([0-9])(\.gz)?", re.ASCII)


def page_links(view: NodeModules, trees: Mapping[str, str]) -> dict[str, str]:
    """Place of a page in node_modules -> its path, relative to the lock's directory.

    `trees`: place -> directory of the unpacked package. A page that several packages have is that of the first, by place.
    """
    found: dict[str, str] = {}
    commands = [file for place, file in view.bins.items() if place.startswith(f"{MODULES}/.bin/")]
    for owner in sorted({_owner(file, view) for file in commands} & trees.keys()):
        for page in manual_pages(trees[owner]):
            name = page.rpartition("/")[2]
            section = _PAGE.fullmatch(name)
            if section is not None:
                found.setdefault(f"{PAGES}/man{section[1]}/{name}", f"{owner}/{page}")
    return found


def manual_pages(tree: str) -> Iterator[str]:
    """The paths of a package's manual pages, relative to it. What is no plain file in it does not count."""
    try:
        with open(f"{tree}/package.json", "rb") as file:
            manifest = json.loads(file.read(MAX_SIZE + 1))
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(manifest, dict):
        return
    named = manifest.get("man")
    directories = manifest.get("directories")
    if isinstance(named, str | list):
        yield from _named(tree, [named] if isinstance(named, str) else named)
    elif isinstance(directories, dict) and isinstance(directories.get("man"), str):
        yield from _named(tree, _files(tree, directories["man"]))


def _named(tree: str, names: list[object]) -> Iterator[str]:
    real = os.path.realpath(tree)
    for name in names:
        if not isinstance(name, str) or "\0" in name:
            continue
        path = os.path.normpath(name.lstrip("/"))
        if not _PAGE.fullmatch(path.rpartition("/")[2]) or path.startswith("../"):
            continue
        try:
            inside = os.path.realpath(f"{tree}/{path}").startswith(f"{real}/")
        except (OSError, ValueError):
            continue
        if inside and os.path.isfile(f"{tree}/{path}"):
            yield path


def _files(tree: str, directory: str) -> list[object]:
    if "\0" in directory:
        return []
    place = os.path.normpath(directory.lstrip("/"))
    try:
        return [f"{place}/{name}" for name in sorted(os.listdir(f"{tree}/{place}"))]
    except (OSError, ValueError):
        return []


def _owner(file: str, view: NodeModules) -> str:
    """The place of the package that a command's file belongs to, "" for none."""
    while file and file not in view.packages:
        file = file.rpartition("/")[0]
    return file
