"""Index answers kept on disk and asked about again ("is it still this?") instead of fetched again.

One file per URL and Accept header, named by their SHA-256: a line of JSON, then the body.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A kept answer. `validators`: the request headers that ask whether it still holds."""

    url: str
    content_type: str
    validators: Mapping[str, str]
    body: bytes


class MetadataCache:
    """Kept answers in one directory. Failing to keep or to read one is never an error."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def _path(self, url: str, accept: str) -> str:
        return os.path.join(self._directory, hashlib.sha256(f"{accept}\n{url}".encode()).hexdigest())

    def load(self, url: str, accept: str) -> Cached | None:
        """The answer kept for a URL, None where there is no whole one."""
        try:
            with open(self._path(url, accept), "rb") as file:
                head = json.loads(file.readline())
                body = file.read()
            validators = {str(name): str(value) for name, value in head["validators"].items()}
            found = Cached(
                url=str(head["url"]),
                content_type=str(head["content_type"]),
                validators=validators,
                body=body,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return found if head.get("sha256") == hashlib.sha256(body).hexdigest() else None

    def store(self, url: str, accept: str, answer: Cached) -> None:
        """Keeps an answer, readable by the user alone: a private index's pages are private."""
        head = {
            "url": answer.url,
            "content_type": answer.content_type,
            "validators": dict(answer.validators),
            "sha256": hashlib.sha256(answer.body).hexdigest(),
        }
        with suppress(OSError):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._directory)
            try:
                with open(descriptor, "wb") as file:
                    file.write(json.dumps(head).encode() + b"\n" + answer.body)
                os.replace(temporary, self._path(url, accept))
            except OSError:
                os.unlink(temporary)
                raise
