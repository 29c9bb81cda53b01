"""Verdicts on what is no Linux program by itself, and what programs of other kinds are handed to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import NamedTuple

from devenv.foreign.errors import ForeignError
from devenv.foreign.kinds import HEAD
from devenv.foreign.verdict import HOST, NOTHING, ROOT, WORDS, Verdict
from devenv.foreign.windows import Portable, portable
from devenv.formats.deb822 import parse_one
from devenv.formats.debian_relations import parse_relations
from devenv.formats.errors import FormatError

_NOTES = {
    "rpm": "look for an AppImage, a .deb or a .tar of the same program",
    "macos": "look for a download for Linux",
    "text": "name the program that reads it, as in: sh FILE",
    "empty": "the download failed: fetch it again",
}
_PROTON = "games with 3D graphics run better with Steam's Proton, a build of Wine"
_DOTNET = "newer .NET comes from Microsoft or with the program; no distribution's base has it"


class Reader(NamedTuple):
    """The program that a file is handed to. words: before the file; packages: of the base, () if none has it"""

    words: tuple[str, ...]
    packages: tuple[str, ...]
    note: str = ""


JAVA = Reader(("java", "-jar"), ("default-jre",))


def judge_other(path: str, kind: str, base: str, search: str) -> Verdict:
    """The verdict on a file that the kernel does not start."""
    refused = _refused(path, kind)
    reader = _reader(path, kind) if refused is None else None
    if reader is not None:
        return _handed(path, kind, reader, base, search)
    subject = WORDS.get(kind, kind)
    reason = refused or f"it is {_article(subject)}, no program for Linux"
    notes = (_NOTES[kind],) if kind in _NOTES else ()
    return Verdict(path=path, kind=kind, subject=subject, route=NOTHING, reasons=(reason,), notes=notes)


def _article(noun: str) -> str:
    return noun if noun.startswith(("text", "data")) else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _refused(path: str, kind: str) -> str | None:
    """Why a program for Windows cannot be run by Wine, if so."""
    found = _portable(path) if kind == "windows" else None
    if found is None:
        return None
    if found.library:
        return "it is a library for Windows (DLL), which programs load: name the program"
    if found.machine not in ("i8086", "i386", "amd64"):
        return "it is for Windows on another processor, which Wine does not run here"
    return None


def _portable(path: str) -> Portable | None:
    with open(path, "rb") as file:
        return portable(file.read(HEAD))


def _reader(path: str, kind: str) -> Reader | None:
    if kind == "windows":
        found = _portable(path)
        narrow = found is not None and found.machine in ("i8086", "i386")
        return Reader(("wine",), ("wine", "wine32:i386" if narrow else "wine64"), _PROTON)
    if kind == "msi":
        return Reader(("wine", "msiexec", "/i"), ("wine", "wine32:i386", "wine64"), _PROTON)
    if kind == "dotnet":
        stem = path.rpartition(".")[0]
        if any(os.path.exists(f"{stem}.{end}") for end in ("runtimeconfig.json", "deps.json")):
            return Reader(("dotnet",), (), _DOTNET)
        return Reader(("mono",), ("mono-runtime",), _DOTNET)
    return {"jar": JAVA, "dos": Reader(("dosbox",), ("dosbox",))}.get(kind)


def _handed(path: str, kind: str, reader: Reader, base: str, search: str) -> Verdict:
    name = reader.words[0]
    here = shutil.which(name, path=search) is not None
    if here:
        route, reason = HOST, f"{name} runs it"
    elif reader.packages:
        route, reason = ROOT, f"{name} runs it, from the packages {', '.join(reader.packages)} of {base}"
    else:
        route, reason = NOTHING, f"{name} runs it, which is not on this machine, nor in {base}"
    return Verdict(
        path=path,
        kind=kind,
        subject=WORDS[kind],
        route=route,
        reasons=(reason,),
        start=path,
        prefix=reader.words,
        base=base if route == ROOT else None,
        packages=reader.packages if route == ROOT else (),
        notes=(reader.note,) if reader.note else (),
    )


def interpreter(words: Sequence[str], search: str) -> tuple[str, bool]:
    """The program that reads a script with the first line `words`, and whether it is on this machine."""
    if not words:
        return "sh", True
    name = words[0]
    if os.path.basename(name) == "env":
        rest = (words[1] if len(words) > 1 else "").split()
        named = [word for word in rest if not word.startswith("-") and "=" not in word]
        name = named[0] if named else "sh"
        return name, shutil.which(name, path=search) is not None
    return name, os.access(name, os.X_OK)


def declared(path: str, place: str) -> tuple[str, str, tuple[str, ...]]:
    """What an unpacked Debian package says of itself: a title, its architecture, the packages that it depends on.

    Of alternatives the first. Raises ForeignError.
    """
    folder = f"{place}/var/lib/dpkg/info"
    try:
        control = next(name for name in sorted(os.listdir(folder)) if name.endswith(".control"))
        with open(f"{folder}/{control}", encoding="utf-8", errors="replace") as file:
            fields = parse_one(file.read())
        groups = [
            group for field in ("pre-depends", "depends") for group in parse_relations(fields.get(field, ""))
        ]
    except (FormatError, OSError, StopIteration) as error:
        raise ForeignError(path, f"has no control file that can be read: {error}") from error
    names = tuple(group[0].name for group in groups if group[0].name != fields.get("package"))
    title = f"Debian package {fields.get('package')} {fields.get('version')}"
    return title, fields.get("architecture", "all"), names
