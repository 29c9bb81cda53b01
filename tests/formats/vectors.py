"""The values that Nix printed, from tests/data/nix_store_vectors.json; its "about" says how."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devenv.formats.nar import Chunk, Directory, Event, File, Leave, Symlink

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "nix_store_vectors.json").read_text()
)
TREES: dict[str, Any] = VECTORS["trees"]
NAR: dict[str, Any] = VECTORS["storeIndependent"]["nar"]
FLAT: dict[str, dict[str, str]] = VECTORS["storeIndependent"]["flat"]
PLACEHOLDERS: dict[str, str] = VECTORS["storeIndependent"]["placeholder"]
STORES: dict[str, Any] = VECTORS["stores"]
STORE_DIRS = sorted(STORES)


def contents(tree: dict[str, Any]) -> bytes:
    """The contents of one of TREES that is a file."""
    if "base64" in tree:
        return base64.b64decode(tree["base64"])
    text: str = tree["contents"]
    return text.encode()


def events(tree: dict[str, Any], name: bytes = b"") -> Iterator[Event]:
    """One of TREES as the events of its archive."""
    if tree["type"] == "symlink":
        yield Symlink(name, tree["target"].encode())
    elif tree["type"] == "regular":
        data = contents(tree)
        yield File(name, tree.get("executable", False), len(data))
        if data:
            yield Chunk(data)
    else:
        yield Directory(name)
        entries = {entry.encode(): child for entry, child in tree["entries"].items()}
        for entry in sorted(entries):
            yield from events(entries[entry], entry)
        yield Leave()
