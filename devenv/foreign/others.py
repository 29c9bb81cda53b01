"""Verdicts on what is no Linux program by itself, and what programs of other kinds are handed to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from devenv.foreign.errors import ForeignError
from devenv.foreign.verdict import HOST, NOTHING, ROOT, WORDS, Verdict
from devenv.formats.deb822 import parse_one
from devenv.formats.debian_relations import parse_relations
from devenv.formats.errors import FormatError


def judge_other(path: str, kind: str, base: str, search: str) -> Verdict:
    """The verdict on a file that the kernel does not start."""
    subject = WORDS.get(kind, kind)
    handed = {"windows": _wine, "dotnet": _mono, "jar": _java}.get(kind)
    if handed is not None:
        return _handed(path, kind, subject, *handed(path), base, search)
    notes = {
        "rpm": "look for an AppImage, a .deb or a .tar of the same program",
        "macos": "look for a download for Linux",
        "text": "name the program that reads it, as in: sh FILE",
        "empty": "the download failed: fetch it again",
    }
    return Verdict(
        path=path, kind=kind, subject=subject, route=NOTHING, reasons=(f"it is {_article(subject)}, no program for Linux",),
        notes=(notes[kind],) if kind in notes else (),
    )  # fmt: skip


def _article(noun: str) -> str:
    return noun if noun.startswith(("text", "data")) else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _handed(
    path: str,
    kind: str,
    subject: str,
    program: str,
    packages: tuple[str, ...],
    note: str,
    base: str,
    search: str,
) -> Verdict:
    here = shutil.which(program, path=search) is not None
    reason = f"{program} runs it" + ("" if here else f", from the packages {', '.join(packages)} of {base}")
    prefix = (program, "-jar") if kind == "jar" else (program,)
    return Verdict(
        path=path,
        kind=kind,
        subject=subject,
        route=HOST if here else ROOT,
        reasons=(reason,),
        start=path,
        prefix=prefix,
        base=None if here else base,
        packages=() if here else packages,
        notes=(note,) if note else (),
    )


def _wine(path: str) -> tuple[str, tuple[str, ...], str]:
    with open(path, "rb") as file:
        head = file.read(4096)
    at = int.from_bytes(head[60:64], "little")
    narrow = head[at + 4 : at + 6] == b"\x4c\x01"
    note = "games with 3D graphics run better with Steam's Proton, a build of Wine"
    return "wine", (("wine", "wine32:i386") if narrow else ("wine", "wine64")), note


def _mono(path: str) -> tuple[str, tuple[str, ...], str]:
    return (
        "mono",
        ("mono-runtime",),
        "programs for newer .NET need Microsoft's `dotnet`, which no distribution's base has",
    )


def _java(path: str) -> tuple[str, tuple[str, ...], str]:
    return "java", ("default-jre",), ""


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
