"""A program that adds to a store as Nix does: it takes gc.lock only for moments, and asks a running collector.

usage: python -m tests.store.nix_like ROOT SEED SECONDS. Prints how many objects it added, or what it found missing.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from contextlib import closing

from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.database import Database, PathInfo
from devenv.store.layout import Layout
from devenv.store.locks import PathLocks, open_lock_file, try_lock
from devenv.store.roots import TemporaryRoots
from devenv.store.temporary import TemporaryDirectories


class Client:
    """One process's temporary roots, by Nix's protocol."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.lock = open_lock_file(layout.gc_lock)
        self.roots = TemporaryRoots(layout.temproots)
        self.asked = 0

    def root(self, path: StorePath) -> None:
        while True:
            if try_lock(self.lock, exclusive=False):
                self.roots.add([path])
                os.close(self.lock)  # releases it
                self.lock = open_lock_file(self.layout.gc_lock)
                return
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(f"{self.layout.state}/gc-socket/socket")
                    client.sendall(path.encode() + b"\n")
                    if client.recv(1) == b"1":
                        self.asked += 1
                        self.roots.add([path])
                        return
                except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
                    pass  # the collector has just ended: from the top

    def close(self) -> None:
        self.roots.close()
        os.close(self.lock)


def add(
    layout: Layout,
    database: Database,
    client: Client,
    scratch: TemporaryDirectories,
    text: bytes,
    *refs: StorePath,
) -> StorePath:
    digest = Hash.of("sha256", text)
    path = layout.store_dir.text_path("text", digest, refs)
    client.root(path)
    if not database.valid_paths([path]):
        with PathLocks([path]):
            if not database.valid_paths([path]):
                tree.remove(path)
                aside = scratch.name()
                tree.write_file(aside, text)
                os.rename(aside, path)
                nar = tree.file_nar(text)
                database.register(
                    [PathInfo(path=path, nar_hash=nar.nar_hash, nar_size=nar.nar_size, references=refs)]
                )
    return path


def session(layout: Layout, database: Database, chance: random.Random) -> tuple[int, int]:
    """Add some objects, each referring to the one before; all must be there until the end."""
    client = Client(layout)
    scratch = TemporaryDirectories(layout.tmp)
    mine: list[StorePath] = []
    try:
        for _ in range(chance.randrange(5, 40)):
            text = b"shared %d" % chance.randrange(30) if chance.random() < 0.5 else chance.randbytes(40)
            refs = mine[-1:] if chance.random() < 0.8 else []
            mine.append(add(layout, database, client, scratch, text, *refs))
            missing = [path for path in mine if not os.path.lexists(path)]
            missing += set(mine) - database.valid_paths(mine)
            if missing:
                print("lost", missing[0], "of", len(mine), flush=True)
                raise SystemExit(3)
        return len(mine), client.asked
    finally:
        client.close()
        scratch.close()


def main(root: str, seed: str, seconds: str) -> None:
    layout = Layout(root)
    chance = random.Random(int(seed))
    until = time.monotonic() + float(seconds)
    added = asked = 0
    with closing(Database(layout.database)) as database:
        while time.monotonic() < until:
            more = session(layout, database, chance)
            added, asked = added + more[0], asked + more[1]
    print(added, asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
