"""Where the source of a locked R package can be had: URLs in the order in which renv itself looks. Pure.

    cran+<NAME>@<URL, quoted>:<path>    in the repository NAME, which the lock says is at URL (either may be empty)
    bioconductor:<path>                 in Bioconductor, where the lock does not say where that is
    project:<path>                      a file of the project

A repository keeps the file of a current version in src/contrib and of earlier ones in src/contrib/Archive; who
fetches tries both. Source: "R Installation and Administration", 6.6; renv's vignette "packages" on sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from devenv.adapter import RQuery
from devenv.adapters._renv_lock import Record, RenvLock

# Names that renv takes for one and the same.
CRAN_NAMES = ("CRAN", "RSPM", "PPM", "P3M")
_BIOCONDUCTOR_NAMES = ("BioCsoft", "BioCann", "BioCexp", "BioCworkflows", "BioCbooks")
_BIOCONDUCTOR_PARTS = ("bioc", "data/annotation", "data/experiment", "workflows")
_GIT = ("git", "git2r", "xgit")
_FORGES = ("github", "gitlab", "bitbucket")
_LOCAL = ("local", "cellar")
# Where renv looks for files of packages in a project, whatever their records say.
_CELLARS = ("renv/cellar", "renv/local")


def query_of(record: Record, lock: RenvLock) -> RQuery:
    """What to ask for a record's source. Raises `AdapterError` for one that says too little, or nothing that can be used."""
    source = record.source
    if source in ("repository", "cran"):
        return _query(record, record.repository or "", tuple(_in_repositories(record, lock)))
    if source == "bioconductor":
        return _query(record, "Bioconductor", tuple(_in_bioconductor(record, lock)))
    if source in _FORGES or source in _GIT:
        url = _git_url(record) if source in _GIT else _forge_url(record)
        place = f"git+{url}#{_commit(record)}"
        return _query(record, place, (place,), record.remote.get("RemoteSubdir", ""))
    if source == "url":
        url = _required(record, "RemoteUrl")
        _check_url(record, url)
        return _query(record, url, (url,), record.remote.get("RemoteSubdir", ""))
    if source in _LOCAL or "/" in source or "\\" in source:
        return _query(record, "local", tuple(_local(record)))
    if source == "unknown":
        return _query(record, "unknown", (*_cellar(record), *_in_repositories(record, lock)))
    raise record.table.fault(
        "Source",
        f"{record.label} comes from {source[:80]!r}, which is not known here",
        hint="Known are Repository, Bioconductor, GitHub, GitLab, Bitbucket, git, URL, Local and Cellar.",
    )


def _query(record: Record, origin: str, places: tuple[str, ...], directory: str = "") -> RQuery:
    if not places:
        raise record.table.fault(
            "Repository",
            f"{record.label} is in the repository {record.repository!r}, and the lock names no repository at all",
            hint='Name it in devenv.toml: [registries] cran = "https://...".',
        )
    if directory.startswith("/") or any(part in ("..", ".") for part in directory.split("/")):
        raise record.table.fault("RemoteSubdir", f"{directory[:80]!r} is no directory in a repository")
    return RQuery(
        name=record.name,
        version=record.version,
        origin=origin,
        places=tuple(dict.fromkeys(places)),
        directory=directory.strip("/"),
    )


# Repositories


def _file(record: Record) -> str:
    return f"{record.name}_{record.version}.tar.gz"


def _place(name: str, url: str, record: Record) -> str:
    return f"cran+{quote(name, safe='')}@{quote(url, safe='')}:src/contrib/{_file(record)}"


def _in_repositories(record: Record, lock: RenvLock) -> Iterator[str]:
    """The repository that the record names, then, if that is known by a name only, all of the lock."""
    wanted = record.repository or ""
    if "://" in wanted:
        yield _place("", wanted, record)
    elif wanted in lock.repositories:
        yield _place(wanted, lock.repositories[wanted], record)
    else:
        for name, url in lock.repositories.items():
            if name not in _BIOCONDUCTOR_NAMES:
                yield _place(name, url, record)
        if wanted:
            yield _place(wanted, "", record)
    commit, url = record.remote.get("RemoteSha", ""), record.remote.get("RemoteUrl", "")
    if _is_commit(commit) and url.startswith(("https://", "http://")):
        yield f"git+{url}#{commit}"  # universes keep only the newest of each package


def _in_bioconductor(record: Record, lock: RenvLock) -> Iterator[str]:
    for name in _BIOCONDUCTOR_NAMES:
        if name in lock.repositories:
            yield _place(name, lock.repositories[name], record)
    version = lock.bioconductor
    if version is None:
        named = (record.repository or "").removeprefix("Bioconductor").strip()
        version = named if named and set(named) <= set("0123456789.") else None
    if version is not None:
        for part in _BIOCONDUCTOR_PARTS:
            yield f"bioconductor:packages/{quote(version)}/{part}/src/contrib/{_file(record)}"
    for name, url in lock.repositories.items():
        if name not in _BIOCONDUCTOR_NAMES:
            yield _place(name, url, record)


# Repositories of git


def _required(record: Record, key: str) -> str:
    value = record.remote.get(key)
    if not value:
        raise record.table.fault(
            key,
            f"{record.label} comes from {record.source}, and its record has no {key}",
            hint=f'Install it anew, then write the lock: renv::install("{record.name}"), renv::snapshot().',
        )
    return value


def _is_commit(text: str) -> bool:
    return 40 <= len(text) <= 64 and set(text) <= set("0123456789abcdef")


def _commit(record: Record) -> str:
    commit = _required(record, "RemoteSha")
    if not _is_commit(commit):
        raise record.table.fault("RemoteSha", f"{commit[:80]!r} is no whole name of a commit")
    return commit


def _forge_url(record: Record) -> str:
    """A forge's records name the host of its API: "api.HOST", or HOST/api/v3 of an installation of one's own."""
    host = _required(record, "RemoteHost").removeprefix("https://").removeprefix("http://")
    host = host.partition("/")[0].removeprefix("api.")
    path = f"{_required(record, 'RemoteUsername')}/{_required(record, 'RemoteRepo')}"
    url = f"https://{host}/{path}"
    _check_url(record, url)
    return url


def _git_url(record: Record) -> str:
    url = _required(record, "RemoteUrl")
    if "://" not in url and ":" in url and not url.startswith(("/", ".")):
        host, _, path = url.partition(":")  # as scp(1) writes it
        url = f"ssh://{host}/{path.lstrip('/')}"
    _check_url(record, url, "git", "ssh")
    return url


def _check_url(record: Record, url: str, *more: str) -> None:
    scheme, _, rest = url.partition("://")
    is_plain = url.isprintable() and not any(character in url for character in " #\"'\\")
    if scheme not in ("https", "http", *more) or not rest or rest.startswith(("/", "-")) or not is_plain:
        raise record.table.fault("RemoteUrl", f"{url[:200]!r} is no URL that {record.label} could come from")


# Files


def _cellar(record: Record) -> Iterator[str]:
    for directory in _CELLARS:
        yield f"project:{directory}/{_file(record)}"
        yield f"project:{directory}/{record.name}/{_file(record)}"


def _local(record: Record) -> Iterator[str]:
    """The record's own path counts where it lies in the project: others are of one machine."""
    yield from _cellar(record)
    path = record.remote.get("RemoteUrl") or record.remote.get("RemotePkgRef") or record.source
    path = path.removeprefix("local::").removeprefix("file://").removeprefix("./")
    parts = path.split("/")
    if path.endswith(".tar.gz") and not any(part in ("", ".", "..") for part in parts) and path.isprintable():
        yield f"project:{path}"
