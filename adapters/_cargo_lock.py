"""The values of a Cargo.lock, versions 1 to 4.

::

    version = 4                                # absent in 1 and 2; 1 is known by its [metadata]
    [[package]]  name, version, source?, checksum?, dependencies = ["NAME [VERSION [(SOURCE)]]", ...], replace?
    [root]       in very old files: the package of the project itself
    [metadata]   "checksum NAME VERSION (SOURCE)" = HEX | "<none>"        # version 1
    [[patch.unused]]

SOURCE is absent for what lies in the project, `registry+URL` or `sparse+URL` of an index, or
`git+URL[?branch=X|?tag=X|?rev=X]#COMMIT`. From version 4 on the query is percent-encoded.

Source: the Cargo Book, "Cargo.toml vs Cargo.lock"; cargo's own `EncodableResolve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from devenv.adapters._fields import Faults, Table, parse_toml
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash

NEWEST = 4
_REGISTRIES = ("registry+", "sparse+")
_GIT = "git+"
_SELECTORS = ("branch", "tag", "rev")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_VERSION_LETTERS = _LETTERS | frozenset(".+~")


@dataclass(frozen=True, slots=True)
class GitSource:
    """A repository at a commit. `selector` is ("branch" | "tag" | "rev", its value), None for the default branch."""

    raw: str
    url: str
    selector: tuple[str, str] | None
    commit: str


@dataclass(frozen=True, slots=True)
class LockedCrate:
    """One [[package]]. `source` is its text as it stands, None for a package of the project itself."""

    name: str
    version: str
    source: str | None
    checksum: Hash | None
    table: Table

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def is_git(self) -> bool:
        return self.source is not None and self.source.startswith(_GIT)


def parse_lock(text: str, file: str) -> tuple[int, list[LockedCrate]]:
    """Version and packages, with patches that none of them uses: cargo looks into their sources all the same. Raises `AdapterError`, or `Problems` of them, for what cannot be read."""
    top = parse_toml(text, file)
    version = _version(top)
    checksums = _old_checksums(top) if version == 1 else {}
    tables = [*top.tables("package")]
    root = top.table("root")
    if root is not None:
        tables.append(root)
    patch = top.table("patch")
    unused = [*patch.tables("unused")] if patch is not None else []
    # One that lies in the project, or has no checksum, is found without devenv or not at all.
    tables += [each for each in unused if each.text("source") is not None and _is_pinned(each)]
    faults = Faults()
    found: dict[tuple[str, str, str | None], LockedCrate] = {}
    for table in tables:
        with faults.caught():
            crate = _crate(table, checksums)
            key = (crate.name, crate.version, crate.source)
            if found.setdefault(key, crate) is not crate:
                raise table.fault(None, f"{crate.label} stands there twice")
    faults.report(f"{file}: {len(faults.found)} packages cannot be used:")
    return version, list(found.values())


def _is_pinned(table: Table) -> bool:
    return (table.text("source") or "").startswith(_GIT) or table.text("checksum") is not None


def _version(top: Table) -> int:
    version = top.number("version")
    if version is None:
        return 1 if "metadata" in top else 2
    if not 1 <= version <= NEWEST:
        raise top.fault(
            "version",
            f"version {version} is not known here, only 1 to {NEWEST}",
            hint="A newer cargo wrote it: devenv has to learn it first.",
        )
    return version


def _old_checksums(top: Table) -> dict[str, str]:
    table = top.table("metadata")
    found = {}
    for key, value in (table.values if table is not None else {}).items():
        if key.startswith("checksum ") and isinstance(value, str) and value != "<none>":
            found[key.removeprefix("checksum ")] = value
    return found


def _crate(table: Table, old: dict[str, str]) -> LockedCrate:
    name, version = table.required_text("name"), table.required_text("version")
    # Both become names of directories.
    if not _LETTERS.issuperset(name) or name.startswith("-"):
        raise table.fault("name", f"{name[:80]!r} is no name of a crate")
    if not _VERSION_LETTERS.issuperset(version) or not version[0].isdigit() or len(name + version) > 200:
        raise table.fault("version", f"{version[:80]!r} is no version of a crate")
    source = table.text("source")
    checksum = table.text("checksum") or old.get(f"{name} {version} ({source})")
    if source is not None and not source.startswith((*_REGISTRIES, _GIT)):
        raise table.fault("source", f"{source[:200]!r} is neither a registry nor a git repository")
    if source is not None and not (source.isprintable() and source.isascii() and '"' not in source):
        raise table.fault("source", f"{source[:200]!r} is no URL")
    return LockedCrate(name, version, source, _hash(table, checksum), table)


def _hash(table: Table, checksum: str | None) -> Hash | None:
    if checksum is None:
        return None
    try:
        return Hash.from_hex("sha256", checksum)
    except FormatError:
        raise table.fault(
            "checksum", f"{checksum[:80]!r} is no SHA-256 in hexadecimal", hint="The file is damaged."
        ) from None


def parse_git(crate: LockedCrate, version: int) -> GitSource:
    """The parts of a git source. Raises `AdapterError`."""
    raw = crate.source or ""
    place, mark, commit = raw.removeprefix(_GIT).partition("#")
    url, _, query = place.partition("?")
    if not mark or not 40 <= len(commit) <= 64 or not set(commit) <= set("0123456789abcdef"):
        raise crate.table.fault("source", f"{raw[:200]!r} names no commit")
    if "://" not in url or url.startswith("-"):
        raise crate.table.fault("source", f"{url[:200]!r} is no URL of a repository")
    selector = None
    if query:
        kind, _, value = query.partition("=")
        if kind not in _SELECTORS or not value:
            raise crate.table.fault("source", f"{query[:80]!r} selects neither branch nor tag nor rev")
        selector = (kind, unquote(value) if version >= 4 else value)
    return GitSource(raw.partition("#")[0], url, selector, commit)
