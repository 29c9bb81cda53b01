"""Inputs that no derivation makes: files fetched without knowing their hash, and things that are known by it alone.

Both end as store objects addressed by their contents, which is all that a recipe's derivation sees of them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from devenv.config.builds import Fetch, Purify
from devenv.errors import DevenvError
from devenv.events import Finished, Progressed, Reporter, Started
from devenv.fetch.errors import TransientError
from devenv.fetch.http import Client
from devenv.fetch.urls import shown
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir, StorePath, sanitize_name
from devenv.recipes.errors import RecipeError
from devenv.store.errors import explaining
from devenv.store.local import Store
from devenv.store.tree import canonicalise, copy_tree, dump, scan

_BLOCK = 1 << 20


def file_name(url: str) -> str:
    """What a file from `url` is called in the store."""
    return sanitize_name(unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2] or "file")


# Fetching without a hash


def fetch_anew(
    fetch: Fetch, absolute_url: str, *, client: Client, store: Store, reporter: Reporter
) -> tuple[StorePath, Hash]:
    """Fetch the file now, whatever is there, and add it to the store: its path and its SHA-256.

    Raises FetchError, StoreError.
    """
    with store.temporary_directory() as aside:
        target = os.path.join(aside, "file")
        found = stream_to(client, absolute_url, target, f"fetch.{fetch.name}", reporter)
        return add_flat(store, file_name(fetch.url), target, found), found


def stream_to(client: Client, url: str, target: str, label: str, reporter: Reporter) -> Hash:
    """Write what is at `url` to the file `target`, and say its SHA-256. Starts over where it breaks off."""
    retries = client.retries()
    reporter.event(Started(kind="fetch", key=target, label=label))
    failed = True
    try:
        while True:
            try:
                found = _stream_once(client, url, target, reporter)
                failed = False
                return found
            except TransientError as error:
                retries.failed(error)
    finally:
        reporter.event(Finished(key=target, failed=failed))


def _stream_once(client: Client, url: str, target: str, reporter: Reporter) -> Hash:
    digest = hashlib.sha256()
    size = 0
    with explaining("writing", target), open(target, "wb") as file, client.stream(url) as stream:
        for chunk in stream.chunks():
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            reporter.event(Progressed(key=target, done=size))
        total = stream.total
    if total is not None and size != total:
        raise TransientError(f"{shown(url)} ended after {size} of {total} bytes.", url=shown(url))
    return Hash("sha256", digest.digest())


def add_flat(store: Store, name: str, tree: str, hash: Hash) -> StorePath:
    """Register a file, inside the store's `tmp`, by the hash of its contents."""
    return _add(store, name, tree, hash, recursive=False)


def _add(store: Store, name: str, tree: str, hash: Hash, *, recursive: bool) -> StorePath:
    canonicalise(tree)
    found = scan(tree, ())
    path = store.store_dir.fixed_path(name, hash, recursive)
    store.register_output(
        None,
        path,
        tree,
        nar_hash=found.nar_hash,
        nar_size=found.nar_size,
        references=(),
        content_address=f"fixed:{'r:' if recursive else ''}{hash.typed_nix32}",
    )
    return path


# Known by its hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place where a thing may be. `bring(target)` copies it to the path `target`; it raises DevenvError."""

    text: str
    bring: Callable[[str], None]


class Impure(RecipeError):
    """No candidate is what it should be. `findings` say what each of them gave."""

    def __init__(self, purify: Purify, findings: Sequence[str]) -> None:
        lines = "".join(f"\n{finding}" for finding in findings)
        super().__init__(
            f"{purify.origin}: purify.{purify.name}: no candidate has the hash {purify.hash}{lines}",
            recipe=purify.name,
            hint="if one of them is right, write its hash into devenv.toml; else name another candidate",
        )
        self.findings = tuple(findings)


def purified_path(purify: Purify, store_dir: StoreDir) -> StorePath:
    """Where the thing is, or will be. Nothing is looked at."""
    return store_dir.fixed_path(sanitize_name(purify.name), Hash.parse_sri(purify.hash), purify.recursive)


def purify_into(purify: Purify, candidates: Sequence[Candidate], store: Store) -> StorePath:
    """The first of `candidates` with the right hash, as a store object. Those behind it are not asked.

    Raises Impure, and StoreError for the store's own troubles.
    """
    path = purified_path(purify, store.store_dir)
    if store.is_valid(path):
        store.add_temp_roots([path])
        return path
    expected = Hash.parse_sri(purify.hash)
    findings = []
    for candidate in candidates:
        with store.temporary_directory() as aside:
            tree = os.path.join(aside, "candidate")
            try:
                candidate.bring(tree)
                found = _hash_of(tree, expected.algorithm, recursive=purify.recursive)
            except DevenvError as error:
                findings.append(f"{candidate.text}: {error}")
                continue
            if found == expected:
                return _add(store, sanitize_name(purify.name), tree, expected, recursive=purify.recursive)
            findings.append(f"{candidate.text}: has {found.sri}")
    raise Impure(purify, findings)


def copy_of(source: str) -> Callable[[str], None]:
    """How to bring a file or tree of this machine. A symbolic link is followed to what it stands for."""

    def bring(target: str) -> None:
        if not os.path.exists(source):
            raise RecipeError(f"there is no {source}")
        copy_tree(os.path.realpath(source), target)

    return bring


def _hash_of(tree: str, algorithm: str, *, recursive: bool) -> Hash:
    digest = hashlib.new(algorithm)
    for chunk in dump(tree) if recursive else _contents(tree):
        digest.update(chunk)
    return Hash(algorithm, digest.digest())  # type: ignore[arg-type]


def _contents(path: str) -> Iterator[bytes]:
    with explaining("reading", path):
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            raise RecipeError(
                "it is a directory, and the hash is that of a file's contents",
                hint="recursive = true: the hash is that of a directory",
            )
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
