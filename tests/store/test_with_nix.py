"""Real Nix is the referee: what it writes we must write, what we write it must accept."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from devenv.formats.derivation import Derivation, parse
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath, name_of
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.roots import add_indirect_root
from tests.store.trees import listing, make_odd, vectors, write
from tests.support.nix import Nix

VECTORS = vectors()

EXPRESSION = """
let
  sh = name: args: derivation { inherit name; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" args ]; };
  text = builtins.toFile "text" "a text\\n";
in rec {
  first = sh "first" "echo ${text} > $out";
  second = sh "second" "echo ${first} $out > $out";
  fixed = derivation { name = "fixed"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo hello > $out" ]; outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="; };
}
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    make_odd(tmp_path / "odd")
    return tmp_path / "odd"


def rows(layout: Layout) -> dict[str, list[tuple[Any, ...]]]:
    """All that the database says, without numbers and times."""
    queries = {
        "paths": "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path",
        "references": "select a.path, b.path from Refs join ValidPaths a on a.id = referrer"
        " join ValidPaths b on b.id = reference order by 1, 2",
        "outputs": "select v.path, d.id, d.path from DerivationOutputs d join ValidPaths v on v.id = drv"
        " order by 1, 2",
    }
    with closing(sqlite3.connect(layout.database)) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def schema(layout: Layout) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(layout.database)) as connection:
        found = connection.execute(
            "select type, name, sql from sqlite_master where sql is not null"
        ).fetchall()
    return sorted((kind, name, without_comments(text)) for kind, name, text in found)


def without_comments(statement: str) -> str:
    words = " ".join(line.partition("--")[0] for line in statement.splitlines())
    return " ".join(words.lower().split())


def objects(layout: Layout) -> dict[str, list[tuple[str, int, int, int, bytes]]]:
    return {
        name: listing(os.path.join(layout.store, name))
        for name in os.listdir(layout.store)
        if name != ".links"
    }


def start_again(layout: Layout) -> None:
    tree.remove(layout.root)


def test_the_schema_is_that_of_nix(layout: Layout, nix: Nix) -> None:
    nix.verify()
    expected, version = schema(layout), Path(layout.state, "db/schema").read_bytes()
    start_again(layout)
    with Store.open(layout):
        pass
    assert schema(layout) == expected
    assert Path(layout.state, "db/schema").read_bytes() == version
    with closing(sqlite3.connect(layout.database)) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def rebuild(layout: Layout, info: dict[str, Any], sources: dict[str, Path]) -> None:
    """Add with our own code what Nix's database says, taking the contents from `sources`."""
    with Store.open(layout) as store:
        deferred = []
        for path, nar_hash, deriver, nar_size, _, _, address in info["paths"]:
            if str(address).startswith("text:") or str(address).startswith("fixed:r:"):
                continue
            deferred.append((path, nar_hash, deriver, nar_size, address))
        texts = [row for row in info["paths"] if str(row[6]).startswith("text:")]
        done: set[str] = set()
        while len(done) < len(texts):
            for path, *_ in texts:
                refers = tuple(StorePath(b) for a, b in info["references"] if a == path)
                if path not in done and done.issuperset(set(refers)):
                    store.add_texts([(StorePath(path), sources[path].read_bytes(), refers)])
                    done.add(path)
        for path, *_, address in info["paths"]:
            if str(address).startswith("fixed:r:"):
                store.add_tree(name_of(path), str(sources[path]))
        for path, nar_hash, deriver, nar_size, address in sorted(
            deferred, key=lambda row: "second" in row[0]
        ):
            with store.temporary_directory() as directory:
                shutil.copyfile(sources[path], f"{directory}/out")
                tree.canonicalise(f"{directory}/out")
                refers = tuple(StorePath(b) for a, b in info["references"] if a == path)
                candidates = [StorePath(row[0]) for row in info["paths"]]
                found = tree.scan(f"{directory}/out", candidates)
                assert found.references == refers
                assert found.nar_hash == Hash.parse_typed(nar_hash)
                store.register_output(
                    StorePath(deriver),
                    StorePath(path),
                    f"{directory}/out",
                    nar_hash=found.nar_hash,
                    nar_size=nar_size,
                    references=refers,
                    content_address=address,
                )


def test_the_same_objects_give_the_same_database_and_files(
    layout: Layout, nix: Nix, odd: Path, tmp_path: Path
) -> None:
    (tmp_path / "e.nix").write_text(EXPRESSION)
    nix.store("--add", str(odd))
    instantiated = nix.run("nix-instantiate", str(tmp_path / "e.nix")).stdout.split()
    nix.store("--realise", *instantiated)
    expected = (rows(layout), nix.dump_database(), objects(layout))
    kept = tmp_path / "kept"
    shutil.copytree(layout.store, kept, symlinks=True)
    sources = {row[0]: kept / os.path.basename(row[0]) for row in expected[0]["paths"]}
    start_again(layout)
    rebuild(layout, expected[0], sources)
    assert (rows(layout), nix.dump_database(), objects(layout)) == expected
    nix.verify()


@pytest.mark.parametrize(("name", "description"), VECTORS["trees"].items(), ids=VECTORS["trees"])
def test_a_tree_gets_the_path_that_nix_gives_it(
    store: Store, nix: Nix, tmp_path: Path, name: str, description: dict[str, Any]
) -> None:
    write(description, tmp_path / name)
    assert store.add_tree(name, str(tmp_path / name)) == nix.store("--add", str(tmp_path / name))


@pytest.mark.parametrize("directory", VECTORS["stores"])
def test_a_tree_gets_the_path_of_the_vectors(tmp_path: Path, directory: str) -> None:
    from devenv.formats.store_path import StoreDir

    for name, expected in VECTORS["stores"][directory]["add"].items():
        write(VECTORS["trees"][name], tmp_path / name)
        found = tree.copy_and_scan(str(tmp_path / name), str(tmp_path / f"{name}-copy"), ())
        assert StoreDir(directory).source_path(name, found.nar_hash) == expected


def test_nix_sees_references_and_their_tree(store: Store, nix: Nix, tmp_path: Path) -> None:
    text = store.add_text("text", b"a text\n")
    (tmp_path / "env").mkdir()
    (tmp_path / "env/tool").symlink_to(text)
    env = store.add_tree("env", str(tmp_path / "env"), [text])
    assert nix.store("-q", "--references", env) == text
    assert nix.store("-q", "--referrers", text) == env
    assert nix.store("-q", "--requisites", env).splitlines() == [text, env]
    assert nix.store("-q", "--tree", env).splitlines()[0] == env
    assert text in nix.store("-q", "--tree", env).splitlines()[1]
    info = nix.run("nix", "path-info", "-rsSh", env).stdout
    assert env in info
    assert text in info


def derivation(store: Store) -> tuple[StorePath, Derivation]:
    """A derivation that /bin/sh builds, in our store."""
    from devenv.formats.derivation import Output, drv_path, with_output_paths

    def lookup(path: StorePath) -> Any:
        raise AssertionError(path)

    text = store.add_text("text", b"a text\n")
    plain = Derivation(
        name="made",
        outputs={"out": Output()},
        input_sources=(text,),
        system=f"{os.uname().machine}-linux",
        builder="/bin/sh",
        args=("-c", f"echo {text} > $out"),
        env={"name": "made", "out": ""},
    )
    complete = with_output_paths(store.store_dir, plain, lookup)
    path = drv_path(store.store_dir, complete)
    store.add_texts([(path, complete.to_aterm(), (text,))])
    return path, complete


def test_nix_builds_our_derivation(layout: Layout, nix: Nix) -> None:
    with Store.open(layout) as store:
        path, complete = derivation(store)
    out = complete.outputs["out"].path
    assert nix.store("-q", "--outputs", path) == out
    assert nix.store("--realise", path) == out
    with Store.open(layout) as store:
        info = store.info(StorePath(out))
        assert info is not None
        assert (info.deriver, info.ultimate) == (path, True)
        assert len(store.closure([info.path])) == 2
        assert parse(Path(path).read_bytes(), "made", store.store_dir) == complete
    nix.verify()


def test_a_collection_keeps_what_our_roots_reach_and_deletes_the_rest(
    layout: Layout, nix: Nix, tmp_path: Path
) -> None:
    with Store.open(layout) as store:
        kept = store.add_text("kept", b"kept")
        root = store.add_text("root", b"root", (kept,))
        dead = store.add_text("dead", b"dead")
        add_indirect_root(layout, str(tmp_path / "project/.devenv/env"), root)
    assert f"{tmp_path}/project/.devenv/env -> {root}" in nix.store("--gc", "--print-roots")
    assert nix.store("--gc", "--print-dead").split() == [dead]
    nix.store("--gc")
    with Store.open(layout) as store:
        assert store.valid_paths([kept, root, dead]) == {kept, root}
    (tmp_path / "project/.devenv/env").unlink()
    nix.store("--gc")
    with Store.open(layout) as store:
        assert store.valid_paths([kept, root]) == set()
    assert os.listdir(f"{layout.gcroots}/auto") == []
    nix.verify()


@pytest.fixture
def collection(layout: Layout, nix: Nix) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts nothing by itself; ends what a test has started."""
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def test_a_collection_waits_while_a_store_is_open(
    layout: Layout, nix: Nix, collection: list[subprocess.Popen[bytes]]
) -> None:
    from tests.support.programs import program

    with Store.open(layout) as store:
        collection.append(
            subprocess.Popen(
                [program("nix-store"), "--gc"],
                env=dict(nix.environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        unrooted = store.add_text("unrooted", b"x")
        with pytest.raises(subprocess.TimeoutExpired):
            collection[0].wait(0.4)
        assert store.is_valid(unrooted)
        nix.store("--add", __file__)
    assert collection[0].wait(60) == 0
    with Store.open(layout) as store:
        assert not store.is_valid(unrooted)


def test_nix_takes_our_temporary_roots_for_roots(layout: Layout, nix: Nix) -> None:
    """They count for a collector that does not mind gc.lock being held for a while, by somebody else."""
    from devenv.store.roots import TemporaryRoots

    with Store.open(layout) as store:
        kept, dead = store.add_text("kept", b"kept"), store.add_text("dead", b"dead")
    roots = TemporaryRoots(layout.temproots)
    roots.add([kept])
    try:
        assert nix.store("--gc", "--print-dead").split() == [dead]
        nix.store("--gc")
    finally:
        roots.close()
    with Store.open(layout) as store:
        assert store.valid_paths([kept, dead]) == {kept}


def test_a_collection_removes_what_killed_processes_left(layout: Layout, nix: Nix) -> None:
    with Store.open(layout):
        pass
    Path(layout.temproots, "99999999-abc").touch()
    half = f"{layout.store}/{'0' * 32}-half"
    os.makedirs(f"{half}/x")
    Path(f"{half}.lock").touch()
    nix.store("--gc")
    assert os.listdir(layout.temproots) == []
    assert set(os.listdir(layout.store)) <= {".links"}
