"""Trees for tests: written from the descriptions in the vectors, and as lists of what is on disk."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

_VECTORS = Path(__file__).parents[1] / "data" / "nix_store_vectors.json"


def vectors() -> dict[str, Any]:
    """What Nix itself printed: `trees` are inputs, `stores` and `storeIndependent` results."""
    loaded: dict[str, Any] = json.loads(_VECTORS.read_text(encoding="utf-8"))
    return loaded


def write(description: dict[str, Any], path: Path) -> None:
    """Write the tree that the vectors describe, with modes that are not yet canonical."""
    match description["type"]:
        case "directory":
            path.mkdir()
            for name, entry in description["entries"].items():
                write(entry, path / name)
        case "symlink":
            path.symlink_to(description["target"])
        case _:
            contents = description.get("contents", "").encode()
            path.write_bytes(base64.b64decode(description["base64"]) if "base64" in description else contents)
            path.chmod(0o711 if description.get("executable") else 0o664)


def make_odd(path: Path) -> None:
    """A directory with every kind of name, link and mode that a store object may have."""
    root = os.fsencode(path)
    os.makedirs(root + b"/deep/er/\xff\xfe")
    for name, contents, mode in (
        (b"new\nline", b"1", 0o600),
        (b"not-utf-8-\xff", b"1234567", 0o644),
        (b"blank ", b"12345678", 0o4755),
        ("é".encode(), b"", 0o654),
        (b"-rf", b"123456789", 0o500),
        (b"deep/er/\xff\xfe/x" + b"y" * 200, b"\0" * 300_000, 0o644),
        (b"large", b"0123456789abcdef" * 80_000, 0o755),
    ):
        with open(root + b"/" + name, "wb") as file:
            file.write(contents)
        os.chmod(root + b"/" + name, mode)
    os.symlink(b"no\nwhere/\xff", root + b"/dangling")
    os.symlink(b"..", root + b"/up")
    os.mkdir(root + b"/empty")
    os.chmod(root + b"/empty", 0o1777)


def listing(path: str | Path) -> list[tuple[str, int, int, int, bytes]]:
    """Of every entry below and including `path`: relative name, mode, seconds of its time, links, contents."""
    found = []
    for directory, directories, files in os.walk(path):
        for name in ["", *directories, *files]:
            entry = os.path.join(directory, name) if name else directory
            if name and os.path.isdir(entry) and not os.path.islink(entry):
                continue
            status = os.lstat(entry)
            found.append(
                (
                    os.path.relpath(entry, path),
                    status.st_mode,
                    int(status.st_mtime),
                    status.st_nlink,
                    _contents(entry),
                )
            )
    if not os.path.isdir(path) or os.path.islink(path):
        status = os.lstat(path)
        found.append(("", status.st_mode, int(status.st_mtime), status.st_nlink, _contents(str(path))))
    return sorted(found)


def _contents(path: str) -> bytes:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return os.readlink(os.fsencode(path))
    if stat.S_ISREG(mode):
        with open(path, "rb") as file:
            return file.read()
    return b""
