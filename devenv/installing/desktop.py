"""Entries of menus and icons for installed programs. After the Desktop Entry Specification 1.5 and the Icon Theme Specification.

What a bundle says of itself is taken over (name, categories, types of files); what it starts is the launcher instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_TAKEN = (
    *("Name", "GenericName", "Comment", "Categories", "MimeType", "Keywords", "Terminal", "StartupNotify"),
    *("StartupWMClass", "Icon"),
)
_LOCALIZED = re.compile(r"(Name|GenericName|Comment|Keywords)\[[A-Za-z0-9_.@-]+\]")
_FIELD_CODES = ("%U", "%u", "%F", "%f")
_LARGEST = 4 << 20
_MOST_ENTRIES = 50
_PNG = b"\x89PNG\r\n\x1a\n"


def read_entry(text: str) -> dict[str, str]:
    """The keys of the group [Desktop Entry]; the field code of Exec as "Field", the program's name as "Program"."""
    found: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.strip() == "[Desktop Entry]"
            continue
        key, equals, value = line.partition("=")
        key, value = key.strip(), value.strip()
        if not inside or not equals or line.startswith("#"):
            continue
        if key in _TAKEN or _LOCALIZED.fullmatch(key):
            found.setdefault(key, value)
        elif key == "Exec":
            found["Field"] = next((code for code in _FIELD_CODES if code in value.split()), "")
            found["Program"] = os.path.basename(value.split()[0].strip('"')) if value else ""
    return found


def entry_text(launcher: str, name: str, given: Mapping[str, str], icon: str | None) -> str:
    """A desktop entry that starts `launcher`."""
    keys = {"Type": "Application", "Name": name, "Terminal": "false", **given}
    field = keys.pop("Field", "")
    for key in ("Icon", "Program"):
        keys.pop(key, None)
    keys["Exec"] = f"{quoted(launcher)} {field}".rstrip()
    if icon is not None:
        keys["Icon"] = icon
    return "".join(["[Desktop Entry]\n", *(f"{key}={value}\n" for key, value in keys.items())])


def quoted(path: str) -> str:
    """A path as a word of Exec: quoted by that key's rules, then escaped as every string of the file is."""
    inner = re.sub(r'(["`$\\])', r"\\\1", path).replace("%", "%%")
    return '"' + inner.replace("\\", "\\\\") + '"'


def find_entry(directory: str, files: tuple[str, ...], program: str, *, only: bool) -> dict[str, str]:
    """What a bundle's desktop entry for `program` says, else that of its first one; {} if it has none.

    only: of several programs that may lie beside each other, so that an entry for another is none.
    """
    first: dict[str, str] = {}
    names = [name for name in files if name.endswith(".desktop")]
    for name in sorted(names, key=lambda each: (each.count("/"), each))[:_MOST_ENTRIES]:
        try:
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
                found = read_entry(file.read(_LARGEST))
        except OSError:
            continue
        if found.pop("Program", "") in (os.path.basename(program), "AppRun"):
            return found
        first = first or found
    return {} if only else first


def find_icon(directory: str, files: tuple[str, ...], wanted: str) -> tuple[str, str, bytes] | None:
    """(size directory of the theme, extension, contents) of a bundle's icon, the largest; None if it has none."""
    best: tuple[int, str, str, bytes] | None = None
    stem = os.path.basename(wanted).removesuffix(".png").removesuffix(".svg")
    for name in files:
        base = os.path.basename(name)
        if base not in (f"{stem}.png", f"{stem}.svg", ".DirIcon") or (not stem and base != ".DirIcon"):
            continue
        data = _contents(os.path.join(directory, name))
        size = _size(data)
        if size and (best is None or size > best[0]):
            scalable = size == _SCALABLE
            best = (
                size,
                "scalable" if scalable else f"{size}x{size}",
                "svg" if scalable else "png",
                data,
            )
    return None if best is None else best[1:]


_SCALABLE = 1 << 16


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError:
        return b""
    return data if len(data) <= _LARGEST else b""


def _size(data: bytes) -> int:
    """The width of a PNG, more than any for an SVG, 0 for anything else."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR":
        width = int.from_bytes(data[16:20], "big")
        return width if 0 < width <= 4096 else 0
    return _SCALABLE if b"<svg" in data[:4096] else 0
