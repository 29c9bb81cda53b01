"""Fetching one file by its hash: streamed, resumed, never trusted.

The bytes are hashed as the server sends them, whatever their content encoding. What has arrived stays
in the part file, so that the next attempt, or the next run, asks only for the rest.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import unquote

from devenv.errors import raise_problems
from devenv.events import Finished, Progressed, Reporter, Started
from devenv.fetch.errors import (
    CancelledError,
    EndpointError,
    FetchError,
    MismatchError,
    StatusError,
    TransientError,
)
from devenv.fetch.http import Client
from devenv.fetch.local_files import open_plain
from devenv.fetch.responses import CHUNK, Stream
from devenv.fetch.urls import shown, split
from devenv.formats.hashes import Hash

_REPORT_EVERY = 0.1  # seconds
_LOCK_POLL = 0.05  # seconds
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to fetch. `url` is absolute, `size` in bytes if known, `label` for people.

    `patient`: failures that may pass are retried.
    """

    url: str
    hash: Hash
    size: int | None = None
    label: str
    patient: bool = True


def download(
    client: Client,
    item: Download,
    target: str,
    *,
    part: str,
    reporter: Reporter,
    cancelled: threading.Event,
) -> None:
    """Writes the file to `part`, checks it, and renames it to `target` (same file system).

    Reports `Started` (key: `part`), `Progressed` and `Finished`. Raises `MismatchError` for another
    file than the one asked for, other `FetchError`s for failures, `CancelledError` once `cancelled` is
    set; only a wrong file's part is deleted. Two threads or processes with one part take turns.
    """
    reporter.event(Started(kind="fetch", key=part, label=item.label, size=item.size))
    failed = True
    try:
        with _locked(part, client, cancelled) as file:
            transfer = _Transfer(client, item, file, key=part, reporter=reporter, cancelled=cancelled)
            try:
                transfer.run()
            except MismatchError:
                os.unlink(part)
                raise
            os.rename(part, target)
        failed = False
    except OSError as error:
        hint = "Free some space there." if error.errno in _NO_SPACE else None
        raise FetchError(
            f"Cannot store {item.label} in {target}: {error.strerror or error}.", hint=hint
        ) from error
    except (StatusError, TransientError, EndpointError) as error:
        raise FetchError(f"{item.label}: {error}", hint=error.hint, url=error.url) from error
    finally:
        reporter.event(Finished(key=part, failed=failed))


def download_first(
    client: Client,
    items: Sequence[Download],
    target: str,
    *,
    part: str,
    reporter: Reporter,
    cancelled: threading.Event,
) -> None:
    """`download` from the first of several places that has the file. Raises what was wrong with each of them.

    Only the last is asked patiently. Servers that did not answer before come last.
    """
    problems: list[FetchError] = []
    order = sorted(items, key=lambda item: split(item.url).netloc in client.silent)
    for item in order:
        tried = replace(item, patient=item is order[-1])
        try:
            download(client, tried, target, part=part, reporter=reporter, cancelled=cancelled)
            return
        except CancelledError:
            raise
        except FetchError as error:
            if getattr(error.__cause__, "errno", None) in _NO_SPACE:
                raise
            if isinstance(error.__cause__, TransientError):
                client.silent.add(split(item.url).netloc)
            problems.append(error)
    raise_problems(problems)


@contextmanager
def _locked(part: str, client: Client, cancelled: threading.Event) -> Iterator[BinaryIO]:
    """The part file, at its beginning, in the hands of nobody else."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "r+b", buffering=0) as file:
            while not _lock(descriptor):
                if client.cancelled.is_set() or cancelled.wait(_LOCK_POLL):
                    raise CancelledError("Fetching was stopped.")
            # Whoever had it may have finished, and renamed or deleted it.
            if _is_at(descriptor, part):
                yield file
                return


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


class _Transfer:
    """One download under way: the part file, and the hash of what is in it."""

    def __init__(
        self,
        client: Client,
        item: Download,
        file: BinaryIO,
        *,
        key: str,
        reporter: Reporter,
        cancelled: threading.Event,
    ) -> None:
        self._client, self._item, self._file, self._key = client, item, file, key
        self._reporter, self._cancelled = reporter, cancelled
        self._hasher = hashlib.new(item.hash.algorithm, usedforsecurity=False)
        self._done = 0
        self._reported = 0.0
        # Whether bytes of different requests make up the file: then its server may have changed it.
        self._is_pieced = False

    def run(self) -> None:
        """Fetches until the file is whole and right."""
        if split(self._item.url).scheme == "file":
            self._restart()
            self._copy_local()
            self._check()
            return
        self._take_up()
        self._fetch()
        if self._is_pieced and not self._matches():
            self._restart()
            self._fetch()
        self._check()

    def _fetch(self) -> None:
        retries = self._client.retries(patient=self._item.patient)
        while self._item.size is None or self._done < self._item.size or not self._done:
            before = self._done
            try:
                with self._client.stream(self._item.url, offset=self._done) as stream:
                    self._receive(stream)
                return
            except TransientError as error:
                retries.failed(error, progressed=self._done > before)
            except StatusError as error:
                # The part is as long as the file, or longer than it has become.
                if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not self._done:
                    raise
                if self._matches():
                    return
                self._restart()

    def _receive(self, stream: Stream) -> None:
        if stream.offset not in {0, self._done}:
            raise FetchError(f"{self._failed()}: the server sent another part of it than was asked for.")
        if stream.offset == 0:
            self._restart()
        else:
            self._is_pieced = True
        self._check_announced(stream.total)
        for chunk in stream.chunks():
            self._take(chunk)
        expected = self._item.size if stream.total is None else stream.total
        if expected is not None and self._done < expected:
            raise TransientError(
                f"{self._failed()}: the connection ended after {self._done} of {expected} bytes.",
                url=shown(self._item.url),
            )

    def _check_announced(self, total: int | None) -> None:
        size = self._item.size
        if size is not None and total is not None and total != size:
            raise self._mismatch(f"{size} bytes", f"{total} bytes")

    def _take(self, chunk: bytes) -> None:
        """Stores a piece. Never more than was announced."""
        if self._cancelled.is_set() or self._client.cancelled.is_set():
            raise CancelledError("Fetching was stopped.")
        size = self._item.size
        if size is not None and self._done + len(chunk) > size:
            raise self._mismatch(f"{size} bytes", f"more than {size} bytes")
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self._hasher.update(chunk)
        self._done += len(chunk)
        self._report()

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_EVERY or self._done == self._item.size:
            self._reported = now
            self._reporter.event(Progressed(key=self._key, done=self._done))

    def _take_up(self) -> None:
        """Hashes what an earlier run left."""
        while chunk := self._file.read(CHUNK * 4):
            if self._cancelled.is_set():
                raise CancelledError("Fetching was stopped.")
            self._hasher.update(chunk)
            self._done += len(chunk)
        if self._item.size is not None and self._done > self._item.size:
            self._restart()
        self._is_pieced = self._done > 0
        if self._done:
            self._report()

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hasher = hashlib.new(self._item.hash.algorithm, usedforsecurity=False)
        self._done, self._is_pieced = 0, False

    def _copy_local(self) -> None:
        parts = split(self._item.url)
        if parts.netloc not in {"", "localhost"}:
            raise FetchError(f"{self._failed()}: a file URL must not name another host.")
        path = unquote(parts.path)
        try:
            with open_plain(path) as source:
                while chunk := source.read(CHUNK * 4):
                    self._take(chunk)
        except (OSError, ValueError) as error:
            raise FetchError(f"{self._failed()}: {getattr(error, 'strerror', None) or error}.") from error

    def _matches(self) -> bool:
        return self._hasher.digest() == self._item.hash.digest

    def _check(self) -> None:
        size = self._item.size
        if size is not None and self._done != size:
            raise self._mismatch(f"{size} bytes", f"{self._done} bytes")
        if not self._matches():
            found = Hash(algorithm=self._item.hash.algorithm, digest=self._hasher.digest())
            raise self._mismatch(self._item.hash.sri, found.sri)

    def _failed(self) -> str:
        return f"Cannot fetch {self._item.label} from {shown(self._item.url)}"

    def _mismatch(self, expected: str, found: str) -> MismatchError:
        return MismatchError(
            f"{self._failed()}: it is not the file that was locked.\n"
            f"  expected: {expected}\n"
            f"  found:    {found}",
            url=shown(self._item.url),
            expected=expected,
            found=found,
        )
