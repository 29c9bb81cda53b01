"""Patches of an override, applied to a tree that was just unpacked.

`patches` of a derivation is a JSON list of {"name", "text"}, diffs in unified format whose paths are relative to the package;
bytes of a diff that are no UTF-8 are in the text as lone surrogates (PEP 383).
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import stat

from devenv.derivations.builders.job import Job
from devenv.derivations.errors import BuildError
from devenv.formats.unified_diff import DiffError, FileChange, apply_hunks, parse_diff
from devenv.store.tree import make_writable, seal, write_file

ATTRIBUTE = "patches"
_LARGEST = 256 << 20


def apply_patches(job: Job, tree: str) -> None:
    """Change the canonical `tree` as the patches of a job say. Raises BuildError naming patch, file and hunk."""
    touched: set[bytes] = set()
    for patch in json.loads(job.env.get(ATTRIBUTE) or "[]"):
        try:
            for change in parse_diff(patch["text"].encode("utf-8", "surrogateescape")):
                touched |= _apply(os.fsencode(tree), change)
        except DiffError as error:
            raise BuildError(
                f"cannot patch {job.label} with {patch['name']}: {error}",
                package=job.label,
                hint="The patch is for another version: make it anew from the source of this one.",
            ) from error
    if touched and job.env.get("format") == "wheel":
        _record(tree, touched)


def _apply(tree: bytes, change: FileChange) -> set[bytes]:
    """The paths that are different now. Raises DiffError, OSError."""
    if change.old is None:
        return {_create(tree, change)}
    old, mode = _read(tree, change.old, change)
    try:
        data = apply_hunks(change.hunks, old)
    except DiffError as error:
        raise DiffError(f"{os.fsdecode(change.old)}: {error}") from error
    if change.new is None:
        if data:
            raise DiffError(f"{_shown(change.old)} is to be deleted, and holds more", line=change.line)
        _delete(tree, change.old)
        return {change.old}
    executable = bool(mode & 0o100) if change.executable is None else change.executable
    _delete(tree, change.old)
    if change.new != change.old and os.path.lexists(_join(tree, change.new)):
        raise DiffError(f"{_shown(change.new)} is there already", line=change.line)
    _write(tree, change.new, data, executable, change.line)
    return {change.old, change.new}


def _create(tree: bytes, change: FileChange) -> bytes:
    assert change.new is not None
    place = _join(tree, change.new)
    if os.path.lexists(place) and (not stat.S_ISREG(os.lstat(place).st_mode) or os.path.getsize(place)):
        raise DiffError(f"{_shown(change.new)} is to be created, and is there already", line=change.line)
    if os.path.lexists(place):
        _delete(tree, change.new)
    _write(tree, change.new, apply_hunks(change.hunks, b""), bool(change.executable), change.line)
    return change.new


def _read(tree: bytes, name: bytes, change: FileChange) -> tuple[bytes, int]:
    """A file's contents and mode. No directory on the way to it may be a link, which could lead out of the tree."""
    _check_directories(tree, name, change.line)
    try:
        descriptor = os.open(_join(tree, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DiffError(f"{_shown(name)} cannot be read: {error.strerror}", line=change.line) from None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            raise DiffError(f"{_shown(name)} is no file that can be patched", line=change.line)
        return file.read(), found.st_mode


def _check_directories(tree: bytes, name: bytes, line: int | None) -> None:
    place = tree
    for part in name.split(b"/")[:-1]:
        place = place + b"/" + part
        if os.path.lexists(place) and not stat.S_ISDIR(os.lstat(place).st_mode):
            raise DiffError(f"{_shown(place[len(tree) + 1 :])} is no directory of the package", line=line)


def _write(tree: bytes, name: bytes, data: bytes, executable: bool, line: int | None = None) -> None:
    """Write a new file, in directories that are made where they are missing. Raises DiffError, OSError."""
    _check_directories(tree, name, line)
    place = tree
    for part in name.split(b"/")[:-1]:
        above, place = place, place + b"/" + part
        if not os.path.lexists(place):
            make_writable(above)
            os.mkdir(place)
            seal(place)
            seal(above)
    make_writable(place)
    write_file(_join(tree, name), data, executable=executable)
    seal(place)


def _delete(tree: bytes, name: bytes) -> None:
    folder = os.path.dirname(_join(tree, name))
    make_writable(folder)
    os.unlink(_join(tree, name))
    seal(folder)


def _record(tree: str, touched: set[bytes]) -> None:
    """RECORD of a patched wheel: who removes the package by it removes all of it, who verifies it finds it whole."""
    folder = next(name for name in sorted(os.listdir(tree)) if name.endswith(".dist-info"))
    path = f"{tree}/{folder}/RECORD"
    names = {os.fsdecode(name) for name in touched}
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0] not in names]
    for name in sorted(names - {f"{folder}/RECORD"}):
        if os.path.lexists(f"{tree}/{name}"):
            with open(f"{tree}/{name}", "rb") as file:
                data = file.read()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append([name, f"sha256={digest}", str(len(data))])
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    record = os.fsencode(f"{folder}/RECORD")
    _delete(os.fsencode(tree), record)
    _write(os.fsencode(tree), record, text.getvalue().encode("utf-8", "surrogateescape"), executable=False)


def _join(tree: bytes, name: bytes) -> bytes:
    return tree + b"/" + name


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace")[:200])
