"""The Release file of a suite: what its signature covers is the hash of every index.

Fields used: Origin, Suite, Codename, Date, Valid-Until, Components, Architectures, Acquire-By-Hash, NotAutomatic and
SHA256, a list of `hash size path` lines. After Debian's repository format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from devenv.formats.deb822 import parse_one
from devenv.formats.errors import FormatError


class IndexFile(NamedTuple):
    """An index below the suite's directory. `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str


class Release(NamedTuple):
    """A suite's edition. Times are in UTC, `valid_until` is None for suites that are never out of date."""

    sha256: str  # of the text that was signed
    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    by_hash: bool
    files: Mapping[str, IndexFile]

    @property
    def stamp(self) -> str:
        """The date as lock files hold it: "2026-01-10T10:02:03Z"."""
        return self.date.strftime("%Y-%m-%dT%H:%M:%SZ")

    def best(self, path: str) -> IndexFile | None:
        """The smallest form of an index ("main/binary-amd64/Packages") that devenv can read."""
        found = (self.files.get(path + ending) for ending in (".xz", ".gz", ""))
        return next((each for each in found if each is not None), None)


def parse_release(text: str) -> Release:
    """Read what the signature covers. Raises `FormatError`."""
    fields = parse_one(text)
    if "sha256" not in fields or "date" not in fields:
        missing = "SHA256" if "sha256" not in fields else "Date"
        raise FormatError(f"this Release file has no field {missing}")
    until = fields.get("valid-until")
    return Release(
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        suite=fields.get("suite", ""),
        codename=fields.get("codename", ""),
        date=_moment(fields["date"]),
        valid_until=_moment(until) if until else None,
        components=tuple(each.rpartition("/")[2] for each in fields.get("components", "").split()),
        architectures=tuple(fields.get("architectures", "").split()),
        by_hash=fields.get("acquire-by-hash", "no").lower() == "yes",
        files={file.path: file for file in map(_file, fields["sha256"].split("\n")) if file},
    )


def _moment(text: str) -> datetime:
    try:
        found = parsedate_to_datetime(text)
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        raise FormatError(f"this Release file has a date that is none: {text[:80]!r}") from None


def _file(line: str) -> IndexFile | None:
    parts = line.split()
    if not parts:
        return None
    if len(parts) != 3 or len(parts[0]) != 64 or not parts[1].isdigit() or len(parts[1]) > 15:
        raise FormatError(
            f"this Release file lists an index without hash, size or path: {line.strip()[:120]!r}"
        )
    if (
        not set(parts[0]) <= set("0123456789abcdef")
        or parts[2].startswith("/")
        or ".." in parts[2].split("/")
    ):
        raise FormatError(f"this Release file lists an index that none may: {line.strip()[:120]!r}")
    return IndexFile(path=parts[2], size=int(parts[1]), sha256=parts[0])
