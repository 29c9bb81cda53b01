"""The sources of R packages: where each is, what it hashes to, what its DESCRIPTION asks for.

Repositories of R publish no hash that counts, so each file is fetched when it is locked, and kept in the store, where the
build will look for it. What a package needs is read from its own DESCRIPTION: that is what R CMD INSTALL goes by,
whatever the lock of some version of renv says.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Sequence

from devenv.adapter import RemoteFile, RQuery
from devenv.derivations.builders.tar import Stream, Tar
from devenv.derivations.builders.tree import ceiling
from devenv.derivations.errors import ArchiveError
from devenv.derivations.git_trees import answer_tree
from devenv.errors import DevenvError, raise_problems
from devenv.events import Reporter
from devenv.fetch.errors import EndpointError, FetchError
from devenv.fetch.http import Client
from devenv.fetch.parallel import gather
from devenv.formats.hashes import Hash
from devenv.formats.store_path import sanitize_name
from devenv.providers.errors import ProviderError
from devenv.recipes.impure import add_flat, copy_of, stream_to
from devenv.store.local import Store

_LARGEST = 1 << 20  # bytes of a DESCRIPTION
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9/@_.-]*):[ \t]*", re.MULTILINE)
_NEEDED = ("Depends", "Imports", "LinkingTo")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*")


def answer_r(
    client: Client, store: Store, queries: Sequence[RQuery], reporter: Reporter
) -> dict[str, tuple[RemoteFile, ...]]:
    """Each package's source by the query's key. Raises one error for all that cannot be had."""
    if client.offline and queries:
        raise FetchError(
            f"Cannot ask for the source of {queries[0].name} {queries[0].version}"
            + (f" and {len(queries) - 1} more" if len(queries) > 1 else "")
            + ": --offline forbids it."
        )
    registering = threading.Lock()

    def answer(query: RQuery) -> RemoteFile:
        return _answer(client, store, query, reporter, registering)

    # The transfers themselves are reported; which packages they are for, they say.
    files, errors = gather(client, queries, answer, label=lambda query: query.key, reporter=Reporter())
    # A repository that nobody knows is one problem, however many packages are in it.
    raise_problems({str(error): error for error in errors}.values())
    return {query.key: (file,) for query, file in zip(queries, files, strict=True)}


def _answer(
    client: Client, store: Store, query: RQuery, reporter: Reporter, registering: threading.Lock
) -> RemoteFile:
    findings: list[str] = []
    unknown: list[EndpointError] = []
    for place in query.places:
        try:
            if place.startswith("git+"):
                return _of_repository(client, query, place)
            for url in client.endpoints.candidates(place):
                try:
                    return _of_file(client, store, query, place, url, reporter, registering)
                except FetchError as error:
                    findings.append(str(error))
        except ProviderError:
            raise
        except EndpointError as error:
            unknown.append(error)
        except DevenvError as error:
            findings.append(str(error))
    if unknown and not findings:
        raise unknown[0]
    tried = "".join(f"\n{finding}" for finding in dict.fromkeys([*findings, *map(str, unknown)]))
    raise ProviderError(
        f"cannot find the source of {query.name} {query.version}; it was looked for in{tried}",
        tool="r",
        request=query.name,
        hint="Another repository can be named: `cran` under [registries]. Files of one's own can lie in renv/cellar of the "
        "project, as NAME_VERSION.tar.gz.",
    )


def _of_repository(client: Client, query: RQuery, place: str) -> RemoteFile:
    """What a commit of a repository holds."""
    url, _, commit = place.removeprefix("git+").rpartition("#")
    inner = os.path.join(query.directory, "DESCRIPTION")
    file, description = answer_tree(client, url, commit, inner)
    if description is None:
        raise ProviderError(
            f"{query.name} {query.version} is not in {url} at {commit[:12]}: there is no {inner}",
            tool="r",
            request=query.name,
        )
    return _described(file, description, query)


def _of_file(
    client: Client,
    store: Store,
    query: RQuery,
    place: str,
    url: str,
    reporter: Reporter,
    registering: threading.Lock,
) -> RemoteFile:
    name = f"{query.name}_{query.version}.tar.gz"
    with store.temporary_directory() as aside:
        target = os.path.join(aside, "file")
        if url.startswith("file:"):
            hash = _copied(url, target)
        else:
            hash = stream_to(client, url, target, f"{query.name} {query.version}", reporter)
        size = os.path.getsize(target)
        description = description_in(target, query.directory, f"{query.name} {query.version} ({url})")
        with registering:
            add_flat(store, sanitize_name(name), target, hash)
    file = RemoteFile(file_name=name, url=place, hash=hash, size=size)
    return _described(file, description, query)


def _copied(url: str, target: str) -> Hash:
    import hashlib
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(url).path)
    if not os.path.isfile(path):
        raise FetchError(f"there is no {path}", url=url)
    copy_of(path)(target)
    with open(target, "rb") as file:
        return Hash("sha256", hashlib.file_digest(file, "sha256").digest())


def description_in(archive: str, directory: str, label: str) -> str:
    """The DESCRIPTION of the package in a tar archive, in `directory` of its one top directory.

    Raises `ProviderError` for an archive that is none, or is damaged.
    """
    wanted = tuple(part for part in (*directory.split("/"), "DESCRIPTION") if part)
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        tar = Tar(Stream(descriptor))
        left = ceiling(os.fstat(descriptor).st_size)
        for member in tar:
            left -= member.size
            if left < 0:
                raise ArchiveError("unpacks to more than any package does")
            parts = tuple(part for part in os.fsdecode(member.name).split("/") if part not in ("", "."))
            if parts[1:] == wanted and member.kind == "file":
                if member.size > _LARGEST:
                    raise ProviderError(
                        f"{label}: its DESCRIPTION has {member.size} bytes", tool="r", request=""
                    )
                return b"".join(tar.data()).decode("utf-8", "replace")
    except ArchiveError as error:
        raise ProviderError(f"{label} is no package of R: it {error}", tool="r", request="") from error
    finally:
        os.close(descriptor)
    raise ProviderError(f"{label} is no package of R: it holds no DESCRIPTION", tool="r", request="")


def _described(file: RemoteFile, text: str, query: RQuery) -> RemoteFile:
    fields = description_fields(text)
    if fields.get("Package") != query.name:
        raise ProviderError(
            f"{file.url} holds the package {fields.get('Package', 'without a name')!r}, not {query.name}",
            tool="r",
            request=query.name,
            hint="The lock says where it is: has it been moved?",
        )
    version = fields.get("Version", "")
    if re.split(r"[.-]", version) != re.split(r"[.-]", query.version):
        raise ProviderError(
            f"{file.url} holds {query.name} {version}, where the lock says {query.version}",
            tool="r",
            request=query.name,
        )
    return RemoteFile(
        file_name=file.file_name,
        url=file.url,
        hash=file.hash,
        size=file.size,
        needs=needed_packages(fields[name] for name in _NEEDED if name in fields),
        system=" ".join(fields.get("SystemRequirements", "").split()),
    )


def description_fields(text: str) -> dict[str, str]:
    """The fields of a DESCRIPTION, continuation lines joined. Source: "Writing R Extensions", 1.1.1; ?read.dcf."""
    found: dict[str, str] = {}
    plain = text.replace("\r\n", "\n").removeprefix("\ufeff")
    parts = _FIELD.split(plain)
    for name, value in zip(parts[1::2], parts[2::2], strict=True):
        found.setdefault(name, value.strip())
    return found


def needed_packages(lists: Iterable[str]) -> tuple[str, ...]:
    """The names in fields such as "R (>= 3.5), methods, Rcpp (>= 1.0)", sorted."""
    names = set()
    for each in lists:
        for entry in re.sub(r"\([^()]*\)", "", each).split(","):
            name = entry.strip()
            if _NAME.fullmatch(name):
                names.add(name)
    return tuple(sorted(names))
