"""What prompt hooks know about projects: files of the user's own that a shell reads with its builtins alone.

    $XDG_STATE_HOME/devenv/hook/<the project's real path>/=devenv=/
        current -> VERSION
        VERSION/entry        text, see below
        VERSION/0, 1, ...    empty files; the modification time of each is that of the watched file of this number

    entry    = "devenv-hook 1" LF "version " VERSION LF "project " directory LF "state " state LF
               "spec " [ directory ] LF "say " [ text ] LF "news " [ text ] LF { watch LF }
    state    = "ready" | "building" | "waiting" | "denied" | "failed"
    watch    = ( "watch " | "look " | "absent " ) path

A version never changes: `current -ef VERSION` tells a shell that it has read the newest one. A watched file is as it
was if it is neither newer nor older than its empty file. Equality, not order, is asked for: it also notices a file
whose time was set back, and is not confused by times in the future. "look" files are compared only when a directory
is entered, "absent" ones must not exist; what would be in an absent directory is left out. Nothing that a repository
holds is ever read in place of these files.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from devenv.errors import DevenvError

LEAF = "=devenv="
HEAD = "devenv-hook 1"
_KEPT_VERSIONS = 2  # a shell may be about to read the one before

State = Literal["ready", "building", "waiting", "denied", "failed"]
Kind = Literal["watch", "look", "absent"]


class HookIndexError(DevenvError):
    """The files of the prompt hook cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a shell is to do in a project. `watched` are pairs of a kind and an absolute path.

    `spec`: the environment to be in, "" for none. `say` is told once to each shell that reads the version, `news` only to those
    that were in the project already; both are one line, "" for nothing.
    """

    project: str
    state: State
    spec: str = ""
    say: str = ""
    news: str = ""
    watched: tuple[tuple[Kind, str], ...] = ()


def entry_directory(root: str, project: str) -> str:
    """Where the versions of a project's entry are. `root` is `hook_directory`, `project` a real absolute path."""
    return os.path.join(root, project.lstrip("/"), LEAF)


def can_be_hooked(project: str) -> bool:
    """Lines cannot hold newlines, and a component of our own name would be taken for ours."""
    return "\n" not in project and LEAF not in project.split("/")


def write_entry(root: str, entry: Entry, mtimes: Mapping[str, int]) -> str:
    """Make `entry` the newest version and give its directory. Raises HookIndexError.

    `mtimes`: modification times in nanoseconds, taken before the files were read. Watched files that have none did not
    exist.
    """
    place = entry_directory(root, entry.project)
    version = str(time.time_ns())
    aside = os.path.join(place, f"tmp-{os.getpid()}")
    try:
        os.makedirs(root, mode=0o700, exist_ok=True)
        os.makedirs(aside)
        watched = list(_settled(aside, entry.watched, mtimes))
        with open(os.path.join(aside, "entry"), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(dump(entry, version, watched))
        os.rename(aside, os.path.join(place, version))
        link = os.path.join(place, f"link-{os.getpid()}")
        os.symlink(version, link)
        os.rename(link, os.path.join(place, "current"))
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise HookIndexError(
            f"writing what the prompt hook needs for {entry.project}: {error.filename}: {error.strerror}"
        ) from error
    _remove_old(place)
    return os.path.join(place, version)


def _settled(
    aside: str, watched: Iterable[tuple[Kind, str]], mtimes: Mapping[str, int]
) -> Iterable[tuple[Kind, str]]:
    """Make the empty files, and leave out what cannot be compared by them."""
    number = 0
    missing: set[str] = set()
    for kind, path in watched:
        if "\n" in path:
            continue
        found = mtimes.get(path)
        if found is None:
            missing.add(path)
            # A directory that is not there stands for all that could be in it.
            if os.path.dirname(path) in missing:
                continue
            yield "absent", path
        else:
            reference = os.path.join(aside, str(number))
            with open(reference, "xb"):
                pass
            os.utime(reference, ns=(found, found))
            if os.stat(reference).st_mtime_ns != found:
                # A file system with coarser times than the project's would look changed at every prompt.
                os.unlink(reference)
                continue
            yield kind, path
        number += 1


def dump(entry: Entry, version: str, watched: Iterable[tuple[Kind, str]]) -> str:
    """The text of an entry."""
    lines = [
        HEAD,
        f"version {version}",
        f"project {entry.project}",
        f"state {entry.state}",
        f"spec {entry.spec}",
        f"say {one_line(entry.say)}",
        f"news {one_line(entry.news)}",
        *(f"{kind} {path}" for kind, path in watched),
    ]
    return "".join(f"{line}\n" for line in lines)


def one_line(text: str) -> str:
    """Text for a terminal: its first line, without anything that a terminal would obey."""
    first = text.strip().split("\n")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in first)


def read_entry(root: str, project: str) -> Entry | None:
    """The newest version, None where there is none that can be read."""
    path = os.path.join(entry_directory(root, project), "current", "entry")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            lines = file.read().split("\n")[:-1]
    except OSError:
        return None
    try:
        return load(lines)
    except (ValueError, IndexError):
        return None


def load(lines: list[str]) -> Entry:
    """The reverse of `dump`. Raises ValueError or IndexError for anything else."""
    if lines[0] != HEAD:
        raise ValueError(lines[0])
    fields = {}
    for line, key in zip(lines[1:7], ("version", "project", "state", "spec", "say", "news"), strict=True):
        if not line.startswith(key + " "):
            raise ValueError(line)
        fields[key] = line[len(key) + 1 :]
    watched = []
    for line in lines[7:]:
        kind, _, path = line.partition(" ")
        if kind not in ("watch", "look", "absent"):
            raise ValueError(line)
        watched.append((kind, path))
    del fields["version"]
    return Entry(watched=tuple(watched), **fields)  # type: ignore[arg-type]


def remove_entry(root: str, project: str) -> None:
    """Forget a project. Shells that are in its environment leave it at their next prompt."""
    shutil.rmtree(entry_directory(root, project), ignore_errors=True)


def _remove_old(place: str) -> None:
    with suppress(OSError):
        versions = sorted(name for name in os.listdir(place) if name.isdigit())
        for name in versions[:-_KEPT_VERSIONS]:
            shutil.rmtree(os.path.join(place, name), ignore_errors=True)
