"""The stamp of a prepared environment: which files it was made from, and whether they changed.

`$XDG_STATE_HOME/devenv/stamps/PROJECT/=stamp=` is text, one record a line:

    devenv-stamp 1 STORE
    project DIRECTORY
    spec STORE-PATH
    SIGNATURE FILE          (as often as there are files; FILE is last, so it may hold blanks)

SIGNATURE is "mtime-ctime-size-inode" in nanoseconds and bytes, or "-" for a file that did not exist.
ctime is there because an edit within the resolution of mtime, or one whose tool restores mtime, still
changes it. It is not in the project, for a repository could bring one along that names a directory of its own choice in the
store, and what is in there would be believed without a question. Light on imports: it is read on the warm path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from devenv.state_home import state_directory

_HEAD = "devenv-stamp 1 "


def signature(path: str) -> str:
    """What `stat` says of a file's identity and content, or "-" where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_size}-{found.st_ino}"


def stamp_path(project: str, environ: Mapping[str, str]) -> str:
    """The stamp of the project with this real path."""
    return os.path.join(state_directory(environ), "stamps", project.lstrip("/"), "=stamp=")


def store_request(environ: Mapping[str, str]) -> str:
    """Which store the caller asks for: a changed setting must not be answered from another store."""
    data = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME", ""), ".local/share")
    return environ.get("DEVENV_STORE_DIR") or os.path.join(data, "devenv/store")


def write_stamp(
    project: str, store: str, spec: str, signatures: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    """Record that `spec` was made from files with these signatures, taken *before* they were read.

    Where it cannot be written, entering takes longer, and that is all.
    """
    lines = [
        _HEAD + store,
        "project " + project,
        "spec " + spec,
        *(f"{value} {path}" for path, value in signatures.items()),
    ]
    if any("\n" in line for line in lines):
        return  # a path with a newline cannot be recorded: such a project always takes the full path
    path = stamp_path(project, environ)
    aside = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(aside, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(aside, path)
    except OSError:
        return


def take_signatures(paths: Iterable[str]) -> dict[str, str]:
    return {path: signature(path) for path in paths}


def watched_files(project: str, environ: Mapping[str, str]) -> list[str]:
    """The files that the stamp records; none where there is no stamp. Never raises."""
    try:
        with open(stamp_path(project, environ), encoding="utf-8", errors="surrogateescape") as file:
            return [record.partition(" ")[2] for record in file.read().split("\n")[3:-1]]
    except OSError:
        return []


def current_spec(project: str, environ: Mapping[str, str]) -> str | None:
    """The spec object's path if every recorded file is as it was, else None. Never raises."""
    try:
        with open(stamp_path(project, environ), encoding="utf-8", errors="surrogateescape") as file:
            head, place, spec, *records = file.read().split("\n")[:-1]
    except (OSError, ValueError):
        return None
    if head != _HEAD + store_request(environ) or place != "project " + project or spec[:5] != "spec ":
        return None
    path = spec[5:]
    store = store_request(environ)
    if os.path.dirname(path) not in (store, os.path.realpath(store)):
        return None
    for record in records:
        expected, _, watched = record.partition(" ")
        if signature(watched) != expected:
            return None
    return path if os.path.isdir(path) else None


def _shell_path(project: str, environ: Mapping[str, str]) -> str:
    return os.path.join(os.path.dirname(stamp_path(project, environ)), "=shell=")


def note_shell(project: str, spec: str, environ: Mapping[str, str]) -> None:
    """Record that the user lets a shell prompt in this environment of the project."""
    path = _shell_path(project, environ)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(spec)
    except OSError:
        return


def had_shell(project: str, spec: str, environ: Mapping[str, str]) -> bool:
    """Whether that is recorded of this very environment. Never raises."""
    try:
        with open(_shell_path(project, environ), encoding="utf-8", errors="surrogateescape") as file:
            return file.read() == spec
    except OSError:
        return False
