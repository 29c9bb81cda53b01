from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devenv.events import Event, Notice, Reporter
from devenv.formats.derivation import Derivation, Output, drv_path
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import PathInfo, Store, StoreError
from devenv.store.locks import open_lock_file, try_lock
from tests.store.trees import listing, make_odd


def register_file(store: Store, path: StorePath, contents: bytes, drv: StorePath | None = None) -> None:
    """Register an output that is one file, as a builder would leave it."""
    with store.temporary_directory() as directory:
        made = os.path.join(directory, "out")
        tree.write_file(made, contents)
        found = tree.scan(made, ())
        store.register_output(
            drv,
            path,
            made,
            nar_hash=found.nar_hash,
            nar_size=found.nar_size,
            references=(),
            content_address=None,
        )


def output(store: Store, name: str = "x") -> StorePath:
    return store.store_dir.output_path("out", Hash.of("sha256", name.encode()), name)


def test_a_text_is_there_with_its_references(store: Store) -> None:
    first = store.add_text("first", b"one\n")
    second = store.add_text("second", b"two\n", (first,))
    info = store.info(second)
    assert info is not None
    assert info.references == (first,)
    assert info.content_address == f"text:{Hash.of('sha256', b'two' + bytes([10])).typed_nix32}"
    assert (info.deriver, info.ultimate) == (None, False)
    assert Path(second).read_bytes() == b"two\n"
    assert store.closure([second]) == {first, second}


def test_adding_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("contents")
    paths = [(store.add_text("t", b"text"), store.add_tree("s", str(tmp_path / "source"))) for _ in range(2)]
    assert paths[0] == paths[1]
    assert sorted(os.listdir(store.layout.store)) == sorted(os.path.basename(path) for path in paths[0])


def test_a_text_that_does_not_belong_to_its_path_is_refused(store: Store) -> None:
    path = store.store_dir.text_path("t", Hash.of("sha256", b"right"), ())
    with pytest.raises(StoreError, match="by its contents and references it is"):
        store.add_texts([(path, b"wrong", ())])
    assert not os.path.lexists(path)


def test_a_reference_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=r"refers to .*, which this store does not have"):
        store.add_text("t", b"text", (output(store),))
    assert (
        store.valid_paths([store.store_dir.text_path("t", Hash.of("sha256", b"text"), (output(store),))])
        == set()
    )


def test_many_texts_that_refer_to_each_other_need_few_open_files(store: Store) -> None:
    items: list[tuple[StorePath, bytes, tuple[StorePath, ...]]] = []
    previous: tuple[StorePath, ...] = ()
    for number in range(600):
        contents = str(number).encode()
        path = store.store_dir.text_path("t", Hash.of("sha256", contents), previous)
        items.append((path, contents, previous))
        previous = (path,)
    store.add_texts(items)
    assert len(store.closure(previous)) == 600


def test_a_tree_refers_to_what_occurs_in_it(store: Store, tmp_path: Path) -> None:
    used, unused = store.add_text("used", b"u"), store.add_text("unused", b"n")
    make_odd(tmp_path / "source")
    (tmp_path / "source/link").symlink_to(used)
    path = store.add_tree("tree", str(tmp_path / "source"), [used, unused])
    info = store.info(path)
    assert info is not None
    assert info.references == (used,)
    assert info.nar_hash == tree.scan(path, ()).nar_hash
    assert path == store.store_dir.source_path("tree", info.nar_hash, [used])


def test_an_adopted_tree_equals_an_added_one(store: Store, tmp_path: Path) -> None:
    make_odd(tmp_path / "source")
    used = store.add_text("used", b"u")
    (tmp_path / "source/link").symlink_to(used)
    with store.temporary_directory() as directory:
        make_odd(Path(directory) / "made")
        os.symlink(used, f"{directory}/made/link")
        adopted = store.adopt_tree("tree", f"{directory}/made", [used])
        assert os.listdir(directory) == []
    found = listing(adopted)
    assert store.add_tree("tree", str(tmp_path / "source"), [used]) == adopted
    assert listing(adopted) == found


def test_a_registered_output_is_there(store: Store) -> None:
    drv = store.add_text("x.drv-like", b"")
    register_file(store, output(store), b"made", drv)
    info = store.info(output(store))
    assert info is not None
    assert (info.deriver, info.ultimate, info.content_address) == (drv, True, None)
    assert Path(output(store)).read_bytes() == b"made"


def test_an_output_that_is_valid_already_stays_as_it_is(store: Store) -> None:
    register_file(store, output(store), b"first")
    register_file(store, output(store), b"second")
    assert Path(output(store)).read_bytes() == b"first"


def finished(store: Store, directory: str, name: str) -> tuple[PathInfo, str]:
    """An output as a builder leaves it, and what is to be registered about it."""
    tree.write_file(f"{directory}/{name}", name.encode())
    found = tree.scan(f"{directory}/{name}", ())
    info = PathInfo(path=output(store, name), nar_hash=found.nar_hash, nar_size=found.nar_size)
    return info, f"{directory}/{name}"


def test_many_outputs_are_registered_at_once(store: Store) -> None:
    register_file(store, output(store, "7"), b"first")
    Path(output(store, "8")).mkdir()  # left by a killed process
    with store.temporary_directory() as directory:
        made = [finished(store, directory, str(number)) for number in range(300)]
        store.register_outputs(made)
        assert os.listdir(directory) == []
    assert len(store.valid_paths([info.path for info, _ in made])) == 300
    assert Path(output(store, "7")).read_bytes() == b"first"
    assert Path(output(store, "8")).read_bytes() == b"8"
    assert len(os.listdir(store.layout.store)) == 300


def test_of_many_outputs_the_good_ones_can_be_registered_after_an_error(store: Store) -> None:
    with store.temporary_directory() as directory:
        made = [finished(store, directory, str(number)) for number in range(4)]
        os.unlink(made[2][1])
        with pytest.raises(StoreError, match="2: No such file"):
            store.register_outputs(made)
        for good in (0, 1, 3):
            store.register_outputs([made[good]])
    valid = store.valid_paths([info.path for info, _ in made])
    assert valid == {output(store, name) for name in "013"}


def test_what_a_killed_process_left_is_replaced(store: Store) -> None:
    os.makedirs(f"{output(store)}/half")
    os.chmod(output(store), 0o555)
    register_file(store, output(store), b"whole")
    assert Path(output(store)).read_bytes() == b"whole"
    text = store.store_dir.text_path("t", Hash.of("sha256", b"text"), ())
    os.makedirs(f"{text}/half")
    assert store.add_text("t", b"text") == text
    assert Path(text).read_bytes() == b"text"


def test_an_object_deleted_by_hand_is_not_valid_and_can_be_added_again(store: Store) -> None:
    text = store.add_text("t", b"text")
    user = store.add_text("u", b"user", (text,))
    register_file(store, output(store), b"first")
    tree.remove(text)
    tree.remove(output(store))
    assert store.valid_paths([text, user, output(store)]) == {user}
    store.add_text("t", b"text")
    register_file(store, output(store), b"another build")
    info = store.info(output(store))
    assert info is not None
    assert info.nar_hash == tree.scan(output(store), ()).nar_hash
    assert store.closure([user]) == {user, text}


def test_an_output_may_refer_to_itself(store: Store) -> None:
    path = output(store)
    with store.temporary_directory() as directory:
        tree.write_file(f"{directory}/out", path.encode())
        found = tree.scan(f"{directory}/out", [path])
        store.register_output(
            None,
            path,
            f"{directory}/out",
            nar_hash=found.nar_hash,
            nar_size=found.nar_size,
            references=found.references,
            content_address=None,
        )
    assert store.closure([path]) == {path}
    info = store.info(path)
    assert info is not None
    assert info.references == (path,)


def test_the_outputs_of_a_derivation_are_recorded(store: Store) -> None:
    derivation = Derivation(
        name="d",
        outputs={name: Output(path=output(store, f"d-{name}")) for name in ("out", "dev")},
        system="builtin",
        builder="b",
    )
    path = drv_path(store.store_dir, derivation)
    store.add_texts([(path, derivation.to_aterm(), ())])
    store.add_texts([(path, derivation.to_aterm(), ())])
    rows = store._database._rows("test", "select id, path from DerivationOutputs order by id", ())
    assert rows == [("dev", output(store, "d-dev")), ("out", output(store, "d-out"))]


@pytest.mark.parametrize("contents", [b"", b"Derive(", b"not a derivation", b"\xff\0"])
def test_a_damaged_derivation_is_refused(store: Store, contents: bytes) -> None:
    with pytest.raises(StoreError, match=r"adding .*-d\.drv"):
        store.add_text("d.drv", contents)
    assert os.listdir(store.layout.store) == []


def test_a_closure_names_what_is_missing(store: Store) -> None:
    with pytest.raises(StoreError, match=f"{output(store)} is not in the store"):
        store.closure([store.add_text("t", b""), output(store)])


def test_a_closed_store_leaves_no_files_of_its_own(layout: Layout) -> None:
    with Store.open(layout) as store, store.temporary_directory() as directory:
        os.makedirs(f"{directory}/a/b")
        store.add_text("t", b"text")
        assert len(os.listdir(layout.temproots)) == 1
    assert os.listdir(layout.temproots) == os.listdir(layout.tmp) == []
    store.close()


def test_nothing_but_objects_and_locks_is_ever_in_the_store_directory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector deletes everything else at once."""
    make_odd(tmp_path / "source")
    seen: set[str] = set()
    rename = os.rename

    def watching(source: str, target: str) -> None:
        seen.update(os.listdir(store.layout.store))
        rename(source, target)
        seen.update(os.listdir(store.layout.store))

    monkeypatch.setattr(os, "rename", watching)
    paths = [store.add_text("t", b"text"), store.add_tree("tree", str(tmp_path / "source"))]
    names = {os.path.basename(path) for path in paths}
    assert seen == names | {f"{name}.lock" for name in names}


def test_opening_waits_for_a_collector_and_says_so(layout: Layout) -> None:
    with Store.open(layout):
        pass
    collector = open_lock_file(layout.gc_lock)
    assert try_lock(collector, exclusive=True)

    class Listener(Reporter):
        def event(self, event: Event) -> None:
            told.append(event)
            os.close(collector)

    told: list[Event] = []
    with Store.open(layout, reporter=Listener()):
        assert told == [Notice(text="Waiting for a garbage collection to end ...")]
        other = open_lock_file(layout.gc_lock)
        assert not try_lock(other, exclusive=True)
        assert try_lock(other, exclusive=False)
        os.close(other)


def test_threads_may_register_the_same_outputs(store: Store) -> None:
    def work(_: int) -> None:
        for number in range(12):
            register_file(store, output(store, str(number)), b"contents")
            store.add_text("t", str(number).encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(store.valid_paths([output(store, str(number)) for number in range(12)])) == 12
    assert len(os.listdir(store.layout.store)) == 24
