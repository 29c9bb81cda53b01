"""Trees of git repositories, known by the hash of their NAR: what devenv.lock says of a commit.

A commit's own name does not say what its submodules hold, nor what a store object made of it hashes to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from devenv.adapter import GitQuery, RemoteFile
from devenv.errors import DevenvError, raise_problems
from devenv.fetch.errors import FetchError, MismatchError
from devenv.fetch.git import checkout
from devenv.formats.hashes import Hash
from devenv.store.tree import canonicalise, scan

if TYPE_CHECKING:
    from devenv.fetch.http import Client

T = TypeVar("T")

_AT_ONCE = 4
_LARGEST_TEXT = 1 << 20


def fetch_tree(url: str, commit: str, target: str, *, expected: Hash, client: Client) -> None:
    """`checkout` of a tree whose NAR has the SHA-256 `expected`. Raises `MismatchError` if it is another."""
    if client.offline:
        raise FetchError(f"Cannot fetch {url}: --offline forbids it.")
    checkout(url, commit, target, environ=client.endpoints.environ)
    canonicalise(target)
    found = scan(target, ()).nar_hash
    if found != expected:
        raise MismatchError(
            f"commit {commit} of {url} is not the tree that devenv.lock names: expected {expected.sri}, found {found.sri}",
            url=url,
            expected=expected.sri,
            found=found.sri,
        )


def answer_git(client: Client, queries: Sequence[GitQuery]) -> dict[str, tuple[RemoteFile, ...]]:
    """The tree of each commit by the query's key. Raises one error for all that cannot be had."""
    from concurrent.futures import ThreadPoolExecutor

    if client.offline and queries:
        raise FetchError(f"Cannot ask {queries[0].url} for {queries[0].commit[:12]}: --offline forbids it.")
    answers: dict[str, tuple[RemoteFile, ...]] = {}
    problems = []
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        asked = [(query, threads.submit(_answer, client, query)) for query in queries]
        for query, future in asked:
            try:
                answers[query.key] = (future.result(),)
            except DevenvError as error:
                problems.append(error)
    raise_problems(problems)
    return answers


def _answer(client: Client, query: GitQuery) -> RemoteFile:
    return answer_tree(client, query.url, query.commit)[0]


def answer_tree(
    client: Client, url: str, commit: str, inner: str | None = None
) -> tuple[RemoteFile, str | None]:
    """The tree of a commit, and the text of its file `inner`, None where there is none. Raises FetchError."""
    return look_into(client, url, commit, lambda tree: text_in(tree, inner) if inner is not None else None)


def look_into(client: Client, url: str, commit: str, look: Callable[[str], T]) -> tuple[RemoteFile, T]:
    """The tree of a commit, and what `look` finds in the directory where it is for that moment. Raises FetchError."""
    import tempfile

    os.makedirs(client.endpoints.cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="git-", dir=client.endpoints.cache) as folder:
        tree = os.path.join(folder, "tree")
        try:
            checkout(url, commit, tree, environ=client.endpoints.environ)
            canonicalise(tree)
            found = scan(tree, ()).nar_hash
            seen = look(tree)
        finally:
            _writable(tree)
    name = url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "source"
    return RemoteFile(file_name=name, url=f"git+{url}#{commit}", hash=found), seen


def text_in(tree: str, inner: str) -> str | None:
    """The text of a file, None where there is none in the tree itself."""
    path = os.path.realpath(os.path.join(tree, inner))
    if not path.startswith(f"{os.path.realpath(tree)}/") or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read(_LARGEST_TEXT).decode("utf-8", "replace")


def _writable(tree: str) -> None:
    """So that it can be removed."""
    for folder, _, _ in os.walk(tree):
        os.chmod(folder, 0o755)  # noqa: S103 - a temporary directory of this process
