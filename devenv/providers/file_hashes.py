"""The hashes of files that a lockfile names without one: they are read once, when devenv.lock is made."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from devenv.adapter import FileQuery, RemoteFile
from devenv.events import Reporter
from devenv.fetch.errors import FetchError
from devenv.fetch.local_files import open_plain
from devenv.formats.hashes import Hash
from devenv.recipes.impure import stream_to

if TYPE_CHECKING:
    from devenv.fetch.http import Client

_AT_ONCE = 8


def answer_files(
    client: Client, queries: Sequence[FileQuery], reporter: Reporter
) -> dict[str, tuple[RemoteFile, ...]]:
    """The file of each query with its SHA-256, by the query's key. Raises one error for all that cannot be had."""
    from devenv.fetch.parallel import answer_each

    os.makedirs(client.endpoints.cache, exist_ok=True)
    return answer_each(client, queries, lambda query: _answer(client, query, reporter), at_once=_AT_ONCE)


def _answer(client: Client, query: FileQuery, reporter: Reporter) -> RemoteFile:
    url = client.endpoints.absolute(query.url)
    if url.startswith("file:"):
        hash, size = _local(unquote(urlsplit(url).path), query)
        return RemoteFile(file_name=query.file_name, url=query.url, hash=hash, size=size)
    with tempfile.TemporaryDirectory(prefix="file-", dir=client.endpoints.cache) as folder:
        target = os.path.join(folder, "file")
        hash = stream_to(client, url, target, query.label, reporter)
        size = os.path.getsize(target)
    return RemoteFile(file_name=query.file_name, url=query.url, hash=hash, size=size)


def _local(path: str, query: FileQuery) -> tuple[Hash, int]:
    try:
        with open_plain(path) as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return Hash("sha256", digest), os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        raise FetchError(
            f"Cannot read {path}, from which {query.label} comes: {getattr(error, 'strerror', None) or error}."
        ) from error
