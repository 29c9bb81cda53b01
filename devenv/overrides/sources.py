"""What an override says about where a package comes from, as a file of a plan or as a question."""

from __future__ import annotations

import re
from urllib.parse import unquote

from devenv.adapter import Completions, FileQuery, GitQuery, RemoteFile
from devenv.config.overrides import Override, OverrideError, Source


def file_of_source(
    override: Override, version: str, completions: Completions, known: RemoteFile | None = None
) -> RemoteFile | FileQuery | GitQuery:
    """The file that `override.source` means, or what must be asked first. Raises OverrideError.

    `known`: the locked file, which it may be as well.
    """
    source = override.source
    assert source is not None
    if known is not None and is_of_source(known, source):
        return known
    if source.url.startswith("git+"):
        url, _, commit = source.url.removeprefix("git+").rpartition("#")
        asked = GitQuery(url=url, commit=commit)
        return _answer(override, asked, completions)
    name = file_name(source)
    if not name:
        raise OverrideError(override.origin, f"source: {source.url} ends in no name of a file")
    if source.hash is not None:
        return RemoteFile(file_name=name, url=source.url, hash=source.hash)
    return _answer(
        override, FileQuery(url=source.url, file_name=name, label=f"{override.name} {version}"), completions
    )


def file_name(source: Source) -> str:
    """The last part of its URL."""
    return unquote(re.split("[/:]", source.url.partition("?")[0])[-1]).rpartition("/")[2]


def is_of_source(file: RemoteFile, source: Source) -> bool:
    """Whether a locked file is the one that a source means."""
    return (file.url, file.hash) == (source.url, source.hash or file.hash)


def _answer(
    override: Override, query: FileQuery | GitQuery, completions: Completions
) -> RemoteFile | FileQuery | GitQuery:
    answers = completions.get(query.key, ())
    if not answers:
        return query
    check_hash(override, answers[0])
    return answers[0]


def check_hash(override: Override, file: RemoteFile) -> None:
    """Raises OverrideError for a file that has not the hash that the override says."""
    wanted = override.source.hash if override.source is not None else None
    if wanted is None or wanted == file.hash:
        return
    if wanted.algorithm != file.hash.algorithm:
        raise OverrideError(
            override.origin,
            f"source.hash is a {wanted.algorithm}; devenv.lock knows the {file.hash.algorithm}",
            f'write "{file.hash.sri}"',
        )
    raise OverrideError(
        override.origin,
        f"source.hash is {wanted.sri}, and {file.url} has {file.hash.sri}",
        "look at what changed there before you write the other hash",
    )
