"""Where a registry keeps the files of crates: `dl` of its index's config.json.

The template may hold {crate}, {version}, {prefix}, {lowerprefix} and {sha256-checksum}; one without any of them
gets "/{crate}/{version}/download" appended. `auth-required` says that whoever downloads has to show the token. Source: the
Cargo Book, "Registry Index", "Index Configuration".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from devenv.fetch.errors import EndpointError, FetchError

if TYPE_CHECKING:
    from devenv.fetch.endpoints import Endpoints

_MARKERS = ("{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}")
_REMEMBERED = "crate-registries.json"
_FRESH_SECONDS = 7 * 86400


class CrateFiles(NamedTuple):
    """Where the files of a registry are, as it says it, and whether they are for those with its token only."""

    template: str
    private: bool = False


def index_template(endpoints: Endpoints, index: str, *, offline: bool) -> CrateFiles:
    """Where the registry of `index` has its files: a sparse index' URL, or that of a git repository.

    It hardly ever changes, so an answer of the last week serves; without the network, any.

    Raises `FetchError` for one that does not answer, `EndpointError` for an answer that cannot be used.
    """
    known = _remembered(endpoints.cache)
    files, age = known.get(index, (None, 0.0))
    if files is not None and (offline or 0 <= age < _FRESH_SECONDS):
        return files
    if index.startswith("sparse+"):
        config = _sparse_config(endpoints, index.removeprefix("sparse+"), offline=offline)
    else:
        config = _git_config(endpoints, index, offline=offline)
    found = config if isinstance(config, dict) else {}
    template = found.get("dl")
    if not isinstance(template, str) or "://" not in template:
        raise EndpointError(
            f"The crate registry {index} does not say where its files are: no `dl` in config.json."
        )
    files = CrateFiles(template, found.get("auth-required") is True)
    _remember(endpoints.cache, index, files)
    return files


def _remembered(cache: str) -> dict[str, tuple[CrateFiles, float]]:
    """What indexes said, each with its age in seconds."""
    import json
    import time

    try:
        with open(os.path.join(cache, _REMEMBERED), encoding="utf-8") as file:
            found = json.load(file)
        now = time.time()
        return {
            str(key): (CrateFiles(str(template), private is True), now - float(at))
            for key, (template, private, at) in found.items()
        }
    except (OSError, ValueError, RecursionError, TypeError, AttributeError):
        return {}


def _remember(cache: str, index: str, files: CrateFiles) -> None:
    import json
    import time

    now = time.time()
    known = {key: [*found, now - age] for key, (found, age) in _remembered(cache).items()}
    known[index] = [*files, now]
    os.makedirs(cache, exist_ok=True)
    temporary = os.path.join(cache, f"{_REMEMBERED}.{os.getpid()}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(known, file)
    os.replace(temporary, os.path.join(cache, _REMEMBERED))


def _sparse_config(endpoints: Endpoints, url: str, *, offline: bool) -> object:
    from devenv.fetch.http import Client

    with Client(endpoints, offline=offline) as client:
        return client.get_json(f"{url.rstrip('/')}/config.json")


def _git_config(endpoints: Endpoints, url: str, *, offline: bool) -> object:
    import json
    import tempfile

    from devenv.fetch.git import checkout_file

    if offline:
        raise FetchError(f"Cannot ask the crate registry {url}: --offline forbids it.")
    with tempfile.TemporaryDirectory(prefix="devenv-index-") as folder:
        data = checkout_file(url, "config.json", folder, environ=endpoints.environ)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EndpointError(f"The crate registry {url} has a config.json that is not JSON.") from error


def crate_url(template: str, name: str, version: str, checksum: str) -> str:
    """The URL of one crate's file. `checksum` is its SHA-256 in hexadecimal."""
    if not any(marker in template for marker in _MARKERS):
        template = template.rstrip("/") + "/{crate}/{version}/download"
    prefix = index_prefix(name)
    values = (name, version, prefix, prefix.lower(), checksum)
    for marker, value in zip(_MARKERS, values, strict=True):
        template = template.replace(marker, quote(value, safe="/+"))
    return template


def index_prefix(name: str) -> str:
    """The directories of a crate in an index: "1", "2", "3/c", "ca/rg"."""
    if len(name) <= 2:
        return str(len(name))
    return f"3/{name[0]}" if len(name) == 3 else f"{name[:2]}/{name[2:4]}"
