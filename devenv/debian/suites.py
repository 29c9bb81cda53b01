"""Getting a suite: its Release file from whichever mirror has one that is rightly signed, and its indices by hash."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO

from devenv.debian.errors import ArchiveError, DebianError, MissingSuite
from devenv.debian.family import Suite
from devenv.debian.keyring import trusted_keys
from devenv.debian.locked import SuiteState
from devenv.debian.release import IndexFile, Release, parse_release
from devenv.errors import DevenvError
from devenv.events import Notice, Reporter
from devenv.fetch.download import Download, download
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import CancelledError, FetchError, MismatchError, StatusError, TransientError
from devenv.fetch.http import Client
from devenv.fetch.urls import parsed, shown, split
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.openpgp import SignatureError, SigningKey, verify_clear_signed

_RELEASE_LIMIT = 16 << 20  # bytes; Debian's are 0.2 MB
_MISSING = frozenset({404, 410})
_CHUNK = 1 << 20
_ELSEWHERE = (
    "name another mirror: [registries] debian of devenv.toml, or DEVENV_DEBIAN_MIRROR (debian-security, and "
    "DEVENV_DEBIAN_SECURITY_MIRROR)"
)


class Places:
    """Where suites come from and where they are kept. `cache` is a directory of devenv's own."""

    def __init__(self, client: Client, cache: str, reporter: Reporter) -> None:
        self.client, self.reporter = client, reporter
        self.cache = os.path.join(cache, "debian")
        try:
            os.makedirs(os.path.join(self.cache, "partial"), exist_ok=True)
        except OSError as error:
            raise _cannot_keep(self.cache, error) from error

    @cached_property
    def keys(self) -> tuple[SigningKey, ...]:
        return trusted_keys(self.client.endpoints.environ)

    def notice(self, text: str, problem: DevenvError | None = None) -> None:
        """One line; of a problem its first, which says what it is about."""
        first = f": {str(problem).partition(chr(10))[0]}" if problem else ""
        self.reporter.event(Notice(text=text + first))


@contextmanager
def open_places(
    client: Client | None, cache: str, reporter: Reporter, *, offline: bool = False
) -> Iterator[Places]:
    """`Places` with this client, or with one that knows the mirrors of this machine's settings."""
    if client is not None:
        yield Places(client, cache, reporter)
        return
    endpoints = Endpoints.load(
        project=os.getcwd(), environ=os.environ, registries={}, cache=cache, offline=offline
    )
    with Client(endpoints, offline=offline) as own:
        yield Places(own, cache, reporter)


class OpenSuite:
    """A suite whose Release file is verified."""

    def __init__(self, places: Places, suite: Suite, release: Release, mirror: str | None) -> None:
        self.places, self.suite, self.release = places, suite, release
        self._mirror = mirror

    @property
    def state(self) -> SuiteState:
        return SuiteState(self.suite.archive, self.suite.name, self.release.sha256, self.release.stamp)

    def fetch(self, index: IndexFile) -> str:
        """The path of an index, fetched into the cache; the caller deletes it.

        Raises `ArchiveError` where no mirror has the one that the Release file names.
        """
        target = os.path.join(
            self.places.cache, "partial", f"{index.sha256}{os.path.splitext(index.path)[1]}"
        )
        problems: list[DevenvError] = []
        urls = [*self._urls(index)]
        for url in urls:
            try:
                self._download(url, index, target, patient=url == urls[-1])
                return target
            except CancelledError:
                raise
            except (FetchError, OSError) as error:
                problems.append(error if isinstance(error, DevenvError) else _cannot_keep(target, error))
        raise self._unavailable(index, problems)

    def _urls(self, index: IndexFile) -> Iterator[str]:
        """The mirror of the Release file first: it is the one that should be in step with it."""
        mirrors = self.places.client.endpoints.archives.mirrors(self.suite.archive)
        ordered = sorted(mirrors, key=lambda mirror: mirror != self._mirror)
        folder, _, _ = index.path.rpartition("/")
        for mirror in ordered:
            if self.release.by_hash:
                yield f"{mirror}dists/{self.suite.name}/{folder}/by-hash/SHA256/{index.sha256}"
            yield f"{mirror}dists/{self.suite.name}/{index.path}"

    def _download(self, url: str, index: IndexFile, target: str, *, patient: bool) -> None:
        item = Download(
            url=url,
            hash=Hash.from_hex("sha256", index.sha256),
            size=index.size,
            label=f"{self.suite.name} {index.path}",
            patient=patient,
        )
        client = self.places.client
        if client.offline:
            raise FetchError(f"{item.label} is not in the cache, and devenv works offline")
        download(
            client,
            item,
            target,
            part=target + ".part",
            reporter=self.places.reporter,
            cancelled=client.cancelled,
        )

    def _unavailable(self, index: IndexFile, problems: list[DevenvError]) -> ArchiveError:
        behind = any(isinstance(each, MismatchError) for each in problems)
        offline = self.places.client.offline
        what = (
            "do not fit its Release file: it is being updated, or something alters it"
            if behind
            else "cannot be had"
        )
        lines = dict.fromkeys(str(problem) for problem in problems)
        hint = (
            "run the command once without --offline"
            if offline
            else f"try again in some minutes, or {_ELSEWHERE}"
        )
        return ArchiveError(
            "\n  ".join([f"the indices of {self.suite.name} {what} ({index.path})", *lines]),
            archive=self.suite.archive,
            suite=self.suite.name,
            hint=hint,
        )


def open_suite(places: Places, suite: Suite, *, max_age: float = 0.0) -> OpenSuite:
    """The suite's present edition, or the kept one if it was looked at within `max_age` seconds.

    Offline it is the kept one of any age; so it is where `max_age` is not zero and no mirror helps. Raises
    `MissingSuite` where the mirrors have no such suite, `ArchiveError` where none has one that can be used.
    """
    kept = _kept_path(places, suite)
    if places.client.offline or _age(kept) < max_age:
        found = _kept(places, suite, kept)
        if found is not None:
            return found
    if places.client.offline:
        raise MissingSuite(
            f"nothing is kept of the suite {suite.name} of the archive {suite.archive}, and devenv works offline",
            archive=suite.archive,
            suite=suite.name,
            hint="run the command once without --offline",
        )
    try:
        return _current(places, suite, kept)
    except ArchiveError as error:
        older = _kept(places, suite, kept) if max_age and not isinstance(error, MissingSuite) else None
        if older is None:
            raise
        places.notice(f"going on with the {suite.name} of {older.release.stamp}", error)
        return older


def _current(places: Places, suite: Suite, kept: str) -> OpenSuite:
    known = _kept(places, suite, kept)
    problems: list[DevenvError] = []
    silent = places.client.silent
    mirrors = sorted(
        places.client.endpoints.archives.mirrors(suite.archive), key=lambda url: split(url).netloc in silent
    )
    for mirror in mirrors:
        url = f"{mirror}dists/{suite.name}/InRelease"
        try:
            data, release = _edition(places, suite, url, known, patient=mirror == mirrors[-1])
        except CancelledError:
            raise
        except DevenvError as error:
            if isinstance(error, TransientError):
                silent.add(split(mirror).netloc)
            problems.append(error)
            continue
        for problem in problems:
            places.notice(f"{suite.name}: another mirror was asked", problem)
        _check_age(places, suite, release)
        write_whole(kept, data)
        return OpenSuite(places, suite, release, mirror)
    older = next((problem for problem in problems if isinstance(problem, _OlderEdition)), None)
    if known is not None and older is not None:
        places.notice(f"{suite.name}: the edition seen before is used", older)
        return known
    raise _missing(suite, problems) or _failed(suite, problems)


_UNSIGNED = (
    "what this mirror has is not what the archive signed: "
    f"{_ELSEWHERE}. Of an archive that signs with other keys, name the keyring with DEVENV_DEBIAN_KEYRING"
)


class _OlderEdition(DebianError):
    """A mirror has an edition from before one that was seen already."""


def _edition(
    places: Places, suite: Suite, url: str, known: OpenSuite | None, *, patient: bool
) -> tuple[bytes, Release]:
    """(the signed text, what it says). Raises errors that name the URL."""
    data = _read(places.client, url, patient=patient)
    try:
        release = _verified(places, suite, data)
    except SignatureError as error:
        raise DebianError(f"{shown(url)}: {error}", hint=error.hint or _UNSIGNED) from error
    except (FormatError, DebianError) as error:
        raise DebianError(f"{shown(url)}: {error}", hint=error.hint) from error
    if known is not None and known.release.date > release.date:
        # Whoever could put an old edition before us would keep fixes from us.
        raise _OlderEdition(f"{shown(url)} is of {release.stamp}, and {known.release.stamp} was seen before")
    return data, release


def _missing(suite: Suite, problems: list[DevenvError]) -> MissingSuite | None:
    """Whether mirrors that answer at all say that there is no such suite."""
    answers = [problem for problem in problems if not isinstance(problem, TransientError)]
    if not answers or not all(isinstance(each, StatusError) and each.status in _MISSING for each in answers):
        return None
    return MissingSuite(
        f"there is no suite {suite.name} in the archive {suite.archive}: {answers[0]}",
        archive=suite.archive,
        suite=suite.name,
        hint='check the base in devenv.toml or --base; bases are named such as "debian/bookworm"',
    )


def _failed(suite: Suite, problems: list[DevenvError]) -> ArchiveError:
    lines = dict.fromkeys(str(problem) for problem in problems)
    hints = [problem.hint for problem in problems if problem.hint]
    return ArchiveError(
        "\n  ".join([f"the suite {suite.name} of the archive {suite.archive} cannot be used", *lines]),
        archive=suite.archive,
        suite=suite.name,
        hint=hints[0] if hints else f"try again later, or {_ELSEWHERE}",
    )


def _read(client: Client, url: str, *, patient: bool) -> bytes:
    parts = parsed(url)
    if parts.scheme != "file":
        return client.get(url, patient=patient).body
    try:
        with open(parts.path, "rb") as file:
            return file.read(_RELEASE_LIMIT)
    except FileNotFoundError as error:
        raise StatusError(f"Cannot read {url}: there is no such file.", status=404, url=url) from error
    except OSError as error:
        raise FetchError(f"Cannot read {url}: {error.strerror}.", url=url) from error


def _verified(places: Places, suite: Suite, data: bytes) -> Release:
    """The Release file of this very suite: another one's, rightly signed, would be an older distribution, say."""
    signed = verify_clear_signed(data, places.keys, now=int(time.time()))
    release = parse_release(signed.text)
    if suite.name not in (release.codename, release.suite):
        raise DebianError(
            f"it is not {suite.name} but {release.codename or release.suite or 'a nameless suite'}"
        )
    return release


def _check_age(places: Places, suite: Suite, release: Release) -> None:
    if release.valid_until is not None and release.valid_until.timestamp() < time.time():
        places.notice(
            f"the mirror's {suite.name} was valid until {release.valid_until:%Y-%m-%d} only: fixes made since "
            "then are not in it"
        )


# What is kept


def _kept_path(places: Places, suite: Suite) -> str:
    """Whichever mirror it is from: all editions of a suite are signed by the same."""
    return os.path.join(places.cache, f"{suite.archive}-{suite.name}.InRelease")


def _age(path: str) -> float:
    try:
        return max(time.time() - os.stat(path).st_mtime, 0.0)
    except OSError:
        return float("inf")


def _kept(places: Places, suite: Suite, path: str) -> OpenSuite | None:
    """The kept edition, verified again: the cache is a directory that anything may have written to."""
    try:
        with open(path, "rb") as file:
            return OpenSuite(places, suite, _verified(places, suite, file.read(_RELEASE_LIMIT)), None)
    except (OSError, FormatError, DebianError):
        return None


def write_whole(path: str, data: bytes) -> None:
    """Replace a file of the cache at once. Raises `DebianError`, for instance where the disk is full."""
    aside = f"{path}.{os.getpid()}-{threading.get_ident()}"
    try:
        with open(aside, "wb") as file:
            file.write(data)
        os.replace(aside, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(aside)
        raise _cannot_keep(path, error) from error


def cache_hint(code: int | None) -> str:
    """What to do where the cache cannot be written to."""
    first = (
        "check its owner and permissions"
        if code in (errno.EACCES, errno.EPERM, errno.EROFS)
        else "free some space there"
    )
    return f"the cache lies beside the store; {first}, or move it with --store-dir"


def _cannot_keep(path: str, error: OSError) -> DebianError:
    return DebianError(
        f"writing {path}: {error.strerror or error}",
        hint=cache_hint(error.errno),
    )


def plain_chunks(path: str, limit: int) -> Iterator[bytes]:
    """The contents of an index in pieces, decompressed. Raises `FormatError` past `limit` bytes or for damage."""
    size = 0
    try:
        with _opened(path) as file:
            while chunk := file.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise FormatError(f"an index is larger than the {limit} bytes that its suite says")
                yield chunk
    except (lzma.LZMAError, gzip.BadGzipFile, EOFError) as error:
        raise FormatError(f"an index cannot be decompressed: {error}") from error


def _opened(path: str) -> lzma.LZMAFile | gzip.GzipFile | IO[bytes]:
    if path.endswith(".xz"):
        return lzma.open(path)
    return gzip.open(path) if path.endswith(".gz") else open(path, "rb")


def safe_name(text: str) -> str:
    """A text from an archive as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]", "_", text)[:80]
