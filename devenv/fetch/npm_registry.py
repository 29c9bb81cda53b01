"""The npm registry: which tarball a version is, and which versions there are.

`<registry>/<name>/<version>` is one version's manifest, `<registry>/<name>` (the packument) all of them;
`dist` in a manifest has `tarball`, `integrity` (SRI) and the older `shasum` (SHA-1 in base 16).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from devenv.adapter import NpmQuery, RemoteFile
from devenv.errors import DevenvError, raise_problems
from devenv.events import Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.errors import FetchError, MismatchError, StatusError
from devenv.fetch.http import Client
from devenv.fetch.parallel import gather
from devenv.fetch.urls import parsed, shown
from devenv.formats.hashes import Hash

# The short packument leaves out what only people read; registries that have none send the long one.
_PACKUMENT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"
_NAME = re.compile(r"(?:@[^/@\s]+/)?[^/@\s.][^/@\s]*")
_ABSENT = frozenset({404, 405, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published version. `engines`: what it says about the programs that run it ("node" -> range)."""

    version: str
    file: RemoteFile
    engines: Mapping[str, str]
    deprecated: bool


def answer_npm(
    client: Client, endpoints: Endpoints, queries: Sequence[NpmQuery], reporter: Reporter
) -> dict[str, tuple[RemoteFile, ...]]:
    """The tarball of each query, by the query's key. Raises all failures together (`FetchError`, `Problems`).

    The hash is the registry's strongest. A hash in the query must not contradict what the registry says.
    """
    unique = list(dict.fromkeys(queries))
    answers, errors = gather(
        client,
        unique,
        lambda query: (query.key, _answer(client, endpoints, query)),
        label=lambda query: f"{query.name}@{query.version}",
        reporter=reporter,
    )
    raise_problems(errors)
    return {key: (file,) for key, file in answers}


def versions(client: Client, endpoints: Endpoints, package: str) -> tuple[Published, ...]:
    """All published versions of a package, in the registry's order. Raises `FetchError` for an unknown one."""
    url = package_url(endpoints, package)
    try:
        packument = client.get_json(url, accept=_PACKUMENT)
    except StatusError as error:
        if error.status not in _ABSENT:
            raise
        raise FetchError(
            f"The npm registry at {shown(url)} knows no package {package!r}.", url=shown(url)
        ) from error
    manifests = packument.get("versions") if isinstance(packument, dict) else None
    if not isinstance(manifests, dict):
        raise FetchError(f"Cannot read the answer of {shown(url)}: it lists no versions.", url=shown(url))
    return tuple(_published(endpoints, package, manifest, url) for manifest in manifests.values())


def package_url(endpoints: Endpoints, package: str) -> str:
    """The packument's URL. Raises `FetchError` for what is no package name."""
    if not _NAME.fullmatch(package):
        raise FetchError(f"{package!r} is no name of an npm package.")
    scope = package.partition("/")[0] if package.startswith("@") else None
    return endpoints.npm.registry(scope) + quote(package, safe="@")


def _answer(client: Client, endpoints: Endpoints, query: NpmQuery) -> RemoteFile:
    url = package_url(endpoints, query.name)
    manifest = _manifest(client, query, url)
    if manifest is None:
        raise FetchError(
            f"The npm registry at {shown(url)} does not have {query.name}@{query.version}.",
            hint="It may have been removed, or it is in another registry: see `registry` in .npmrc.",
            url=shown(url),
        )
    found = _published(endpoints, query.name, manifest, url)
    return _confirmed(query, manifest, found.file, url)


def _manifest(client: Client, query: NpmQuery, url: str) -> Any:
    """The version's manifest, from the registry's page of it, or else from the packument."""
    try:
        return client.get_json(f"{url}/{quote(query.version, safe='')}")
    except StatusError as error:
        if error.status not in _ABSENT:
            raise
    try:
        packument = client.get_json(url, accept=_PACKUMENT)
    except StatusError as error:
        if error.status not in _ABSENT:
            raise
        return None
    found = packument.get("versions") if isinstance(packument, dict) else None
    return found.get(query.version) if isinstance(found, dict) else None


def _published(endpoints: Endpoints, package: str, manifest: Any, url: str) -> Published:
    manifest = manifest if isinstance(manifest, dict) else {}
    version, dist = manifest.get("version"), manifest.get("dist")
    tarball = dist.get("tarball") if isinstance(dist, dict) else None
    if not isinstance(version, str) or not isinstance(dist, dict) or not isinstance(tarball, str):
        raise FetchError(
            f"Cannot read the answer of {shown(url)}: {package} has no version or tarball there.",
            url=shown(url),
        )
    file_name = parsed(tarball).path.rpartition("/")[2] or f"{package.rpartition('/')[2]}-{version}.tgz"
    engines = manifest.get("engines")
    pairs = engines.items() if isinstance(engines, dict) else ()
    return Published(
        version=version,
        file=RemoteFile(
            file_name=file_name,
            url=endpoints.relative(tarball),
            hash=_strongest(_hashes(dist, f"{package}@{version}", url), f"{package}@{version}", url),
        ),
        engines={str(name): value for name, value in pairs if isinstance(value, str)},
        deprecated=bool(manifest.get("deprecated")),
    )


def _hashes(dist: Mapping[str, Any], label: str, url: str) -> tuple[Hash, ...]:
    """What the registry says of the tarball, the strongest first."""
    integrity, shasum = dist.get("integrity"), dist.get("shasum")
    found = []
    try:
        if isinstance(integrity, str) and integrity.strip():
            found.append(Hash.parse_sri(integrity))
        if isinstance(shasum, str) and shasum:
            found.append(Hash.from_hex("sha1", shasum))
    except DevenvError as error:
        raise FetchError(
            f"Cannot read the hash of {label} in the answer of {shown(url)}: {error}.", url=shown(url)
        ) from error
    return tuple(found)


def _strongest(hashes: Sequence[Hash], label: str, url: str) -> Hash:
    if not hashes:
        raise FetchError(f"The npm registry at {shown(url)} tells no hash of {label}.", url=shown(url))
    return hashes[0]


def _confirmed(query: NpmQuery, manifest: Mapping[str, Any], file: RemoteFile, url: str) -> RemoteFile:
    """The file, if what the lockfile knows of it fits."""
    if query.hash is None:
        return file
    said = {found.algorithm: found for found in _hashes(manifest["dist"], query.key, url)}
    same = said.get(query.hash.algorithm)
    if same is None:
        # Nothing to compare: what was locked stays the authority, and is checked on download.
        return RemoteFile(file_name=file.file_name, url=file.url, hash=query.hash)
    if same != query.hash:
        raise MismatchError(
            f"The lockfile and the npm registry at {shown(url)} disagree on {query.name}@{query.version}.\n"
            f"  lockfile: {query.hash.sri}\n"
            f"  registry: {same.sri}",
            url=shown(url),
            expected=query.hash.sri,
            found=same.sri,
        )
    return file
