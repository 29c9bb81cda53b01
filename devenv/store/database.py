"""The database of valid paths: Nix's schema 10 in SQLite, rows in and values out.

One connection serves all threads of a process. Everything raises `StoreError`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import reserve
from devenv.store.errors import StoreError, explaining, shown
from devenv.store.locks import lock, open_lock_file, try_lock
from devenv.store.objects import Facts, Objects

SCHEMA_VERSION = 10

# How long to wait for another writer, as Nix does. SQLite itself waits only for a second at a time, so that an
# interrupt gets through.
_PATIENCE_SECONDS = 3600
_ONE_WAIT_SECONDS = 1.0
_RETRY_SECONDS = 0.005

_PRAGMAS = (
    "pragma foreign_keys = 1",  # removing a path removes its rows in Refs
    "pragma synchronous = normal",
    "pragma journal_mode = wal",
    "pragma wal_autocheckpoint = 40000",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathInfo:
    """What is registered about a store object.

    nar_hash: SHA-256 of its NAR; nar_size: the NAR's length in bytes
    deriver: the derivation that it was built from here, or by whoever signed it
    content_address: the claim that its path follows from its contents ("text:sha256:...", "fixed:r:sha256:...")
    ultimate: built on this machine
    signatures: "name:base64" of keys, trusted or not, that vouch for all but the deriver; sorted
    """

    path: StorePath
    nar_hash: Hash
    nar_size: int
    references: tuple[StorePath, ...] = ()
    deriver: StorePath | None = None
    content_address: str | None = None
    ultimate: bool = False
    signatures: tuple[str, ...] = ()


class Database:
    """An open database. Its `big-lock` is held shared until `close`."""

    def __init__(self, path: str) -> None:
        """Open the database file `path`, made with its directory where there is none."""
        self._path = path
        self._guard = threading.RLock()
        self._big_lock = -1
        self._connection: sqlite3.Connection | None = None
        try:
            with explaining("opening the store's database", path):
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        directory = os.path.dirname(self._path)
        os.makedirs(directory, exist_ok=True)
        self._big_lock = open_lock_file(os.path.join(directory, "big-lock"))
        lock(self._big_lock, exclusive=False)
        while not self._exists():
            # Never waited for: who makes it at the same time shares the lock from then on, for as long as a build takes.
            if try_lock(self._big_lock, exclusive=True):
                if not self._exists():
                    self._create()
            else:
                time.sleep(_RETRY_SECONDS)  # without the lock, which a failed try gives up
            lock(self._big_lock, exclusive=False)
        self._check_version()
        if self._connection is None:
            self._connect("rw")

    def _exists(self) -> bool:
        return os.path.exists(self._version_file) and os.path.exists(self._path)

    @property
    def _version_file(self) -> str:
        return os.path.join(os.path.dirname(self._path), "schema")

    def _check_version(self) -> None:
        with open(self._version_file, encoding="ascii", errors="replace") as file:
            text = file.read(100).strip()
        if text == str(SCHEMA_VERSION):
            return
        if text.isdecimal() and int(text) > SCHEMA_VERSION:
            hint = "A newer Nix has changed it: use a newer devenv, or another store directory."
        elif text.isdecimal():
            hint = (
                "An old Nix has made it: any command of Nix 2.3 or later on this store brings it up to date."
            )
        else:
            hint = f"If you did not write that file yourself, move {shown(os.path.dirname(self._path))} elsewhere."
        raise StoreError(
            f"opening the store's database: {shown(self._version_file)} says schema {shown(text)!r}, "
            f"where {SCHEMA_VERSION} is expected",
            hint=hint,
            path=self._version_file,
        )

    def _create(self) -> None:
        self._connect("rwc")
        with open(os.path.join(os.path.dirname(__file__), "schema.sql"), encoding="ascii") as file:
            statements = file.read()
        assert self._connection is not None
        self._connection.executescript(f"begin immediate; {statements} commit;")
        aside = f"{self._version_file}.tmp"  # big-lock is held exclusively: nobody else writes it
        with open(aside, "w", encoding="ascii") as file:
            file.write(str(SCHEMA_VERSION))
        os.rename(aside, self._version_file)
        reserve.make(self._path)

    def _connect(self, mode: str) -> None:
        from urllib.parse import quote

        self._connection = sqlite3.connect(
            f"file:{quote(os.fsencode(self._path))}?mode={mode}",
            uri=True,
            timeout=_ONE_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        for pragma in _PRAGMAS:
            self._execute(pragma).close()

    def close(self) -> None:
        """Close the connection. Nothing can be asked any more."""
        with self._guard:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            if self._big_lock >= 0:
                os.close(self._big_lock)
                self._big_lock = -1

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if self._connection is None:
            raise ValueError("the database is closed")
        deadline: float | None = None
        while True:
            try:
                return self._connection.execute(statement, values)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                now = time.monotonic()
                deadline = deadline or now + _PATIENCE_SECONDS
                if now > deadline:
                    raise

    def _rows(self, doing: str, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        with self._guard, explaining(doing, self._path):
            return self._execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._guard, explaining(doing, self._path):
            self._execute("begin immediate")
            connection = self._connection
            assert connection is not None
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:  # SQLite itself ends it on some errors
                    connection.execute("rollback")
                raise

    def valid_paths(self, paths: Iterable[str]) -> set[StorePath]:
        """Which of `paths` are registered."""
        rows = self._rows(
            "asking for valid paths",
            "select path from ValidPaths where path in (select value from json_each(?))",
            (json.dumps(list(paths)),),
        )
        return {StorePath(str(path)) for (path,) in rows}

    def info(self, path: str) -> PathInfo | None:
        """What is registered about one path."""
        doing = "reading about a path"
        rows = self._rows(
            doing,
            "select hash, narSize, deriver, ca, ultimate, sigs from ValidPaths where path = ?",
            (path,),
        )
        if not rows:
            return None
        references = self._rows(
            doing,
            "select target.path from ValidPaths source join Refs on referrer = source.id"
            " join ValidPaths target on reference = target.id where source.path = ? order by target.path",
            (path,),
        )
        return self._path_info(path, rows[0], references)

    def _path_info(
        self, path: str, row: tuple[object, ...], references: list[tuple[object, ...]]
    ) -> PathInfo:
        nar_hash, nar_size, deriver, content_address, ultimate, signatures = row
        try:
            return PathInfo(
                path=StorePath(path),
                nar_hash=Hash.parse_typed(str(nar_hash)),
                nar_size=int(str(nar_size or 0)),
                references=tuple(StorePath(str(reference)) for (reference,) in references),
                deriver=None if deriver is None else StorePath(str(deriver)),
                content_address=None if content_address is None else str(content_address),
                ultimate=bool(ultimate),
                signatures=tuple(str(signatures or "").split()),
            )
        except (FormatError, ValueError) as error:
            raise StoreError(
                f"the store's database {shown(self._path)} holds nonsense about {shown(path)}: {error}",
                hint=f"Move {shown(os.path.dirname(self._path))} elsewhere: the store is then filled again "
                "as it is needed.",
                path=self._path,
            ) from error

    def closure(self, paths: Iterable[str]) -> set[StorePath]:
        """The registered ones among `paths` and all that they refer to, directly or not."""
        rows = self._rows(
            "following references",
            "with recursive reached(id) as ("
            " select id from ValidPaths where path in (select value from json_each(?))"
            " union select reference from Refs join reached on referrer = reached.id"
            ") select path from ValidPaths join reached using (id)",
            (json.dumps(list(paths)),),
        )
        return {StorePath(str(path)) for (path,) in rows}

    def objects(self, of: Iterable[str] | None = None) -> Objects:
        """What is registered: all of it, or the registered ones among `of` and what they refer to."""
        reached, values = (_EVERYTHING, ()) if of is None else (_REACHED, (json.dumps(list(of)),))
        doing = "reading what is registered"
        with self._guard, explaining(doing, self._path):
            self._execute("begin")  # one state of the database, whoever writes meanwhile
            try:
                paths, references, outputs = (
                    self._execute(f"{reached} {query}", values).fetchall()
                    for query in (
                        "select id, path, narSize, registrationTime, hash, ca, deriver from ValidPaths join reached using (id)",
                        "select referrer, reference from Refs join reached on referrer = reached.id",
                        "select drv, o.id, path from DerivationOutputs o join reached on drv = reached.id",
                    )
                )
            finally:
                self._execute("rollback")
        return _objects(paths, references, outputs)

    def referrers(self, paths: Iterable[str]) -> set[StorePath]:
        """Who refers directly to one of `paths`; a path may refer to itself."""
        rows = self._rows(
            "asking for referrers",
            "select distinct source.path from ValidPaths target join Refs on reference = target.id"
            " join ValidPaths source on referrer = source.id"
            " where target.path in (select value from json_each(?))",
            (json.dumps(list(paths)),),
        )
        return {StorePath(str(path)) for (path,) in rows}

    def signatures(self, paths: Iterable[str]) -> dict[StorePath, tuple[str, ...]]:
        """The signatures of each of `paths` that is registered."""
        rows = self._rows(
            "asking for signatures",
            "select path, sigs from ValidPaths where path in (select value from json_each(?))",
            (json.dumps(list(paths)),),
        )
        return {StorePath(str(path)): tuple(str(found or "").split()) for path, found in rows}

    def path_with_digest(self, prefix: str) -> StorePath | None:
        """The registered path that begins with `prefix`: the store directory, "/" and 32 characters."""
        rows = self._rows(
            "looking for a path",
            "select path from ValidPaths where path > ? and path < ? limit 1",
            (f"{prefix}-", f"{prefix}."),
        )
        return StorePath(str(rows[0][0])) if rows else None

    def add_signatures(self, signatures: Mapping[StorePath, Iterable[str]]) -> None:
        """Keep more signatures of registered paths."""
        with self._transaction("adding signatures") as connection:
            for path, more in signatures.items():
                row = connection.execute("select sigs from ValidPaths where path = ?", (path,)).fetchone()
                if row is not None:
                    known = {*str(row[0] or "").split(), *more}
                    connection.execute(
                        "update ValidPaths set sigs = ? where path = ?", (" ".join(sorted(known)), path)
                    )

    def derivation_outputs(self, drv: str) -> dict[str, StorePath]:
        """The outputs of a registered .drv file: name -> path, valid or not."""
        rows = self._rows(
            "asking for outputs",
            "select d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = d.drv"
            " where v.path = ? order by d.id",
            (drv,),
        )
        return {str(name): StorePath(str(path)) for name, path in rows}

    def derivers(self, path: str) -> set[StorePath]:
        """The registered .drv files that have `path` as an output."""
        rows = self._rows(
            "asking for derivers",
            "select v.path from DerivationOutputs d join ValidPaths v on v.id = d.drv where d.path = ?",
            (path,),
        )
        return {StorePath(str(drv)) for (drv,) in rows}

    def complaints(self) -> list[str]:
        """What SQLite finds wrong with the database itself, and references from or to nowhere."""
        doing = "checking the database"
        found = [str(line) for (line,) in self._rows(doing, "pragma quick_check", ()) if line != "ok"]
        for table, row, parent, _ in self._rows(doing, "pragma foreign_key_check", ()):
            found.append(f"row {row} of {table} belongs to a row of {parent} that does not exist")
        return found

    def unregister(self, paths: Iterable[str], *, checkpoint: bool = False) -> set[StorePath]:
        """Forget those of `paths` that no other registered path refers to; gives those forgotten.

        A set that refers to itself in a circle goes as a whole. `checkpoint` writes the log back afterwards, so
        that it takes no more space than before.
        """
        wanted = set(paths)
        with self._transaction("unregistering paths") as connection:
            while wanted:
                needed = connection.execute(_NEEDED_ELSEWHERE, {"paths": json.dumps(list(wanted))}).fetchall()
                if not needed:
                    break
                wanted.difference_update(path for (path,) in needed)
            listed = (json.dumps(list(wanted)),)
            connection.execute(_DELETE_REFERENCES, listed)
            gone = connection.execute(
                "delete from ValidPaths where path in (select value from json_each(?)) returning path", listed
            ).fetchall()
        if checkpoint:
            self._rows("writing the database", "pragma wal_checkpoint(truncate)", ())
        return {StorePath(str(path)) for (path,) in gone}

    def register(
        self,
        infos: Sequence[PathInfo],
        derivation_outputs: Mapping[StorePath, Mapping[str, str]] | None = None,
    ) -> None:
        """Register all of `infos` or, on any error, none. References must be valid or among them.

        `derivation_outputs`: for each .drv path among them, output name -> output path. What is registered
        already is replaced.
        """
        named = {path for info in infos for path in (info.path, *info.references)}
        with self._transaction("registering paths") as connection:
            connection.executemany(_UPSERT, [_row(info) for info in infos])
            numbers = dict(
                connection.execute(
                    "select path, id from ValidPaths where path in (select value from json_each(?))",
                    (json.dumps(list(named)),),
                )
            )
            _require_references(infos, numbers)
            connection.executemany(
                "delete from Refs where referrer = ?", [(numbers[info.path],) for info in infos]
            )
            connection.executemany(
                "insert or ignore into Refs (referrer, reference) values (?, ?)",
                [(numbers[info.path], numbers[to]) for info in infos for to in info.references],
            )
            connection.executemany(
                "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)",
                [
                    (numbers[drv], output, path)
                    for drv, outputs in (derivation_outputs or {}).items()
                    for output, path in outputs.items()
                ],
            )


# What `objects` takes from: everything, or the given paths and all below them.
_EVERYTHING = "with reached(id) as (select id from ValidPaths)"
_REACHED = (
    "with recursive reached(id) as ("
    "select id from ValidPaths where path in (select value from json_each(?))"
    " union select reference from Refs join reached on referrer = reached.id)"
)

_DELETE_REFERENCES = (
    "delete from Refs where referrer in"
    " (select id from ValidPaths where path in (select value from json_each(?)))"
)

_NEEDED_ELSEWHERE = (
    "select distinct target.path from ValidPaths target join Refs on reference = target.id"
    " join ValidPaths source on referrer = source.id"
    " where target.path in (select value from json_each(:paths))"
    " and source.path not in (select value from json_each(:paths))"
)


def _objects(
    paths: Sequence[tuple[object, ...]],
    references: Sequence[tuple[object, ...]],
    outputs: Sequence[tuple[object, ...]],
) -> Objects:
    names = {row[0]: StorePath(str(row[1])) for row in paths}
    below: dict[object, list[StorePath]] = {number: [] for number in names}
    for referrer, reference in references:
        if reference in names:
            below[referrer].append(names[reference])
    made: dict[object, dict[str, StorePath]] = {}
    for drv, name, path in outputs:
        made.setdefault(drv, {})[str(name)] = StorePath(str(path))
    return {
        names[number]: Facts(
            size=size if isinstance(size, int) else 0,
            registered=moment if isinstance(moment, int) else 0,
            nar_hash=str(nar_hash),
            content_address=None if address is None else str(address),
            references=tuple(sorted(below[number])),
            deriver=None if deriver is None else StorePath(str(deriver)),
            outputs=made.get(number, {}),
        )
        for number, _, size, moment, nar_hash, address, deriver in paths
    }


_UPSERT = (
    "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca)"
    " values (?, ?, ?, ?, ?, ?, ?, ?)"
    " on conflict (path) do update set hash = excluded.hash, deriver = excluded.deriver,"
    " narSize = excluded.narSize, ultimate = excluded.ultimate, sigs = excluded.sigs, ca = excluded.ca"
)


def _row(info: PathInfo) -> tuple[object, ...]:
    return (
        info.path,
        info.nar_hash.typed_hex,
        int(time.time()),
        info.deriver,
        info.nar_size,
        1 if info.ultimate else None,
        " ".join(info.signatures) or None,
        info.content_address,
    )


def _require_references(infos: Sequence[PathInfo], numbers: Mapping[str, int]) -> None:
    for info in infos:
        missing = [reference for reference in info.references if reference not in numbers]
        if missing:
            raise StoreError(
                f"registering {info.path}: it refers to {', '.join(missing)}, which this store does not have",
                path=info.path,
            )
