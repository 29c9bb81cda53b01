"""The Python index: which files a project has (the simple API).

JSON as in PEP 691 and PEP 700 where the server has it, else HTML as in PEP 503:
`<a href="URL#sha256=HEX">file name</a>`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from devenv.adapter import PypiQuery, RemoteFile
from devenv.errors import DevenvError, raise_problems
from devenv.events import Reporter
from devenv.fetch.download import Download, download
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import EndpointError, FetchError, StatusError
from devenv.fetch.http import Answer, Client
from devenv.fetch.parallel import gather
from devenv.fetch.urls import joined, parsed, shown
from devenv.formats.hashes import SIZES, Algorithm, Hash

if TYPE_CHECKING:
    from packaging.version import Version

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.1"
_ABSENT = frozenset({404, 410})
_DEFINITIONS = re.compile(r"[^/]+/lib/node_modules/npm/.*@npmcli/config/lib/definitions/definitions\.js")
_DEFINITIONS_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """A file that an index lists. `url` is absolute, `hashes` may be empty."""

    name: str
    url: str
    hashes: tuple[Hash, ...]
    size: int | None = None
    yanked: bool = False

    def remote(self, endpoints: Endpoints, hash: Hash) -> RemoteFile:
        """As a lock file holds it."""
        return RemoteFile(file_name=self.name, url=endpoints.relative(self.url), hash=hash, size=self.size)


def answer_pypi(
    client: Client, endpoints: Endpoints, queries: Sequence[PypiQuery], reporter: Reporter
) -> dict[str, tuple[RemoteFile, ...]]:
    """The files of each query, by the query's key, sorted by name. Raises all failures together.

    With hashes: the files that have one of them. Without: all files of the version that have a hash.
    """
    answers, errors = gather(
        client,
        list(dict.fromkeys(queries)),
        lambda query: (query.key, _answer(client, endpoints, query)),
        label=lambda query: f"{query.name}=={query.version}",
        reporter=reporter,
    )
    raise_problems(errors)
    found: dict[str, tuple[RemoteFile, ...]] = {}
    for key, files in answers:
        merged = {file.file_name: file for file in (*found.get(key, ()), *files)}
        found[key] = tuple(merged[name] for name in sorted(merged))
    return found


def project_files(client: Client, index: str, project: str) -> tuple[IndexFile, ...] | None:
    """All files of a project in the index's order, None where the index does not know it."""
    url = f"{index.rstrip('/')}/{quote(normalized(project), safe='')}/"
    try:
        answer = client.get(url, accept=_ACCEPT)
    except StatusError as error:
        if error.status in _ABSENT:
            return None
        raise
    return parse_page(answer)


def normalized(project: str) -> str:
    """A project's name as the simple API spells it, PEP 503."""
    return re.sub(r"[-_.]+", "-", project).lower()


def parse_page(answer: Answer) -> tuple[IndexFile, ...]:
    """The files that a project's page lists. Raises `FetchError` for what is no such page."""
    if answer.content_type.endswith("+json") or answer.content_type == "application/json":
        return _from_json(answer)
    text = answer.body.decode("utf-8", "replace")
    parser = _Anchors()
    parser.feed(text)
    parser.close()
    base = joined(answer.url, parser.base) if parser.base else answer.url
    return tuple(_from_anchor(base, *anchor) for anchor in parser.found if anchor[0])


class _Anchors(HTMLParser):
    """Collects (href, text, yanked) of all links, and the document's base."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.found: list[tuple[str, str, bool]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "base" and self.base is None:
            self.base = values.get("href")
        if tag == "a":
            self._open = True
            self.found.append((values.get("href") or "", "", "data-yanked" in values))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open and self.found:
            href, text, yanked = self.found[-1]
            self.found[-1] = href, text + data, yanked


def _from_anchor(base: str, href: str, text: str, yanked: bool) -> IndexFile:
    url, fragment = _joined(base, href)
    algorithm, _, digest = fragment.partition("=")
    # The link's text is the file name by the specification; the URL says the same on every index that counts.
    name = text.strip() or unquote(parsed(url).path.rpartition("/")[2])
    return IndexFile(name=name, url=url, hashes=_hashes({algorithm: digest}), yanked=yanked)


def _joined(base: str, href: str) -> tuple[str, str]:
    """(absolute URL, fragment)."""
    url, _, fragment = joined(base, href.strip()).partition("#")
    return url, fragment


def _hashes(values: Any) -> tuple[Hash, ...]:
    """Known hashes among {"sha256": hex}, the strongest first; damaged ones count as absent."""
    found = []
    for algorithm, digest in values.items() if isinstance(values, dict) else ():
        known = _ALGORITHMS.get(algorithm)
        if known and isinstance(digest, str):
            try:
                found.append(Hash.from_hex(known, digest))
            except DevenvError:
                continue
    return tuple(sorted(found, key=lambda each: -SIZES[each.algorithm]))


_ALGORITHMS: dict[str, Algorithm] = {
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
}


def _from_json(answer: Answer) -> tuple[IndexFile, ...]:
    import json

    try:
        page = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise FetchError(f"Cannot read the page {answer.url}: it is not JSON.", url=answer.url) from error
    files = page.get("files") if isinstance(page, dict) else None
    if not isinstance(files, list):
        raise FetchError(f"Cannot read the page {answer.url}: it lists no files.", url=answer.url)
    found = []
    for each in files:
        name, url = (each.get("filename"), each.get("url")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(url, str):
            raise FetchError(f"Cannot read the page {answer.url}: a file has no name or URL.", url=answer.url)
        size = each.get("size")
        is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        found.append(
            IndexFile(
                name=name,
                url=_joined(answer.url, url)[0],
                hashes=_hashes(each.get("hashes")),
                size=size if is_size else None,
                yanked=bool(each.get("yanked")),
            )
        )
    return tuple(found)


def _answer(client: Client, endpoints: Endpoints, query: PypiQuery) -> tuple[RemoteFile, ...]:
    indexes = _indexes(endpoints, query)
    wanted, known = set(query.hashes), False
    found: dict[str, RemoteFile] = {}
    for index in indexes:
        files = project_files(client, index, query.name)
        known = known or files is not None
        for file in files or ():
            chosen = _chosen(file, query)
            if chosen is not None and file.name not in found:
                found[file.name] = file.remote(endpoints, chosen)
                wanted -= set(file.hashes)
        if found and not wanted:
            break
    if not found:
        raise _missing(query, indexes, known)
    return tuple(found.values())


def _indexes(endpoints: Endpoints, query: PypiQuery) -> tuple[str, ...]:
    indexes = (endpoints.absolute(query.index),) if query.index else endpoints.python.urls()
    if not indexes:
        raise EndpointError(
            f"Cannot ask for {query.name}=={query.version}: pip is configured to use no index.",
            hint="Remove `no-index` (PIP_NO_INDEX, pip.conf, UV_NO_INDEX) for `devenv lock`.",
        )
    return indexes


def _chosen(file: IndexFile, query: PypiQuery) -> Hash | None:
    """The hash to lock the file by, None if it is not one of those asked for."""
    if not file.hashes:
        return None
    # SHA-256 where there is one: it is what lock files, wheels and caches speak of.
    best = next((each for each in file.hashes if each.algorithm == "sha256"), file.hashes[0])
    if query.hashes:
        return best if set(file.hashes) & set(query.hashes) else None
    return best if _version_of(file.name) == _version(query.version) else None


def _version(text: str) -> Version | None:
    from packaging.version import Version

    try:
        return Version(text)
    except ValueError:  # InvalidVersion, and what int() says of thousands of digits
        return None


def _version_of(file_name: str) -> Version | None:
    """The version in the name of a wheel or a source archive, None for other files."""
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        if file_name.endswith(".whl"):
            return parse_wheel_filename(file_name)[1]
        return parse_sdist_filename(file_name)[1]
    except (InvalidSdistFilename, InvalidWheelFilename, ValueError):
        return None


def _missing(query: PypiQuery, indexes: Sequence[str], known: bool) -> FetchError:
    asked = " and ".join(shown(index) for index in indexes)
    what = f"{query.name}=={query.version}"
    if not known:
        return FetchError(f"No index knows {query.name} (asked {asked}).")
    if query.hashes:
        return FetchError(
            f"No file of {query.name} at {asked} has one of the hashes that the lockfile has for {what}.",
            hint="The files may have been removed, or they come from another index: see `index-url` in pip.conf.",
        )
    return FetchError(f"No index has a file of {what} with a hash (asked {asked}).")


# The npm client out of a wheel, see npm_default.py


def npm_definitions_in_wheel(endpoints: Endpoints, package: str, *, cache: str, offline: bool) -> str | None:
    """npm's own definitions of its settings, out of the newest wheel of `package`, None if it has none."""
    import tempfile
    import threading

    os.makedirs(cache, exist_ok=True)
    with Client(endpoints, offline=offline) as client, tempfile.TemporaryDirectory(dir=cache) as folder:
        file = _newest_wheel(client, endpoints, package)
        if file is None:
            return None
        target = os.path.join(folder, "wheel")
        item = Download(
            url=endpoints.absolute(file.url),
            hash=file.hashes[0],
            size=file.size,
            label=f"{file.name} (to learn npm's default registry, once)",
        )
        download(
            client, item, target, part=target + ".part", reporter=Reporter(), cancelled=threading.Event()
        )
        return _definitions(target)


def _newest_wheel(client: Client, endpoints: Endpoints, package: str) -> IndexFile | None:
    """The newest release's wheel; of its platforms the Linux one that most indexes have."""
    best: tuple[Version, bool, IndexFile] | None = None
    for index in endpoints.python.urls():
        for file in project_files(client, index, package) or ():
            version = _version_of(file.name)
            if version is None or version.is_prerelease or file.yanked or not file.hashes:
                continue
            if file.name.endswith(".whl"):
                rank = (version, "manylinux" in file.name and "x86_64" in file.name, file)
                best = rank if best is None or rank[:2] > best[:2] else best
    return best[2] if best else None


def _definitions(wheel: str) -> str | None:
    import zipfile

    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if _DEFINITIONS.fullmatch(name):
                    with archive.open(name) as file:
                        return file.read(_DEFINITIONS_LIMIT).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError):
        return None
    return None
