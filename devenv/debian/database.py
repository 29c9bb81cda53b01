"""Small SQLite databases in the cache, each made once from one index of a suite.

A database is named by the hash of the index it holds, so that it is never out of date. It is written aside and
renamed; one that is damaged all the same is thrown away and made again.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from devenv.debian.errors import DebianError
from devenv.debian.release import IndexFile
from devenv.debian.suites import OpenSuite, cache_hint, plain_chunks, safe_name
from devenv.events import Finished, Progressed, Started
from devenv.formats.errors import FormatError

Fill = Callable[[sqlite3.Connection, Iterable[bytes]], None]

_LARGEST_INDEX = 4 << 30  # bytes, decompressed; where the suite does not say
_WHOLE = 0x64767831  # the user version of a database that was finished
_PRAGMAS = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA page_size=8192; PRAGMA encoding='UTF-8';"


class DamagedDatabase(DebianError):
    """A database in the cache cannot be read. It has been deleted; another attempt makes it again."""


class Database:
    """A finished database, read only."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection = _connected(path)

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, *values: object) -> list[Any]:
        """All rows of a query. Raises `DamagedDatabase`."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            self.close()
            with suppress(OSError):
                os.unlink(self.path)
            raise DamagedDatabase(f"reading {self.path}: {error}", hint="run the command again") from error


def _connected(path: str) -> sqlite3.Connection:
    from urllib.parse import quote

    # Nobody writes to it any more, and a lock file could not be made in a cache that belongs to somebody else.
    return sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def is_whole(path: str) -> bool:
    """Whether a database is there and as long as it says: a cheap test, made each time."""
    try:
        with open(path, "rb") as file:
            header = file.read(100)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return False
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    return size == page * pages and int.from_bytes(header[60:64], "big") == _WHOLE


def open_database(
    suite: OpenSuite, index: str, kind: str, schema: str, fill: Fill, indices: str
) -> Database | None:
    """The database of an index ("main/binary-amd64/Packages"), made by `fill` if need be.

    `kind` and the version of its schema begin its name. None where the suite has no such index. Raises `ArchiveError`
    where the index cannot be had, `DebianError` where the database cannot be made.
    """
    file = suite.release.best(index)
    if file is None:
        return None
    prefix = f"{kind}-{suite.suite.archive}-{suite.suite.name}-{safe_name(index)}-"
    path = os.path.join(suite.places.cache, f"{prefix}{file.sha256}.sqlite")
    if not is_whole(path):
        with _one_at_a_time(suite.places.cache):
            if not is_whole(path):
                _make(suite, index, path, schema, fill, indices)
                _forget_others(path, prefix)
    return Database(path)


@contextmanager
def _one_at_a_time(cache: str) -> Iterator[None]:
    """Whoever asks for the same at the same time waits, and finds it made."""
    try:
        handle = os.open(os.path.join(cache, "making.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DebianError(f"writing {cache}: {error.strerror}", hint=cache_hint(error.errno)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _forget_others(path: str, prefix: str) -> None:
    """Delete databases of earlier editions. Whoever reads one just now can go on."""
    folder, own = os.path.split(path)
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(".sqlite") and name != own:
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))


def _make(suite: OpenSuite, index: str, path: str, schema: str, fill: Fill, indices: str) -> None:
    file = suite.release.best(index)
    assert file is not None
    fetched = suite.fetch(file)
    aside = f"{path}.{os.getpid()}-{threading.get_ident()}"
    plain = suite.release.files.get(index)
    label = f"index of {suite.suite.name} {index}"
    try:
        with _reported(suite, path, label, plain) as count, _written(aside) as database:
            database.executescript(_PRAGMAS + schema)
            database.execute("BEGIN")
            fill(database, count(plain_chunks(fetched, plain.size if plain else _LARGEST_INDEX)))
            database.execute("COMMIT")
            database.executescript(f"{indices} PRAGMA user_version={_WHOLE};")
        os.replace(aside, path)
    except (sqlite3.DatabaseError, OSError, FormatError) as error:
        hint = None if isinstance(error, FormatError) else cache_hint(getattr(error, "errno", None))
        raise DebianError(f"making the {label}: {error}", hint=hint) from error
    finally:
        for each in (aside, fetched):
            with suppress(OSError):
                os.unlink(each)


@contextmanager
def _written(path: str) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _reported(
    suite: OpenSuite, key: str, label: str, plain: IndexFile | None
) -> Iterator[Callable[[Iterable[bytes]], Iterator[bytes]]]:
    """Tells of the beginning, of what is read, and of the end."""
    reporter = suite.places.reporter

    def count(chunks: Iterable[bytes]) -> Iterator[bytes]:
        done = 0
        for chunk in chunks:
            done += len(chunk)
            reporter.event(Progressed(key=key, done=done))
            yield chunk

    reporter.event(Started(kind="index", key=key, label=label, size=plain.size if plain else None))
    failed = True
    try:
        yield count
        failed = False
    finally:
        reporter.event(Finished(key=key, failed=failed))
