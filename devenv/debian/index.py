"""The packages of a suite: its Packages index as a database in the cache, made once for each edition."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from devenv.debian.database import Database, open_database
from devenv.debian.suites import OpenSuite
from devenv.formats.debian_relations import parse_relations
from devenv.formats.errors import FormatError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE package (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL, version TEXT NOT NULL, architecture TEXT NOT NULL,
    multi_arch TEXT NOT NULL, essential INTEGER NOT NULL, priority TEXT NOT NULL,
    depends TEXT NOT NULL, conflicts TEXT NOT NULL, provides TEXT NOT NULL,
    path TEXT NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL,
    recommends TEXT NOT NULL, section TEXT NOT NULL, source TEXT NOT NULL, homepage TEXT NOT NULL,
    installed_size INTEGER NOT NULL, description TEXT NOT NULL
);
CREATE TABLE provided (name TEXT NOT NULL, package INTEGER NOT NULL, version TEXT NOT NULL);
"""
_INDICES = """
CREATE INDEX package_name ON package (name);
CREATE INDEX package_essential ON package (id) WHERE essential;
CREATE INDEX provided_name ON provided (name);
"""
_FIELDS = (
    *("Package", "Version", "Architecture", "Multi-Arch", "Essential", "Priority", "Pre-Depends", "Depends"),
    *("Conflicts", "Breaks", "Provides", "Filename", "Size", "SHA256", "Recommends", "Section", "Source"),
    *("Homepage", "Installed-Size", "Description"),
)
# Several times as fast as a parser of all fields, and indices have ten thousands of stanzas.
_FIELD = re.compile(rf"^({'|'.join(_FIELDS)}):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*")
_PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}


class Package(NamedTuple):
    """A package as its index describes it. `depends` has Pre-Depends too, `conflicts` Breaks too."""

    name: str
    version: str
    architecture: str
    multi_arch: str  # "same", "foreign", "allowed" or ""
    essential: int
    priority: str
    depends: str
    conflicts: str
    provides: str
    path: str
    size: int
    sha256: bytes

    @property
    def rank(self) -> int:
        """By priority, the most important first."""
        return _PRIORITIES.get(self.priority, 5)


class Details(NamedTuple):
    """What an index says of a package for people. `installed_size` in KiB."""

    package: Package
    recommends: str
    section: str
    source: str
    homepage: str
    installed_size: int
    description: str


_COLUMNS = ", ".join(Package._fields)
_DETAIL_COLUMNS = f"{_COLUMNS}, " + ", ".join(Details._fields[1:])


class Index:
    """The packages of one suite for one architecture, "all" included."""

    def __init__(self, database: Database, suite: OpenSuite) -> None:
        self.suite, self._database = suite, database
        self._rows = database.rows

    def close(self) -> None:
        self._database.close()

    def named(self, name: str) -> list[Package]:
        """All packages of a name."""
        return [Package(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM package WHERE name = ?", name)]  # noqa: S608

    def providers(self, name: str) -> list[tuple[Package, str]]:
        """Packages that provide a name, and the version that they provide it with ("" for none)."""
        columns = ", ".join(f"package.{field}" for field in Package._fields)
        rows = self._rows(
            f"SELECT {columns}, provided.version FROM provided JOIN package ON package.id = provided.package"  # noqa: S608
            " WHERE provided.name = ?",
            name,
        )
        return [(Package(*row[:-1]), row[-1]) for row in rows]

    def essential(self) -> list[Package]:
        """The packages without which nothing else works."""
        return [Package(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM package WHERE essential")]  # noqa: S608

    def names(self) -> list[str]:
        """All names, of virtual packages too."""
        rows = self._rows("SELECT DISTINCT name FROM package UNION SELECT DISTINCT name FROM provided")
        return [row[0] for row in rows]

    def details(self, name: str) -> list[Details]:
        rows = self._rows(f"SELECT {_DETAIL_COLUMNS} FROM package WHERE name = ?", name)  # noqa: S608
        return [_details(row) for row in rows]

    def matching(self, words: Sequence[str]) -> list[Details]:
        """Packages that have every word in their name or description, whatever the case."""
        condition = " AND ".join(["(name LIKE ? ESCAPE '\\' OR description LIKE ? ESCAPE '\\')"] * len(words))
        patterns = [f"%{_escaped(word)}%" for word in words for _ in range(2)]
        rows = self._rows(f"SELECT {_DETAIL_COLUMNS} FROM package WHERE {condition}", *patterns)  # noqa: S608
        return [_details(row) for row in rows]

    def versions_like(self, pattern: str) -> list[tuple[str, str]]:
        """(name, version) of packages whose name is like an SQL GLOB pattern."""
        return self._rows("SELECT DISTINCT name, version FROM package WHERE name GLOB ?", pattern)


def _details(row: Sequence[Any]) -> Details:
    width = len(Package._fields)
    return Details(Package(*row[:width]), *row[width:])


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def open_index(suite: OpenSuite, component: str, architecture: str) -> Index | None:
    """The packages of a suite, their database made if need be; None where it has no such index.

    Raises `ArchiveError`, `DebianError`.
    """
    index = f"{component}/binary-{architecture}/Packages"

    def fill(database: sqlite3.Connection, chunks: Iterable[bytes]) -> None:
        _fill(database, chunks, what=f"{suite.suite.name} {index}")

    database = open_database(suite, index, f"packages-{_SCHEMA_VERSION}", _SCHEMA, fill, _INDICES)
    return Index(database, suite) if database else None


def _fill(database: sqlite3.Connection, chunks: Iterable[bytes], *, what: str) -> None:
    places = ", ".join("?" * (len(Details._fields) - 1 + len(Package._fields)))
    insert = f"INSERT INTO package ({_DETAIL_COLUMNS}) VALUES ({places})"  # noqa: S608
    provided: list[tuple[str, int, str]] = []
    for number, row in enumerate(_rows_of(chunks, what), 1):
        database.execute(insert, row)
        if row[8]:
            for group in parse_relations(row[8]):
                provided.extend([(each.name, number, each.version) for each in group])
    database.executemany("INSERT INTO provided VALUES (?, ?, ?)", provided)


def _rows_of(chunks: Iterable[bytes], what: str) -> Iterator[tuple[Any, ...]]:
    for stanza in _stanzas(chunks):
        found = dict(_FIELD.findall(stanza))
        if found:
            try:
                yield _row(found)
            except (KeyError, ValueError) as error:
                name = found.get("Package", "?")[:80]
                raise FormatError(f"{what} describes the package {name} wrongly: {error}") from None


def _stanzas(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        head, mark, tail = (rest + chunk).rpartition(b"\n\n")
        rest = tail
        if mark:
            yield from head.decode("utf-8", "replace").split("\n\n")
    yield from rest.decode("utf-8", "replace").split("\n\n")


def _row(found: dict[str, str]) -> tuple[Any, ...]:
    get = found.get
    name, path, sha256 = found["Package"], found["Filename"], bytes.fromhex(found["SHA256"])
    if not _NAME.fullmatch(name) or len(sha256) != 32:
        raise ValueError("its name or its hash is none")
    if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
        raise ValueError(f"its file {path[:120]!r} lies outside the archive")
    depends = ", ".join(filter(None, (get("Pre-Depends"), get("Depends"))))
    conflicts = ", ".join(filter(None, (get("Conflicts"), get("Breaks"))))
    installed = get("Installed-Size", "0")
    return (
        name,
        found["Version"],
        found["Architecture"],
        "" if get("Multi-Arch") == "no" else get("Multi-Arch", ""),
        int(get("Essential") == "yes"),
        get("Priority", ""),
        depends,
        conflicts,
        get("Provides", ""),
        path.removeprefix("./"),
        int(found["Size"]),
        sha256,
        get("Recommends", ""),
        get("Section", ""),
        get("Source", ""),
        get("Homepage", ""),
        int(installed) if installed.isdigit() else 0,
        get("Description", "").partition("\n")[0],
    )
