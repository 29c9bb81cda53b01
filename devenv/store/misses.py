"""What caches on the web did not have when they were last asked, so that they are not asked again at once.

Only for saving time: whatever goes wrong with the file, it is as if nothing were known.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress

from devenv.formats.store_path import StorePath, digest_of

LIFETIME = 3600.0  # seconds

_SCHEMA = (
    "create table if not exists Misses (cache text not null, digest text not null, until real not null,"
    " primary key (cache, digest)) without rowid"
)


class Misses:
    """Kept in the file `path`. May be used from any thread; `clock` is in seconds."""

    def __init__(
        self, path: str, *, lifetime: float = LIFETIME, clock: Callable[[], float] = time.time
    ) -> None:
        self._path, self._lifetime, self._clock = path, lifetime, clock

    def among(self, cache: str, paths: Iterable[StorePath]) -> set[StorePath]:
        """Those of `paths` that the cache at this URL lately did not have."""
        by_digest = {digest_of(path): path for path in paths}
        now = self._clock()
        rows = self._execute(
            "select digest from Misses where cache = ? and until between ? and ?"
            " and digest in (select value from json_each(?))",
            # What seems to hold for longer was written under another clock.
            [(cache, now, now + self._lifetime, json.dumps(list(by_digest)))],
        )
        return {by_digest[digest] for (digest,) in rows}

    def add(self, cache: str, paths: Iterable[StorePath]) -> None:
        """Remember that the cache has none of `paths`."""
        now = self._clock()
        rows = [(cache, digest_of(path), now + self._lifetime) for path in paths]
        if rows:
            self._execute("delete from Misses where until < ?", [(now,)])
            self._execute("insert or replace into Misses values (?, ?, ?)", rows)

    def forget(self, cache: str) -> None:
        """Ask this cache again about everything."""
        if os.path.exists(self._path):
            self._execute("delete from Misses where cache = ?", [(cache,)])

    def _execute(self, statement: str, values: Sequence[tuple[object, ...]]) -> list[tuple[str]]:
        """The rows that a statement gives, run once for each of `values`; none where it cannot be run."""
        with suppress(sqlite3.Error, OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=2.0)) as connection, connection:
                connection.execute(_SCHEMA)
                if len(values) == 1:
                    return connection.execute(statement, values[0]).fetchall()
                connection.executemany(statement, values)
        return []
