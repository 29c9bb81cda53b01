"""Where the packages of later yarn.lock files come from: the `resolution` of an entry, taken apart.

    RESOLUTION = NAME "@" SOURCE [ "::" KEY "=" VALUE { "&" KEY "=" VALUE } ]
    SOURCE     = "npm:" version | "file:" path | "portal:" path | "link:" path | "workspace:" path
               | url "#commit=" commit | url | "patch:" quoted RESOLUTION "#" FILE { "&" FILE }
    FILE       = [ "optional!" ] ( "builtin<" name ">" | "~builtin<" name ">" | "~/" path | path )

A path counts from the directory of the workspace that the key `locator` names, behind "~/" from the project's. A package
of a registry may have the key `__archiveUrl`, where that is not the usual one. yarn's own patches ("builtin") serve its
Plug'n'Play and are left out. Source: yarn's manual, "Protocols".
"""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from devenv.adapters._fields import Table

TARBALLS = (".tgz", ".tar.gz", ".tar")
_URLS = ("https", "http", "ssh", "git", "git+ssh", "git+https", "git+http", "github")
_PATCHED = re.compile(r'^  resolution: "?([^"\n]+@patch:[^"\n]+)', re.MULTILINE)


class Source(NamedTuple):
    """`resolved` in the words of npm's locks, "" for a registry; `directory`, one of the project that is linked.

    `is_remote`: no registry knows of it; `patches`: paths of files of the project, in the order in which they apply.
    """

    name: str
    resolved: str = ""
    is_remote: bool = True
    directory: str | None = None
    patches: tuple[str, ...] = ()


def split_descriptor(descriptor: str) -> tuple[str, str]:
    """ "@s/a@npm:^1" -> "@s/a", "npm:^1" """
    name, _, rest = descriptor[1:].partition("@")
    return descriptor[:1] + name, rest


def modern_source(table: Table) -> Source:
    """Where an entry comes from. Raises `AdapterError`."""
    resolution = table.required_text("resolution")
    name, source = split_descriptor(resolution)
    patches: tuple[str, ...] = ()
    while source.startswith("patch:"):
        patches = (*_patches(source), *patches)
        name, source = split_descriptor(unquote(source.removeprefix("patch:").partition("#")[0]))
    source, _, text = source.partition("::")
    keys = dict(parse_qsl(text))
    kind, _, path = source.partition(":")
    if kind == "npm":
        url = keys.get("__archiveUrl", "")
        return Source(name, url, bool(url), None, patches)
    if kind in ("portal", "link") or (kind == "file" and not path.partition("#")[0].endswith(TARBALLS)):
        return Source(name, directory=_inside(path.partition("#")[0], text))
    if kind == "file":
        return Source(name, f"file:{_inside(path.partition('#')[0], text)}", True, None, patches)
    if kind == "exec":
        hint = "Let the script run once and keep what it makes as a directory, asked for by portal:."
        raise table.fault(
            "resolution", f"{name} is made by a script of the project, {path[:80]!r}", hint=hint
        )
    if kind not in _URLS and not source.startswith("git@"):
        raise table.fault(
            "resolution", f"{name} comes by {kind[:80] + ':'!r}, which only a plugin of yarn knows"
        )
    if "#commit=" in source:
        url, _, commit = source.partition("#commit=")
        source = f"git+{url.removeprefix('git+')}#{commit.partition('&')[0]}"
    return Source(name, source, True, None, patches)


def patch_names(text: str) -> list[str]:
    """The files with patches that the text of a lock names, as paths relative to the lock."""
    found: dict[str, None] = {}
    for resolution in _PATCHED.findall(text):
        source = split_descriptor(resolution)[1]
        while source.startswith("patch:"):
            found |= dict.fromkeys(_patches(source))
            source = split_descriptor(unquote(source.removeprefix("patch:").partition("#")[0]))[1]
    return list(found)


def _patches(source: str) -> tuple[str, ...]:
    """The files of a "patch:" source."""
    files, _, keys = source.partition("#")[2].partition("::")
    found = []
    for file in files.split("&"):
        path = unquote(file.removeprefix("optional!"))
        if "builtin<" not in path and path:
            found.append(path.removeprefix("~/") if path.startswith("~/") else _inside(path, keys))
    return tuple(posixpath.normpath(each) for each in found)


def _inside(path: str, keys: str) -> str:
    """A path that counts from a workspace, as one from the project, "" for the project itself."""
    locator = dict(parse_qsl(keys)).get("locator", "")
    base = locator.partition("@workspace:")[2].partition("::")[0]
    whole = posixpath.normpath(posixpath.join(base, path))
    return "" if whole == "." else whole
