"""The files of a binary cache, wherever they are: a directory (file://) or a web server (http://, https://).

Names are relative, as `devenv.formats.narinfo.check_url` leaves them. Reading and writing raise `DevenvError`s that name
the cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from devenv.fetch.errors import FetchError, StatusError, TransientError
from devenv.fetch.urls import parsed, with_slash
from devenv.fetch.urls import shown as shown_url
from devenv.store.errors import StoreError, explaining, shown

if TYPE_CHECKING:
    from devenv.fetch.http import Client

_CHUNK = 1 << 16
_MISSING = (403, 404, 410)  # storage services without a listing say 403
_TYPES = {".narinfo": "text/x-nix-narinfo", "nix-cache-info": "text/x-nix-cache-info"}


class CacheError(StoreError):
    """A binary cache cannot be used. `cache` is its URL without credentials."""

    def __init__(self, message: str, *, cache: str, hint: str | None = None, path: str | None = None) -> None:
        super().__init__(message, hint=hint, path=path)
        self.cache = cache


class Files(Protocol):
    """`url` is without credentials. All methods may be called from any thread."""

    @property
    def url(self) -> str: ...

    @property
    def is_local(self) -> bool:
        """Whether asking costs next to nothing."""
        ...

    def read(self, name: str, limit: int) -> bytes | None:
        """A file of at most `limit` bytes, None where there is none."""
        ...

    def stream(self, name: str) -> Iterator[bytes]:
        """The contents of a file, in chunks. Going on after a broken connection is seen to."""
        ...

    def size(self, name: str) -> int | None:
        """The bytes of a file, where that is known without asking anybody."""
        ...

    def aside(self) -> str | None:
        """A new path to write a file at for `move_in`, None where any place does."""
        ...

    def move_in(self, source: str, name: str) -> None:
        """Make the file at `source` the file `name`, at once. It may be gone afterwards."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Make `data` the file `name`, at once."""
        ...


def open_files(url: str, client: Callable[[], Client]) -> Files:
    """The files at a URL, or below an absolute path. `client` is called where the network is needed.

    Raises CacheError for a URL that can be none.
    """
    if url.startswith("/"):
        return LocalFiles(url)
    parts = parsed(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        from urllib.parse import unquote

        return LocalFiles(os.path.normpath(unquote(parts.path)))
    if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
        return WebFiles(url, client())
    raise CacheError(
        f"{shown_url(url)!r} cannot be a binary cache",
        cache=shown_url(url),
        hint="a cache is named by a URL: https://cache.example.org, or file:///srv/cache for a directory",
    )


class LocalFiles:
    """A cache in a directory, made when something is written."""

    is_local = True

    def __init__(self, directory: str) -> None:
        self._directory = "/" + directory.strip("/")
        self.url = f"file://{shown(self._directory)}"

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def read(self, name: str, limit: int) -> bytes | None:
        """See `Files.read`."""
        path = self._path(name)
        with explaining("reading the cache", path):
            try:
                with open(path, "rb") as file:
                    data = file.read(limit + 1)
            except FileNotFoundError:
                return None
        if len(data) > limit:
            raise CacheError(
                f"{shown(path)} is larger than {limit} bytes, which no such file is",
                cache=self.url,
                path=path,
            )
        return data

    def stream(self, name: str) -> Iterator[bytes]:
        path = self._path(name)
        with explaining("reading the cache", path), open(path, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def size(self, name: str) -> int | None:
        try:
            return os.stat(self._path(name)).st_size
        except OSError:
            return None

    def aside(self) -> str | None:
        """Beside the archives, where renaming works, under a name that no reader asks for."""
        directory = self._path("nar")
        with explaining("writing to the cache", self._directory):
            os.makedirs(directory, exist_ok=True)
        return os.path.join(directory, f".{os.getpid()}-{os.urandom(6).hex()}.tmp")

    def move_in(self, source: str, name: str) -> None:
        path = self._path(name)
        with explaining("writing to the cache", path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(source, path)

    def write(self, name: str, data: bytes) -> None:
        """See `Files.write`; renamed into place."""
        path = self._path(name)
        aside = f"{path}.{os.getpid()}-{os.urandom(6).hex()}.tmp"
        with explaining("writing to the cache", path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                with open(aside, "wb") as file:
                    file.write(data)
                os.rename(aside, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(aside)
                raise


class WebFiles:
    """A cache on a web server; writing needs one that takes PUT requests."""

    is_local = False

    def __init__(self, url: str, client: Client) -> None:
        self._base = with_slash(url)
        self._client = client
        self.url = shown_url(url).rstrip("/")

    def read(self, name: str, limit: int) -> bytes | None:
        missing = (404, 410) if name == "nix-cache-info" else _MISSING
        return self._client.read(self._base + name, limit=limit, missing=missing)

    def stream(self, name: str) -> Iterator[bytes]:
        """See `Files.stream`; a transfer that breaks goes on where it was."""
        retries = self._client.retries()
        done = 0
        while True:
            before = done
            try:
                with self._client.stream(self._base + name, offset=done) as response:
                    skipped = done - response.offset
                    for chunk in response.chunks():
                        # A server without ranges begins anew: what is known is passed over.
                        fresh = chunk[skipped:] if skipped > 0 else chunk
                        skipped -= min(len(chunk), max(skipped, 0))
                        done += len(fresh)
                        if fresh:
                            yield fresh
                return
            except TransientError as error:
                retries.failed(error, progressed=done > before)
            except StatusError as error:
                if error.status == 416 and done:
                    return  # broken off just behind the last byte
                raise

    def size(self, name: str) -> int | None:
        return None

    def aside(self) -> str | None:
        return None

    def move_in(self, source: str, name: str) -> None:
        self._put(name, source, "application/x-nix-nar")

    def write(self, name: str, data: bytes) -> None:
        kind = next((kind for end, kind in _TYPES.items() if name.endswith(end)), "application/octet-stream")
        self._put(name, data, kind)

    def _put(self, name: str, body: bytes | str, kind: str) -> None:
        try:
            with explaining("uploading", body if isinstance(body, str) else self.url):
                self._client.put(self._base + name, body, content_type=kind)
        except StatusError as error:
            hint = error.hint
            if error.status in (404, 405, 501):
                hint = "The server must take PUT requests; push to a directory that it serves instead."
            raise FetchError(error.message, hint=hint, url=error.url) from error
