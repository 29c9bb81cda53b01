"""What was decided about a file, kept by its contents: the next start needs no second look.

state/foreign/plans/KEY.json   a plan; KEY is of the contents, of where the file lies, and of what was asked for
state/foreign/seen/KEY.json    the contents' digest of a file with this place, size and times, so that it need not be read
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from devenv.foreign.digests import digest_of
from devenv.foreign.errors import ForeignError
from devenv.formats.hashes import Hash

_REVISION = 2
_SETTLED = 2.0  # seconds


class Memory:
    """`directory` is made when first written to. What cannot be read is forgotten, not an error."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def key(self, path: str, asked: Sequence[str]) -> str:
        """The name of the plan for a file and what was asked for. Raises ForeignError for a file that cannot be read."""
        place = os.path.realpath(path)
        contents = _listing(place) if os.path.isdir(place) else self._digest(place)
        text = json.dumps([_REVISION, contents, os.path.abspath(path), *asked])
        return Hash.of("sha256", text.encode("utf-8", "surrogateescape")).nix32[:32]

    def _digest(self, place: str) -> str:
        try:
            status = os.stat(place)
        except OSError as error:
            raise ForeignError(place, f"cannot be read: {error.strerror}") from error
        signature = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        name = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
        known = self._read(f"seen/{name}")
        if (
            isinstance(known, dict)
            and known.get("signature") == signature
            and isinstance(known.get("digest"), str)
        ):
            return str(known["digest"])
        digest = digest_of(place)
        # A file that changed just now may change again without its times showing it.
        if time.time() - status.st_ctime > _SETTLED:
            self._write(f"seen/{name}", {"signature": signature, "digest": digest})
        return digest

    def plan(self, key: str) -> dict[str, Any] | None:
        found = self._read(f"plans/{key}")
        return found if isinstance(found, dict) and found.get("revision") == _REVISION else None

    def keep(self, key: str, plan: dict[str, Any]) -> None:
        self._write(f"plans/{key}", {**plan, "revision": _REVISION})

    def forget(self, key: str) -> None:
        try:
            os.unlink(f"{self.directory}/plans/{key}.json")
        except OSError:
            return

    def _read(self, name: str) -> object:
        try:
            with open(f"{self.directory}/{name}.json", encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError, RecursionError):
            return None

    def _write(self, name: str, value: object) -> None:
        """Beside it, then renamed. Whoever cannot remember decides again the next time."""
        path = f"{self.directory}/{name}.json"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
                json.dump(value, file)
            os.rename(f"{path}.{os.getpid()}", path)
        except OSError:
            return


def _listing(place: str) -> str:
    """A directory by the names, sizes and times at its top."""
    found = hashlib.sha256()
    with os.scandir(place) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            status = entry.stat(follow_symlinks=False)
            found.update(os.fsencode(entry.name) + b"\0%d %d\0" % (status.st_size, status.st_mtime_ns))
    return found.hexdigest()
