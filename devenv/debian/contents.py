"""Which package has a file: a suite's Contents indices, as a small SQLite database made when first asked.

    line = path blanks location { "," location }          location = [ [ area "/" ] section "/" ] package

Most paths of a distribution are documentation, icons and translations, which nobody misses. Kept are programs,
libraries, headers, and what pkg-config, CMake and GObject introspection read: one path in twenty. Paths are folded to
a merged /usr, as they are in a root.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

from devenv.debian.database import Database, open_database
from devenv.debian.errors import DebianError
from devenv.debian.family import COMPONENTS, Base, parse_base
from devenv.debian.suites import OpenSuite, Places, open_places, open_suite
from devenv.events import Reporter
from devenv.fetch.http import Client

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE directory (id INTEGER PRIMARY KEY, path TEXT NOT NULL);
CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE file (
    name TEXT NOT NULL, directory INTEGER NOT NULL, package INTEGER NOT NULL,
    PRIMARY KEY (name, directory, package)
) WITHOUT ROWID;
"""
# (path, locations) of the lines that are kept.
_KEPT = re.compile(
    rb"^(?:\./)?("
    rb"(?:usr/)?(?:s?bin|games)/[^\n]*"
    rb"|(?:usr/)?lib[^\n]*?/[^/\n]*\.so[.0-9]*"
    rb"|(?:usr/)?lib[^\n]*?/s?bin/[^/\n]*"
    rb"|usr/include/[^\n]*"
    rb"|usr/(?:lib[^/\n]*|share)/(?:[^/\n]*/)?(?:pkgconfig|cmake|girepository-1\.0)/[^\n]*"
    rb")[ \t]+([^ \t\n]+)$",
    re.MULTILINE,
)
_SHARED = b"\nusr/share/"
_KEPT_OF_SHARED = (b"/pkgconfig/", b"/cmake/", b"/girepository-1.0/")
_MERGED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")
_GLOB = re.compile(r"[*?\[]")
_MOST = 200
# Directories where whoever asks for a bare name expects it.
_USUAL = re.compile(
    r"/usr/(s?bin|games|include(/[a-z0-9_]+-linux-[a-z0-9]+)?|lib(/[a-z0-9_]+-linux-[a-z0-9]+)?)"
)


class Found(NamedTuple):
    """A file and the package that has it. `path` is as in a root: "/usr/bin/convert"."""

    path: str
    package: str
    architecture: str  # of the index: "amd64", "all"


class Contents:
    """The files of one suite for one architecture and for "all". Close it, or use it as a context manager."""

    def __init__(self, databases: Sequence[tuple[str, Database]]) -> None:
        self._databases = databases

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for _, database in self._databases:
            database.close()

    def find(self, name: str) -> list[Found]:
        """Files of a name ("libGL.so.1"), an end of a path ("bin/convert"), a whole path, or a pattern with "*".

        Files in the usual places come first. At most 200.
        """
        text = _folded(name)
        parent, _, last = text.rpartition("/")
        if not last:
            return []
        condition = "file.name GLOB ?" if _GLOB.search(last) else "file.name = ?"
        found = [
            Found(f"/{path}/{file}", package, architecture)
            for architecture, database in self._databases
            for path, file, package in database.rows(f"{_QUERY} WHERE {condition} LIMIT 5000", last)
            if _is_below(f"/{path}", parent)
        ]
        found.sort(key=lambda each: (not _is_usual(each.path), each.path.count("/"), each.path, each.package))
        return found[:_MOST]

    def variants(self, name: str) -> list[Found]:
        """Programs in the usual places called as NAME is by the alternatives system: NAME-im6.q16, NAME.basic.

        What that offers under the plain name is in no index under it: `convert`, `vim`.
        """
        last = name.rpartition("/")[2]
        patterns = [f"{_literal(last)}{mark}*" for mark in "-."] if last else []
        suffix = re.compile(rf"{re.escape(last)}(\.[a-z0-9]+|-[a-z]{{0,4}}[0-9][a-z0-9.+]*)")
        found = [
            Found(f"/{path}/{file}", package, architecture)
            for pattern in patterns
            for architecture, database in self._databases
            for path, file, package in database.rows(f"{_QUERY} WHERE file.name GLOB ? LIMIT 5000", pattern)
            if path in _PROGRAMS and suffix.fullmatch(file)
        ]
        return sorted(found, key=lambda each: (len(each.path), each))[:10]

    def similar(self, name: str) -> tuple[str, ...]:
        """Names of files that somebody may have meant: those that go on, or begin as this one does."""
        from devenv.debian.suggestions import close_names

        last = name.rpartition("/")[2]
        if not last:
            return ()
        stem = last[: max(len(last) * 2 // 3, 2)]
        known = {
            row[0]
            for _, database in self._databases
            for row in database.rows(
                "SELECT DISTINCT name FROM file WHERE name >= ? AND name < ? LIMIT 5000",
                stem,
                stem + "\U0010ffff",
            )
        }
        longer = sorted(each for each in known if each.startswith(last))[:3]
        return tuple(longer) or close_names(last, known)


_QUERY = (
    "SELECT directory.path, file.name, package.name FROM file"
    " JOIN directory ON directory.id = file.directory JOIN package ON package.id = file.package"
)


_PROGRAMS = ("usr/bin", "usr/sbin", "usr/games")


def _literal(text: str) -> str:
    """A text as it is, in an SQL GLOB pattern."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def _is_below(directory: str, parent: str) -> bool:
    """Whether a path's directory is `parent`, or ends with it where that does not begin with "/"."""
    if not parent:
        return True
    return directory == parent if parent.startswith("/") else directory.endswith("/" + parent)


def _is_usual(path: str) -> bool:
    return _USUAL.fullmatch(path.rpartition("/")[0]) is not None


def _folded(path: str) -> str:
    """A path as it is in a root with a merged /usr."""
    if path.startswith("/"):
        inner = path.lstrip("/")
        return "/usr/" + inner if inner.startswith(_MERGED) else "/" + inner
    return path


def open_contents(places: Places, base: Base, architecture: str, *, max_age: float = 0.0) -> Contents:
    """The files of the base's own suite. Makes the database where there is none yet, which takes some seconds.

    Raises `ArchiveError`, `DebianError`.
    """
    suite = open_suite(places, base.suites[0], max_age=max_age)
    databases = []
    for component in COMPONENTS:
        for each in (architecture, "all"):
            database = _opened(suite, component, each)
            if database is not None:
                databases.append((each, database))
    if not databases:
        raise DebianError(f"{base} says of no package for {architecture} which files it has")
    return Contents(databases)


def find_file(
    base: str,
    name: str,
    *,
    architecture: str = "amd64",
    cache_dir: str,
    events: Reporter,
    offline: bool = False,
    client: Client | None = None,
    max_age: float = 7 * 86400.0,
) -> list[Found]:
    """Which packages of a base have a file: see `Contents.find`. For many questions, open the contents once."""
    with ExitStack() as held:
        places = held.enter_context(open_places(client, cache_dir, events, offline=offline))
        return held.enter_context(
            open_contents(places, parse_base(base), architecture, max_age=max_age)
        ).find(name)


# Making the database


def _opened(suite: OpenSuite, component: str, architecture: str) -> Database | None:
    index = f"{component}/Contents-{architecture}"
    if suite.release.best(index) is None:
        return None
    kind = f"contents-{_SCHEMA_VERSION}"
    filled: list[tuple[int, float]] = []  # rows, seconds: nothing where it was there already

    def fill(database: sqlite3.Connection, chunks: Iterable[bytes]) -> None:
        began = time.monotonic()
        filled.append((_fill(database, chunks), time.monotonic() - began))

    database = open_database(suite, index, kind, _SCHEMA, fill, "")
    if database is None:
        return None
    for count, seconds in filled:
        size = os.path.getsize(database.path) / 1e6
        suite.places.notice(
            f"indexed {count:,} files of {suite.suite.name} ({index}) in {seconds:.1f} s; the index takes {size:.1f} MB"
        )
    return database


def _fill(database: sqlite3.Connection, chunks: Iterable[bytes]) -> int:
    """Write the kept lines; returns how many (file, package) pairs there are."""
    directories: dict[str, int] = {}
    packages: dict[str, int] = {}
    rows = set()
    for path, locations in _kept_lines(chunks):
        parent, _, name = path.rpartition("/")
        directory = directories.setdefault(parent, len(directories))
        for location in locations.split(","):
            package = packages.setdefault(location.rpartition("/")[2], len(packages))
            rows.add((name, directory, package))
    database.executemany(
        "INSERT INTO directory VALUES (?, ?)", ((number, path) for path, number in directories.items())
    )
    database.executemany(
        "INSERT INTO package VALUES (?, ?)", ((number, name) for name, number in packages.items())
    )
    database.executemany("INSERT INTO file VALUES (?, ?, ?)", sorted(rows))
    return len(rows)


def _kept_lines(chunks: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    rest = b""
    for chunk in chunks:
        head, _, rest = (b"\n" + rest + chunk).rpartition(b"\n")
        # Nine of ten lines are below usr/share, in long runs: those are passed over whole.
        if head.count(_SHARED) != head.count(b"\n") or any(each in head for each in _KEPT_OF_SHARED):
            yield from _matches(head)
    yield from _matches(rest)


def _matches(lines: bytes) -> Iterator[tuple[str, str]]:
    for path, locations in _KEPT.findall(lines):
        text = path.decode("utf-8", "replace").rstrip()
        yield ("usr/" + text if text.startswith(_MERGED) else text), locations.decode("utf-8", "replace")
