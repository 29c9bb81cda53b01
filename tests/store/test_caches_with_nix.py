"""Real Nix on the other side of a cache: it reads what we push, we read what it copies, in directories and on the web."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.formats import narinfo
from devenv.formats.store_path import StorePath
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.serving import Server
from tests.store.caches import KEY, OTHER_KEY, Objects, bring, push, set_aside
from tests.store.trees import listing
from tests.support.cache_server import CacheServer, serve_directory
from tests.support.nix import Nix

COMPRESSIONS = ["none", "xz", "bzip2", "gzip", "zstd"]

EXPRESSION = """
derivation { name = "made"; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-c" "echo ${builtins.toFile "text" "text"} $out > $out" ]; }
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def server(cache: Path) -> Iterator[CacheServer]:
    with serve_directory(cache) as running:
        yield running


def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(KEY.to_text())
    path.chmod(0o600)
    return path


def make_with_nix(nix: Nix, tmp_path: Path) -> StorePath:
    (tmp_path / "made.nix").write_text(EXPRESSION)
    return nix.layout.store_dir.parse(
        nix.run("nix-build", "--no-out-link", str(tmp_path / "made.nix")).stdout.strip()
    )


def objects_of(layout: Layout, tmp_path: Path) -> Objects:
    with Store.open(layout) as store:
        return Objects(store, tmp_path / f"scratch-{os.urandom(3).hex()}")


def facts(layout: Layout, paths: list[StorePath]) -> list[object]:
    with Store.open(layout) as store:
        found = [store.info(path) for path in paths]
    return [
        info
        and (info.path, info.nar_hash, info.nar_size, info.references, info.content_address, info.signatures)
        for info in found
    ]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_we_read_what_nix_copied(layout: Layout, nix: Nix, tmp_path: Path, cache: Path, name: str) -> None:
    objects = objects_of(layout, tmp_path)
    made = make_with_nix(nix, tmp_path)
    paths = [*objects.all, made]
    nix.run(
        "nix", "copy", "--to", f"file://{cache}?compression={name}&secret-key={secret_file(tmp_path)}", *paths
    )
    listings = {path: listing(path) for path in paths}
    set_aside(layout)
    with Store.open(layout) as store:
        found = bring(store, [f"file://{cache}"], paths, tmp_path)
        assert found.valid == set(paths), found.problems
    assert {path: listing(path) for path in paths} == listings
    Nix(layout, tmp_path).verify()


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_nix_reads_what_we_push(layout: Layout, nix: Nix, tmp_path: Path, cache: Path, name: str) -> None:
    objects = objects_of(layout, tmp_path)
    with Store.open(layout) as store:
        push(store, f"file://{cache}", objects.all, tmp_path, compression=name)
    listings = {path: listing(path) for path in objects.all}
    set_aside(layout)
    with Store.open(layout):
        pass
    theirs = Nix(layout, tmp_path)
    theirs.run(
        *("nix", "copy", "--from", f"file://{cache}", *objects.all),
        *("--option", "trusted-public-keys", KEY.public.to_text()),
    )
    theirs.verify()
    assert {path: listing(path) for path in objects.all} == listings


def test_both_write_the_same_narinfos(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    objects = objects_of(layout, tmp_path)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    nix.run(
        "nix",
        "copy",
        "--to",
        f"file://{theirs}?compression=none&secret-key={secret_file(tmp_path)}",
        *objects.all,
    )
    with Store.open(layout) as store:
        push(store, f"file://{ours}", objects.all, tmp_path)
    for path in objects.all:
        name = narinfo.info_name(path)
        assert (ours / name).read_text() == (theirs / name).read_text()
    assert {file.name for file in (ours / "nar").iterdir()} == {
        file.name for file in (theirs / "nar").iterdir()
    }


def test_what_came_is_registered_as_nix_registers_it(
    layout: Layout, nix: Nix, tmp_path: Path, cache: Path
) -> None:
    made = make_with_nix(nix, tmp_path)
    objects = objects_of(layout, tmp_path)
    paths = [*objects.all, made]
    with Store.open(layout) as store:
        push(store, f"file://{cache}", paths, tmp_path)
    set_aside(layout)
    with Store.open(layout) as store:
        bring(store, [f"file://{cache}"], paths, tmp_path)
    ours = facts(layout, paths)
    set_aside(layout)
    with Store.open(layout):
        pass
    Nix(layout, tmp_path).run(
        *("nix", "copy", "--from", f"file://{cache}", *paths),
        *("--option", "trusted-public-keys", KEY.public.to_text()),
    )
    assert ours == facts(layout, paths)


def test_over_the_web_in_both_directions(
    layout: Layout, nix: Nix, tmp_path: Path, server: CacheServer
) -> None:
    made = make_with_nix(nix, tmp_path)
    objects = objects_of(layout, tmp_path)
    nix.run("nix", "copy", "--to", f"{server.url}?compression=xz&secret-key={secret_file(tmp_path)}", made)
    with Store.open(layout) as store:
        push(store, server.url, objects.all, tmp_path, compression="zstd")
    set_aside(layout)
    with Store.open(layout) as store:
        assert bring(store, [server.url], [made, *objects.all], tmp_path).valid == {made, *objects.all}
    set_aside(layout)
    with Store.open(layout):
        pass
    theirs = Nix(layout, tmp_path)
    options = (
        "--option",
        "substituters",
        server.url,
        "--option",
        "trusted-public-keys",
        KEY.public.to_text(),
    )
    theirs.run("nix-store", "--realise", made, objects.app, *options)
    theirs.run("nix", "copy", "--from", server.url, objects.tree, *options)
    theirs.verify()


def test_nix_also_refuses_what_another_key_signed(layout: Layout, tmp_path: Path, cache: Path) -> None:
    """So that these tests would notice if signatures did not matter."""
    objects = objects_of(layout, tmp_path)
    with Store.open(layout) as store:
        push(store, f"file://{cache}", objects.all, tmp_path, keys=[OTHER_KEY])
    set_aside(layout)
    with Store.open(layout):
        pass
    done = Nix(layout, tmp_path).run(
        *("nix", "copy", "--from", f"file://{cache}", objects.lib),
        *("--option", "trusted-public-keys", KEY.public.to_text()),
        check=False,
    )
    assert done.returncode and "signature" in done.stderr


def test_signatures_of_nix_count_and_ours_count_for_nix(layout: Layout, nix: Nix, tmp_path: Path) -> None:
    objects = objects_of(layout, tmp_path)
    nix.run("nix", "store", "sign", "-k", str(secret_file(tmp_path)), objects.lib)
    with Store.open(layout) as store:
        info = store.info(objects.lib)
    assert info is not None
    expected = narinfo.fingerprint(info.path, info.nar_hash, info.nar_size, info.references)
    assert info.signatures == (KEY.sign(expected),)


# A store as a cache


@pytest.fixture
def serving(layout: Layout) -> Iterator[Server]:
    with Store.open(layout):
        pass
    server = Server(layout, ("127.0.0.1", 0), keys=[KEY])
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(10)


def test_nix_and_we_read_a_store_that_is_served(layout: Layout, serving: Server, tmp_path: Path) -> None:
    """Into a directory that looks like the same place: a cache, since the store is taken."""
    objects = objects_of(layout, tmp_path)
    nix = Nix(layout, tmp_path)
    for compression in ("none", "xz"):
        target = f"file://{tmp_path}/copy-{compression}?compression={compression}"
        nix.run("nix", "copy", "--from", serving.url, "--to", target, *objects.all)
    nix.run("nix", "path-info", "--store", serving.url, "-r", objects.app)
    set_aside_copy = tmp_path / "copy-none"
    theirs = {path: (set_aside_copy / narinfo.info_name(path)).read_text() for path in objects.all}
    for path in objects.all:
        assert "Sig: test-1:" in theirs[path]
    set_aside(layout)
    with Store.open(layout) as store:
        assert bring(store, [f"file://{set_aside_copy}"], objects.all, tmp_path).valid == set(objects.all)
