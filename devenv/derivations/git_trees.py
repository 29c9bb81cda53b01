"""Trees of git repositories, known by the hash of their NAR: what devenv.lock says of a commit.

A commit's own name does not say what its submodules hold, nor what a store object made of it hashes to.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from devenv.adapter import GitQuery, RemoteFile
from devenv.fetch.errors import FetchError, MismatchError
from devenv.fetch.git import checkout
from devenv.formats.hashes import Hash
from devenv.formats.store_path import sanitize_name
from devenv.store.tree import canonicalise, scan

if TYPE_CHECKING:
    from devenv.fetch.http import Client
    from devenv.store.local import Store

T = TypeVar("T")

_AT_ONCE = 4
_REGISTERING = threading.Lock()
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


def answer_git(
    client: Client, queries: Sequence[GitQuery], store: Store | None = None
) -> dict[str, tuple[RemoteFile, ...]]:
    """The tree of each commit by the query's key. Raises one error for all that cannot be had.

    The trees stay in `store`, where what is built of them will look for them.
    """
    from devenv.fetch.parallel import answer_each

    if client.offline and queries:
        raise FetchError(f"Cannot ask {queries[0].url} for {queries[0].commit[:12]}: --offline forbids it.")
    return answer_each(client, queries, lambda query: _answer(client, query, store), at_once=_AT_ONCE)


def _answer(client: Client, query: GitQuery, store: Store | None) -> RemoteFile:
    return look_into(client, query.url, query.commit, lambda tree: None, store=store)[0]


def answer_tree(
    client: Client, url: str, commit: str, inner: str | None = None
) -> tuple[RemoteFile, str | None]:
    """The tree of a commit, and the text of its file `inner`, None where there is none. Raises FetchError."""
    return look_into(client, url, commit, lambda tree: text_in(tree, inner) if inner is not None else None)


def look_into(
    client: Client, url: str, commit: str, look: Callable[[str], T], *, store: Store | None = None
) -> tuple[RemoteFile, T]:
    """The tree of a commit, and what `look` finds in the directory where it is for that moment. Raises FetchError.

    It becomes an object of `store`, the same that `git_node` makes.
    """
    name = url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "source"
    with _scratch(client, store) as folder:
        tree = os.path.join(folder, "tree")
        try:
            checkout(url, commit, tree, environ=client.endpoints.environ)
            canonicalise(tree)
            found = scan(tree, ()).nar_hash
            seen = look(tree)
            if store is not None:
                with _REGISTERING:
                    store.adopt_tree(sanitize_name(name), tree, ())
        finally:
            _writable(tree)
    return RemoteFile(file_name=name, url=f"git+{url}#{commit}", hash=found), seen


def _scratch(client: Client, store: Store | None) -> AbstractContextManager[str]:
    """A directory to fetch to, removed afterwards: one of the store's, from which a tree can be moved into it."""
    import tempfile

    if store is not None:
        return store.temporary_directory()
    os.makedirs(client.endpoints.cache, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="git-", dir=client.endpoints.cache)


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
