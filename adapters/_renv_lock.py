"""The values of an renv.lock.

::

    {"R": {"Version", "Repositories": [{"Name", "URL"}, ...] | {NAME: URL, ...}},
     "Bioconductor": {"Version"}?, "Python": {...}?,
     "Packages": {NAME: {"Package", "Version", "Source", "Repository"?, "OS_type"?, Remote*?, ...}, ...}}

Up to renv 1.0 a record has a `Hash` (of its DESCRIPTION, not of its file), from 0.15 on also `Requirements`; later ones hold the
whole DESCRIPTION instead. None says what a file must hash to, and only some what a package needs, so both are taken
from the package itself, once. Source: renv's documentation, "The lockfile" (vignette lockfile).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from devenv.adapters._fields import Faults, Table, parse_json

# Priority "base": part of R itself, whatever its version.
BASE = frozenset(
    (
        *("R", "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel"),
        *("splines", "stats", "stats4", "tcltk", "tools", "translations", "utils"),
    )
)
# Priority "recommended": distributions have them beside R; a lock that names one wants its own version.
RECOMMENDED = frozenset(
    (
        *("KernSmooth", "MASS", "Matrix", "boot", "class", "cluster", "codetools", "foreign", "lattice"),
        *("mgcv", "nlme", "nnet", "rpart", "spatial", "survival"),
    )
)

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME = _LETTERS | frozenset("0123456789.")
_VERSION = frozenset("0123456789.-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One package. `source` in small letters; `remote` are its Remote* fields as they stand."""

    name: str
    version: str
    source: str
    repository: str | None
    remote: dict[str, str]
    table: Table

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenvLock:
    """`repositories` by name, in their order; `skipped` are records for other systems."""

    r_version: str | None
    repositories: dict[str, str]
    bioconductor: str | None
    records: tuple[Record, ...]
    skipped: tuple[str, ...]


def parse_lock(text: str, file: str) -> RenvLock:
    """Read a lock. Raises `AdapterError`, or `Problems` of them, for what cannot be read."""
    top = parse_json(text, file)
    _check_unicode(top, text)
    r = top.table("R")
    packages = top.table("Packages")
    if r is None or packages is None:
        missing = "R" if r is None else "Packages"
        raise top.fault(None, f"it has no {missing!r}, which every renv.lock has")
    bioconductor = top.table("Bioconductor")
    faults = Faults()
    records: dict[str, Record] = {}
    skipped = []
    for name in packages.values:
        with faults.caught():
            table = packages.required_table(name)
            record = _record(table)
            if table.text("OS_type") == "windows":
                skipped.append(record.name)
            elif records.setdefault(record.name, record) is not record:
                raise table.fault(None, f"there is a second record of {record.name}")
    faults.report(f"{file}: {len(faults.found)} packages cannot be used:")
    return RenvLock(
        r_version=r.text("Version"),
        repositories=_repositories(r),
        bioconductor=bioconductor.text("Version") if bioconductor is not None else None,
        records=tuple(records[name] for name in sorted(records)),
        skipped=tuple(skipped),
    )


def _check_unicode(top: Table, text: str) -> None:
    """JSON can say half of a surrogate pair; no URL, file name or devenv.lock can."""
    try:
        if "\\u" in text:
            json.dumps(top.values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise top.fault(None, "it has texts that are not valid Unicode") from None


def _repositories(r: Table) -> dict[str, str]:
    """Old locks have an object in place of the list; a name may be missing, a URL only a placeholder."""
    value = r.values.get("Repositories")
    if isinstance(value, dict):
        return dict(r.text_map("Repositories"))
    found: dict[str, str] = {}
    for table in r.tables("Repositories"):
        url = table.text("URL") or ""
        found.setdefault(table.text("Name") or url, url)
    return found


def _record(table: Table) -> Record:
    name, version = table.required_text("Package"), table.required_text("Version")
    # Both become names of directories and parts of URLs: "Writing R Extensions", 1.1.1.
    if not _NAME.issuperset(name) or name[0] not in _LETTERS or name.endswith(".") or len(name) > 100:
        raise table.fault("Package", f"{name[:80]!r} is no name of an R package")
    if not _VERSION.issuperset(version) or not version[0].isdigit() or len(version) > 60:
        raise table.fault("Version", f"{version[:80]!r} is no version of an R package")
    remote = {}
    for key in table.values:
        if key.startswith("Remote") and key != "Remotes":
            value = table.text(key)
            if value is not None:
                remote[key] = value
    source = table.text("Source") or ("repository" if "Repository" in table else "unknown")
    return Record(
        name=name,
        version=version,
        source=source if "/" in source or "\\" in source else source.lower(),
        repository=table.text("Repository"),
        remote=remote,
        table=table,
    )
