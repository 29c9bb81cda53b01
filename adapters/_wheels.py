"""Choosing one file of a package: the best wheel for an interpreter, else its sdist, with URL and hash.

Shared by the adapters of Python's lockfiles. They hand over the tables of the files as the lockfile lists
them; only the one that is chosen is read whole.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from devenv.adapter import (
    AdapterError,
    BuildQuery,
    Completions,
    FileQuery,
    Package,
    PypiQuery,
    Query,
    RemoteFile,
)
from devenv.adapters import _sdists
from devenv.adapters._fields import Table
from devenv.adapters._interpreter import Interpreter
from devenv.errors import DevenvError
from devenv.formats.hashes import Hash

# sha384 comes last: Nix does not know it.
_STRONG = ("sha512", "sha256", "sha384")
_WEAK = ("sha1", "md5")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+!")
_SHOWN_TAGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One package of a lockfile of which a file is looked for.

    `version` None: the lockfile does not say, the chosen file's name does. `files` are the tables of its
    wheels and its sdist, `names` their file names. `index`: where a query may ask; "" for files given by URL, about
    which no index can be asked. `binary` and `source`: whether wheels are to be used, and whether it may be built,
    `wishes` how; `subdirectory` is where in an archive the project is.
    """

    name: str
    version: str | None
    where: Table
    files: Sequence[Table]
    names: Sequence[str]
    index: str | None = None
    direct: bool = False
    binary: bool = True
    source: bool = True
    subdirectory: str = ""
    wishes: _sdists.Wishes = _sdists.NO_WISHES

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


def choose(wanted: Wanted, interpreter: Interpreter) -> tuple[Table, str]:
    """The table and the file name of the best wheel, else of the sdist. Raises `AdapterError` saying what there is."""
    ranked = []
    for index, name in enumerate(wanted.names):
        rank = interpreter.rank(name) if wanted.binary else None
        if rank is not None:
            ranked.append((rank, index))
    if ranked:
        best = min(ranked)[1]
        return wanted.files[best], wanted.names[best]
    sdists = [index for index, name in enumerate(wanted.names) if _sdists.is_sdist(name)]
    if not sdists or not wanted.source:
        raise wanted.where.fault(None, _nothing(wanted, interpreter, has_sdist=bool(sdists)))
    return wanted.files[sdists[0]], wanted.names[sdists[0]]


def _nothing(wanted: Wanted, interpreter: Interpreter, *, has_sdist: bool) -> str:
    """The sentence about a package of which nothing can be installed here."""
    if not wanted.binary:
        return f"{wanted.label} is to be built from source, and has no sdist"
    tags = sorted(
        {_tag(name) for name in wanted.names if name.endswith(".whl")},
        key=lambda tag: _unlike(tag, interpreter),
    )
    sentence = f"{wanted.label} has no wheel for {interpreter.name}"
    sentence += ", and must not be built" if has_sdist else " and no sdist"
    if not tags:
        return f"{sentence}; there are no wheels of it at all"
    more = f" and {len(tags) - _SHOWN_TAGS} more" if len(tags) > _SHOWN_TAGS else ""
    return f"{sentence}; wheels there are: {', '.join(tags[:_SHOWN_TAGS])}{more}"


def _tag(file_name: str) -> str:
    return "-".join(file_name.removesuffix(".whl").rsplit("-", 3)[-3:])[:120]


def _unlike(tag: str, interpreter: Interpreter) -> tuple[bool, bool, str]:
    """Sorts tags of the same system and machine first: one of them is what a person looks for."""
    return (interpreter.system not in tag, interpreter.machine not in tag, tag)


def last_segment(text: str) -> str:
    """The file name at the end of a URL or path, percent-decoded where it is a URL."""
    if "://" in text:
        return unquote(text.partition("#")[0].partition("?")[0].rpartition("/")[2])
    return text.rpartition("/")[2]


def shown_url(url: str) -> str:
    """A URL as it may be printed: without user, password, query and fragment."""
    scheme, mark, rest = url.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}" if mark else scheme


def check_url(url: str, table: Table, key: str | None) -> str:
    """`url` without its fragment, when it is one that a file can be fetched from."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    printable = url.isprintable() and " " not in url
    if parts is None or parts.scheme not in ("http", "https", "file") or not printable:
        raise table.fault(key, f"cannot fetch from {shown_url(url)[:200]!r}: not an http, https or file URL")
    return url.partition("#")[0]


def file_url(path: str, table: Table) -> str:
    """The URL of a file on this machine; of one beside the lockfile it is relative to the project ("project:...")."""
    if path.startswith("/"):
        return "file://" + quote(path)
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(table.file), path))
    return f"project:{inside}"


def parse_hash(text: str, table: Table, key: str | None) -> Hash:
    """ "sha256:<hexadecimal>" """
    algorithm, mark, digest = text.partition(":")
    if not mark or algorithm not in (*_STRONG, *_WEAK):
        raise table.fault(key, f"expected a hash such as sha256:<hexadecimal>, found {text[:80]!r}")
    try:
        return Hash.from_hex(algorithm, digest)  # type: ignore[arg-type]  # checked one line above
    except DevenvError as error:
        raise table.fault(key, str(error)) from None


def strongest(hashes: Mapping[str, str], table: Table, key: str | None) -> Hash | None:
    """The hash to trust among several of one file; None when none of them is known."""
    for algorithm in (*_STRONG, *_WEAK):
        if algorithm in hashes:
            return parse_hash(f"{algorithm}:{hashes[algorithm]}", table, key)
    return None


def check_name(wanted: Wanted, file_name: str) -> str:
    """The version in the name of the chosen file. Raises when it is another package's, or no safe name."""
    from packaging.utils import canonicalize_name

    if not _NAME_CHARACTERS.issuperset(file_name) or len(file_name) > 200:
        raise wanted.where.fault(
            None, f"the file of {wanted.label} has an impossible name: {file_name[:200]!r}"
        )
    if _sdists.is_sdist(file_name):
        return _sdist_version(wanted, file_name)
    name, _, version = file_name.partition("-")
    version = version.partition("-")[0]
    if canonicalize_name(name) != wanted.name or not same_version(wanted.version or version, version):
        raise wanted.where.fault(None, f"{file_name} is not a wheel of {wanted.label}")
    return version


def _sdist_version(wanted: Wanted, file_name: str) -> str:
    """What is given by its URL may be called anything; a wheel that is built of it says what it is."""
    from packaging.utils import canonicalize_name

    if wanted.direct:
        return wanted.version or ""
    stem = next(file_name.removesuffix(end) for end in _sdists.SUFFIXES if file_name.endswith(end))
    cuts = [index for index, character in enumerate(stem) if character == "-"]
    for cut in cuts:
        name, version = stem[:cut], stem[cut + 1 :]
        if canonicalize_name(name) == wanted.name and same_version(wanted.version or version, version):
            return version
    raise wanted.where.fault(None, f"{file_name} is not an sdist of {wanted.label}")


def same_version(wanted: str, found: str) -> bool:
    """Are these the same version? A local part ("+cpu") that is not asked for does not count."""
    from packaging.version import Version

    try:
        asked, given = Version(wanted), Version(found)
    except ValueError:  # InvalidVersion, and what int() says of thousands of digits
        return False
    return asked == given or (asked.local is None and asked.public == given.public)


def package_of(
    wanted: Wanted,
    file_name: str,
    url: str,
    hash: Hash | None,
    size: int | None,
    *,
    interpreter: Interpreter,
    completions: Completions,
) -> Package | Query:
    """The package made of the chosen file, or the query that must be answered first.

    The lockfile may lack a hash or have one that proves little: then the index is asked for a better one.
    """
    version = check_name(wanted, file_name)
    file: RemoteFile | None
    if hash is not None and hash.algorithm in _STRONG:
        file = RemoteFile(file_name=file_name, url=url, hash=hash, size=size)
    else:
        query = _query(wanted, wanted.version or version, hash, file_name, url)
        answers = completions.get(query.key)
        if answers is None:
            return query
        file = next((f for f in answers if f.file_name == file_name and f.hash.algorithm in _STRONG), None)
        if file is None:
            raise wanted.where.fault(None, f"neither the lockfile nor the index has a SHA-256 of {file_name}")
    return from_file(wanted, file, version, interpreter=interpreter, completions=completions)


def named_file(
    wanted: Wanted,
    file_name: str,
    url: str,
    hashes: Sequence[Hash],
    *,
    interpreter: Interpreter,
    completions: Completions,
) -> Package | Query:
    """The package of a file that the lockfile names, with hashes of several files: pipenv and pip list all of a release.

    Where two are of one kind, only the file says which is its own, so that is asked for and must be one of them.
    """
    known: dict[str, str] = {hash.algorithm: hash.hex for hash in hashes}
    best = strongest(known, wanted.where, None) if len(known) == len(hashes) else None
    found = package_of(wanted, file_name, url, best, None, interpreter=interpreter, completions=completions)
    file = found.file if isinstance(found, Package | BuildQuery) else None
    if file is not None and file.hash.algorithm in known and file.hash not in hashes:
        raise wanted.where.fault(
            None,
            f"{shown_url(url)} has the hash {file.hash.algorithm}:{file.hash.hex}, which is none of those of the lockfile",
            hint="The file was changed after the lockfile was written: find out why, or lock again.",
        )
    return found


def from_file(
    wanted: Wanted, file: RemoteFile, version: str, *, interpreter: Interpreter, completions: Completions
) -> Package | Query:
    """The package of a wheel, or of an sdist that is to be built. `version` as `check_name` gave it."""
    version = wanted.version or version
    if not _sdists.is_sdist(file.file_name):
        return Package(name=wanted.name, version=version, format="wheel", file=file, direct=wanted.direct)
    return _sdists.built(
        wanted.name,
        version,
        file,
        interpreter=interpreter,
        completions=completions,
        subdirectory=wanted.subdirectory,
        direct=wanted.direct,
        wishes=wanted.wishes,
    )


def indexed(
    name: str,
    version: str,
    hashes: tuple[Hash, ...],
    *,
    where: Table,
    interpreter: Interpreter,
    completions: Completions,
    index: str | None,
    binary: bool = True,
    source: bool = True,
    wishes: _sdists.Wishes = _sdists.NO_WISHES,
) -> Package | Query:
    """The best file of a package of which the lockfile only says that its files have one of `hashes`.

    The query that must be answered first, where nobody has asked yet, or only about another state of the lockfile.
    """
    query = PypiQuery(name=name, version=version, hashes=hashes, index=index)
    answers = completions.get(query.key)
    files = [file for file in answers or () if not hashes or file.hash in hashes]
    if answers is None or (answers and not files):
        return query
    if not files:
        raise where.fault(None, f"the index has no file of {name} {version} with one of its hashes")
    wanted = Wanted(
        name=name,
        version=version,
        where=where,
        files=[where] * len(files),
        names=[file.file_name for file in files],
        index=index,
        binary=binary,
        source=source,
        wishes=wishes,
    )
    _, file_name = choose(wanted, interpreter)
    check_name(wanted, file_name)
    file = next(file for file in files if file.file_name == file_name)
    return from_file(wanted, file, version, interpreter=interpreter, completions=completions)


def _query(
    wanted: Wanted, version: str, hash: Hash | None, file_name: str, url: str
) -> PypiQuery | FileQuery:
    if wanted.direct and hash is None:
        return FileQuery(url=url, file_name=file_name, label=wanted.label)
    if wanted.direct:
        raise wanted.where.fault(
            None,
            f"{wanted.label} has no SHA-256 but {hash.algorithm if hash else ''}, and no index can be asked for that of a file given by its URL",
            hint="Lock again with a current version of the tool that wrote the lockfile.",
        )
    return PypiQuery(
        name=wanted.name, version=version, hashes=(hash,) if hash else (), index=wanted.index or None
    )


def canonical_name(table: Table, key: str = "name") -> str:
    """The package name under `key`, in its normal form. Raises for what cannot be one."""
    return check_package_name(table.required_text(key), table, key)


def check_package_name(name: str, table: Table, key: str | None) -> str:
    """`name` in its normal form (lower case, runs of ".", "-", "_" as one "-")."""
    from packaging.utils import InvalidName, canonicalize_name

    try:
        return canonicalize_name(name, validate=True)
    except InvalidName:
        raise table.fault(key, f"{name[:80]!r} is not a package name") from None


def unknown_names(file: str, kind: str, asked: Iterable[str], known: Iterable[str]) -> AdapterError | None:
    """An error about `extras` or `groups` of devenv.toml that the lockfile does not have."""
    from difflib import get_close_matches

    from packaging.utils import canonicalize_name

    names = sorted(set(known))
    missing = sorted({name for name in asked if canonicalize_name(name) not in names})
    if not missing:
        return None
    close = [match for name in missing for match in get_close_matches(canonicalize_name(name), names, 1)]
    hint = f"Did you mean {' and '.join(close)}?" if close else None
    there = f"it has {', '.join(names)}" if names else "it has none"
    return AdapterError(f"{file}: no {kind} named {', '.join(missing)}; {there}", hint=hint, file=file)
