"""What the user has allowed or denied: small files in a directory of their own that no project can write.

    $XDG_STATE_HOME/devenv/trust/
        contents/DIGEST     what was allowed wherever it is found
        places/HASH         what was allowed in one directory; HASH is the SHA-256 of its real path
        denied/HASH         directories about which nothing more is to be asked

Each is a JSON object: "project" (a directory), "name", "time" (seconds since 1970), "items" (lists of kind, name,
value, when), and for places "identity" ("device-inode": a directory made anew under an old name is another one).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from devenv.errors import DevenvError
from devenv.state_home import state_directory
from devenv.trust_request import Item, Request

Verdict = Literal["allowed", "denied", "unknown"]


class TrustError(DevenvError):
    """The files about what is allowed cannot be written or read."""


class Untrusted(DevenvError):
    """A project asks for what its user has not allowed. `items` are what is new."""

    def __init__(self, message: str, *, items: tuple[Item, ...], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.items = items


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One thing that was allowed or denied. `content` is its digest, "" for that of a place."""

    project: str
    name: str
    time: float
    items: tuple[Item, ...]
    content: str = ""
    identity: str = ""


class Trust:
    """The user's answers."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._directory = os.path.join(state_directory(environ), "trust")

    def verdict(self, root: str, request: Request, items: Iterable[Item] | None = None) -> Verdict:
        """Whether the project at `root` may have `items`, by default all that it asks for."""
        wanted = set(request.items if items is None else items)
        if self._read(self._place("denied", root)) is not None:
            return "denied"
        if wanted <= set(self.allowed_here(root)):
            return "allowed"
        if request.content and self._read(self.content_path(request)) is not None:
            return "allowed"
        return "unknown"

    def content_path(self, request: Request) -> str:
        """The file that says that this content was allowed, wherever it lies."""
        return os.path.join(self._directory, "contents", request.content or "none")

    def is_place(self, root: str, request: Request) -> bool:
        """Whether it was allowed, or needed no allowing and got it, in this very directory."""
        grant = self._read(self._place("places", root))
        return (
            grant is not None and grant.identity == _identity(root) and set(request.items) <= set(grant.items)
        )

    def allowed_here(self, root: str) -> tuple[Item, ...]:
        """What was allowed in this very directory before."""
        grant = self._read(self._place("places", root))
        return grant.items if grant is not None and grant.identity == _identity(root) else ()

    def allow(self, root: str, request: Request) -> None:
        """Remember all that is asked for, for this directory and for others of the same content."""
        self.forget(root)
        grant = _document(root, request.name, request.items)
        _write(self._place("places", root), grant)
        if request.content:
            _write(os.path.join(self._directory, "contents", request.content), grant)

    def deny(self, root: str, request: Request | None) -> None:
        """Ask nothing more about this directory, and take back what was allowed: there and for its content."""
        self.forget(root)
        items = request.items if request else ()
        if request is not None and request.content:
            _remove(os.path.join(self._directory, "contents", request.content))
        _write(self._place("denied", root), _document(root, request.name if request else "", items))

    def forget(self, root: str) -> None:
        """Remove the answers about a directory."""
        for kind in ("places", "denied"):
            _remove(self._place(kind, root))

    def grants(self) -> dict[str, list[Grant]]:
        """Everything that was answered: by "places", "contents" and "denied", the latest last."""
        found: dict[str, list[Grant]] = {}
        for kind in ("places", "contents", "denied"):
            folder = os.path.join(self._directory, kind)
            with suppress(FileNotFoundError):
                read = (self._read(os.path.join(folder, name)) for name in os.listdir(folder))
                found[kind] = sorted((grant for grant in read if grant), key=lambda grant: grant.time)
        return found

    def _place(self, kind: str, root: str) -> str:
        return os.path.join(self._directory, kind, hashlib.sha256(os.fsencode(root)).hexdigest())

    def _read(self, path: str) -> Grant | None:
        try:
            with open(path, encoding="utf-8") as file:
                return _grant(json.load(file), os.path.basename(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise TrustError(
                f"reading what was allowed: {path}: {error}", hint="remove the file; you will be asked again"
            ) from error


def _identity(root: str) -> str:
    try:
        about = os.stat(root)
    except OSError:
        return ""
    return f"{about.st_dev}-{about.st_ino}"


def _document(root: str, name: str, items: Iterable[Item]) -> dict[str, Any]:
    return {
        "project": root,
        "name": name,
        "time": round(time.time(), 3),
        "identity": _identity(root),
        "items": [[item.kind, item.name, item.value, item.when] for item in items],
    }


def _grant(document: Any, name: str) -> Grant:
    return Grant(
        project=str(document["project"]),
        name=str(document["name"]),
        time=float(document["time"]),
        identity=str(document["identity"]),
        items=tuple(
            Item(str(kind), str(item), str(value), "entry" if when == "entry" else "use")
            for kind, item, value, when in document["items"]
        ),
        content=name,
    )


def _write(path: str, document: Mapping[str, Any]) -> None:
    aside = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        os.rename(aside, path)
    except OSError as error:
        raise TrustError(f"writing what is allowed: {path}: {error.strerror}") from error


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise TrustError(f"removing what was allowed: {path}: {error.strerror}") from error
