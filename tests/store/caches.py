"""Two stores with one store directory, one after the other, and objects of every kind to move between them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devenv.errors import DevenvError, Problems
from devenv.events import Event, Notice, Reporter
from devenv.fetch.endpoints import Endpoints
from devenv.fetch.http import Client
from devenv.formats.content_address import ContentAddress
from devenv.formats.hashes import Hash
from devenv.formats.signing import PublicKey, SecretKey, TrustedKeys
from devenv.formats.store_path import StorePath, digest_of
from devenv.store import tree as trees
from devenv.store.binary_cache import BinaryCache
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.misses import Misses
from devenv.store.pushing import Pushed, Pusher
from devenv.store.substitute import Outcome, Substituters
from tests.store.trees import make_odd

KEY = SecretKey("test-1", b"k" * 32)
OTHER_KEY = SecretKey("other-1", b"o" * 32)


class Heard(Reporter):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


@contextmanager
def client(tmp_path: Path) -> Iterator[Client]:
    environ = {"HOME": str(tmp_path)}
    endpoints = Endpoints.load(
        project=str(tmp_path), environ=environ, registries={}, cache=str(tmp_path / "http")
    )
    with Client(endpoints, environ=environ, attempts=3, backoff=0.01) as opened:
        yield opened


def open_cache(url: str, store: Store, tmp_path: Path) -> BinaryCache:
    endpoints = Endpoints.load(
        project=str(tmp_path), environ={"HOME": str(tmp_path)}, registries={}, cache=str(tmp_path / "http")
    )
    made = Client(endpoints, environ={}, attempts=3, backoff=0.01)
    return BinaryCache.at(url, store.store_dir, lambda: made)


def push(
    store: Store,
    url: str,
    paths: Iterable[StorePath],
    tmp_path: Path,
    *,
    keys: Sequence[SecretKey] = (KEY,),
    compression: str | None = "none",
    again: bool = False,
) -> Pushed:
    pusher = Pusher(
        store,
        open_cache(url, store, tmp_path),
        compression=compression,
        keys=keys,
        jobs=2,
        reporter=Reporter(),
        cancel=lambda: None,
        cancelled=threading.Event(),
    )
    return pusher.push(paths, again=again)


def bring(
    store: Store,
    urls: Sequence[str],
    paths: Iterable[StorePath],
    tmp_path: Path,
    *,
    trusted: Sequence[PublicKey] = (KEY.public,),
    misses: Misses | None = None,
    reporter: Reporter | None = None,
    strict: bool = False,
) -> Outcome:
    substituters = Substituters(
        [open_cache(url, store, tmp_path) for url in urls],
        store,
        trusted=TrustedKeys(trusted),
        misses=misses,
        reporter=reporter or Reporter(),
        cancel=lambda: None,
        cancelled=threading.Event(),
        strict=strict,
    )
    return substituters.bring(paths)


def messages(error: DevenvError) -> str:
    problems = error.problems if isinstance(error, Problems) else (error,)
    return "\n".join(str(problem) for problem in problems)


class Objects:
    """One object of each kind: by content (text, file, tree, one that names itself) and by derivation."""

    def __init__(self, store: Store, scratch: Path) -> None:
        self._store = store
        scratch.mkdir()
        make_odd(scratch / "odd")
        self.text = store.add_text("text", b"a text\n")
        self.tree = store.add_tree("odd", str(scratch / "odd"))
        self.flat = self._flat(b"a download\n")
        self.selfish = self._selfish()
        self.lib = self._built("lib", {"lib.so": f"uses {self.text}\n", "empty": ""}, [self.text])
        self.app = self._built("app", {"bin/app": f"runs {self.lib}/lib.so\n"}, [self.lib], itself=True)

    @property
    def all(self) -> list[StorePath]:
        return [self.text, self.tree, self.flat, self.selfish, self.lib, self.app]

    def _flat(self, contents: bytes) -> StorePath:
        hash = Hash.of("sha1", contents)
        path = self._store.store_dir.fixed_path("download", hash, recursive=False)
        with self._store.temporary_directory() as directory:
            trees.write_file(f"{directory}/file", contents)
            self._register(path, f"{directory}/file", [], str(ContentAddress("flat", hash)))
        return path

    def _selfish(self) -> StorePath:
        """As `nix store make-content-addressed` makes them."""
        with self._store.temporary_directory() as directory:
            tree = f"{directory}/tree"
            nuls = b"x" * 1000 + bytes(32) + b" and " + bytes(32)
            trees.write_file(tree, nuls)
            archive = b"".join(trees.dump(tree))
            start = archive.index(nuls)
            marked = archive + b"|%d|%d" % (start + 1000, start + 1037)
            hash = Hash.of("sha256", marked)
            path = self._store.store_dir.source_path("selfish", hash, (), self_reference=True)
            trees.remove(tree)
            trees.write_file(tree, nuls.replace(bytes(32), digest_of(path).encode()))
            self._register(path, tree, [path], str(ContentAddress("recursive", hash)))
        return path

    def _built(
        self, name: str, files: dict[str, str], references: list[StorePath], *, itself: bool = False
    ) -> StorePath:
        """As if a derivation had made it."""
        path = self._store.store_dir.output_path("out", Hash.of("sha256", name.encode()), name)
        with self._store.temporary_directory() as directory:
            tree = Path(directory, "tree")
            for file, text in files.items():
                (tree / file).parent.mkdir(parents=True, exist_ok=True)
                (tree / file).write_text(text + (f"in {path}\n" if itself else ""))
            trees.canonicalise(str(tree))
            self._register(path, str(tree), [*references, *([path] if itself else [])], None)
        return path

    def _register(self, path: StorePath, tree: str, references: list[StorePath], claim: str | None) -> None:
        found = trees.scan(tree, [*references, path])
        assert found.references == tuple(sorted(references))
        self._store.register_output(
            None,
            path,
            tree,
            nar_hash=found.nar_hash,
            nar_size=found.nar_size,
            references=references,
            content_address=claim,
        )


def set_aside(layout: Layout) -> None:
    """Make room for another store at the same place."""
    os.rename(layout.root, f"{layout.root}-{os.urandom(3).hex()}")
