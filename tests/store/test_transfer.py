"""Streams of objects: those of Nix to the byte, and no harm from any other."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devenv.errors import DevenvError
from devenv.formats import nar
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import tree
from devenv.store.layout import Layout
from devenv.store.local import Store, StoreError
from devenv.store.sweep import collect
from devenv.store.transfer import Imported, export, import_stream
from devenv.store.verify import verify
from tests.store.test_with_nix import derivation, rows
from tests.store.trees import listing, make_odd
from tests.support.nix import Nix
from tests.support.programs import program


@pytest.fixture
def objects(layout: Layout, tmp_path: Path) -> list[StorePath]:
    """Objects of every kind, references first."""
    make_odd(tmp_path / "odd")
    with Store.open(layout) as store:
        text = store.add_text("text", b"a text\n")
        odd = store.add_tree("odd", str(tmp_path / "odd"))
        (tmp_path / "link").symlink_to(text)
        link = store.add_tree("link", str(tmp_path / "link"), [text])
        drv, complete = derivation(store)
        out = StorePath(complete.outputs["out"].path)
        with store.temporary_directory() as directory:
            tree.write_file(f"{directory}/out", f"{out} {text}".encode())
            found = tree.scan(f"{directory}/out", [out, text])
            store.register_output(
                drv,
                out,
                f"{directory}/out",
                nar_hash=found.nar_hash,
                nar_size=found.nar_size,
                references=found.references,
                content_address=None,
            )
        return [text, odd, link, drv, out]


def exported(layout: Layout, paths: list[StorePath]) -> bytes:
    with Store.open(layout) as store:
        return b"".join(export(store, paths))


def imported(layout: Layout, data: bytes) -> Imported:
    with Store.open(layout) as store:
        return import_stream(store, io.BytesIO(data).read)


def nix_export(nix: Nix, paths: list[StorePath]) -> bytes:
    done = subprocess.run(
        [program("nix-store"), "--export", *paths], env=dict(nix.environment), capture_output=True, check=True
    )
    return done.stdout


def test_the_stream_is_that_of_nix(layout: Layout, nix: Nix, objects: list[StorePath]) -> None:
    for path in objects:
        assert exported(layout, [path]) == nix_export(nix, [path])
    assert exported(layout, []) == nix_export(nix, []) == bytes(8)
    text, _, link, *_ = objects
    assert exported(layout, [text, link]) == nix_export(nix, [text, link])
    assert len(exported(layout, objects)) == len(nix_export(nix, objects))


def test_nix_takes_our_stream(layout: Layout, nix: Nix, objects: list[StorePath]) -> None:
    data = exported(layout, objects)
    before = [listing(path) for path in objects]
    collect(layout)
    done = subprocess.run(
        [program("nix-store"), "--import"],
        env=dict(nix.environment),
        input=data,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == objects
    assert [listing(path) for path in objects] == before
    nix.verify()


def test_we_take_the_stream_of_nix(layout: Layout, nix: Nix, objects: list[StorePath]) -> None:
    data = nix_export(nix, objects)
    before = [listing(path) for path in objects], rows(layout)
    collect(layout)
    done = imported(layout, data)
    assert sorted(done.paths) == sorted(objects)
    assert done.present == ()
    assert done.trusted == (objects[-1],)
    now = rows(layout)
    # Where it was built does not travel along.
    paths = [(*row[:4], None, *row[5:]) for row in before[1]["paths"]]
    derivers = {row[0]: row[2] for row in paths}
    assert [row[:2] + row[3:] for row in now["paths"]] == [row[:2] + row[3:] for row in paths]
    assert {row[0]: row[2] for row in now["paths"]} == derivers
    assert (now["references"], now["outputs"]) == (before[1]["references"], before[1]["outputs"])
    assert [listing(path) for path in objects] == before[0]
    nix.verify()
    assert nix.store("-q", "--outputs", objects[3]) == objects[4]


def test_what_is_there_already_is_left(layout: Layout, objects: list[StorePath]) -> None:
    data = exported(layout, objects)
    os.utime(objects[0], (5, 5))
    done = imported(layout, data)
    assert (done.paths, done.present, done.trusted) == (tuple(objects), tuple(objects), ())
    assert os.lstat(objects[0]).st_mtime == 5


def test_a_stream_comes_in_pieces_of_any_size(layout: Layout, objects: list[StorePath]) -> None:
    data = exported(layout, [objects[0], objects[2]])
    collect(layout)
    source = io.BytesIO(data)
    with Store.open(layout) as store:
        assert len(import_stream(store, lambda size: source.read(min(size, 3))).paths) == 2
        assert source.read() == b""
        assert verify(store).damages == ()


def test_what_follows_the_stream_is_not_read(layout: Layout, objects: list[StorePath]) -> None:
    assert imported(layout, exported(layout, [objects[0]]) + b"more").paths == (objects[0],)


def test_a_changed_object_is_not_exported(layout: Layout, objects: list[StorePath]) -> None:
    os.chmod(objects[0], 0o644)
    Path(objects[0]).write_text("b text\n")
    with pytest.raises(StoreError, match="not those that were registered"):
        exported(layout, [objects[0]])
    with pytest.raises(StoreError, match="not in the store"):
        exported(layout, [StorePath(f"{layout.store}/{'0' * 32}-x")])


# Hostile streams


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def string(text: str | bytes) -> bytes:
    return nar.frame(text.encode() if isinstance(text, str) else text)


def archive(contents: bytes = b"x") -> bytes:
    return b"".join(nar.write([nar.File(b"", False, len(contents)), nar.Chunk(contents)]))


def entry(
    path: str | bytes, *, references: tuple[str, ...] = (), deriver: str = "", body: bytes = b""
) -> bytes:
    return b"".join(
        (
            number(1),
            body or archive(),
            number(0x4558494E),
            string(path),
            number(len(references)),
            *map(string, references),
            string(deriver),
            number(0),
        )
    )


STORE = "STORE"
HASH = "0" * 32
GOOD = f"{STORE}/{HASH}-x"

HOSTILE = {
    "nothing": b"",
    "one byte": b"\1",
    "only a beginning": number(1),
    "another number": number(2) + entry(GOOD)[8:],
    "no archive": number(1) + string("nix-archive-2") + bytes(100),
    "archive cut off": number(1) + archive()[:-3],
    "no mark": number(1) + archive() + number(5),
    "no end": entry(GOOD),
    "elsewhere": entry(f"/nix/store/{HASH}-x") + number(0),
    "parent": entry(f"{STORE}/../{HASH}-x") + number(0),
    "below": entry(f"{GOOD}/y") + number(0),
    "the store": entry(STORE) + number(0),
    "empty path": entry("") + number(0),
    "not UTF-8": entry(b"STORE/\xff\xfe") + number(0),
    "newline": entry(f"{GOOD}\n") + number(0),
    "long path": entry("x" * 5000) + number(0),
    "reference elsewhere": entry(GOOD, references=("/etc/passwd",)) + number(0),
    "unknown reference": entry(GOOD, references=(f"{STORE}/{'1' * 32}-y",)) + number(0),
    "deriver elsewhere": entry(GOOD, deriver="/etc/passwd") + number(0),
    "false derivation": entry(f"{GOOD}.drv") + number(0),
    "many references": number(1) + archive() + number(0x4558494E) + string(GOOD) + number(1 << 62),
    "huge path": number(1) + archive() + number(0x4558494E) + number(1 << 63),
    "padding": number(1) + archive() + number(0x4558494E) + number(1) + b"xyyyyyyy",
    "way out": entry(
        GOOD,
        body=nar.MAGIC + nar.DIRECTORY + nar.ENTRY + string("../../x") + nar.NODE + nar.FILE + number(0)
        + nar.CLOSE * 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_stream_is_refused(layout: Layout, name: str, tmp_path: Path) -> None:
    data = reframed(HOSTILE[name], layout.store)
    with Store.open(layout) as store:
        with pytest.raises(DevenvError) as caught:
            import_stream(store, io.BytesIO(data).read)
        assert not str(caught.value).startswith("restoring")
        whole = 1 if name == "no end" else 0
        assert len(store.objects()) == len(os.listdir(layout.store)) == whole
    assert os.listdir(layout.tmp) == []
    assert not (tmp_path / "x").exists()


def reframed(data: bytes, store: str) -> bytes:
    """`data` with each framed string that begins with STORE beginning with the directory instead."""
    out, at = b"", 0
    while (found := data.find(b"STORE", at)) >= 0:
        size = int.from_bytes(data[found - 8 : found], "little")
        text = data[found : found + size]
        out += data[at : found - 8] + nar.frame(text.replace(b"STORE", store.encode(), 1))
        at = found + size + -size % 8
    return out + data[at:]


def test_a_good_stream_of_the_same_making_is_taken(layout: Layout) -> None:
    done = imported(layout, reframed(entry(GOOD, references=(GOOD,)) + number(0), layout.store))
    assert done.trusted == done.paths == (f"{layout.store}/{HASH}-x",)


def test_an_old_signature_is_passed_over(layout: Layout) -> None:
    data = reframed(entry(GOOD)[:-8] + number(1) + string("signature") + number(0), layout.store)
    assert len(imported(layout, data).paths) == 1


def test_what_came_before_the_damage_stays(layout: Layout, objects: list[StorePath]) -> None:
    data = exported(layout, objects)
    collect(layout)
    with pytest.raises(StoreError, match="ends too early"):
        imported(layout, data[:-50])
    with Store.open(layout) as store:
        assert set(store.objects()) == set(objects[:-1])
        assert verify(store).damages == ()


def test_contents_are_checked_where_the_path_follows_from_them(layout: Layout) -> None:
    path = layout.store_dir.source_path("x", Hash.of("sha256", archive(b"right")))
    wrong = reframed(
        entry(path.replace(layout.store, STORE), body=archive(b"wrong")) + number(0), layout.store
    )
    assert imported(layout, wrong).trusted == (path,)  # no more than the stream's word for it
    with Store.open(layout) as store:
        store.forget([path])
    right = reframed(
        entry(path.replace(layout.store, STORE), body=archive(b"right")) + number(0), layout.store
    )
    assert imported(layout, right).trusted == ()


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(Layout(str(tmp_path_factory.mktemp("module") / "root"))) as store:
        yield store


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_a_stream_is_taken_or_refused(module_store: Store, data: st.DataObject) -> None:
    """Never anything but our error, and never a file outside."""
    text = module_store.add_text("text", b"a text\n")
    whole = b"".join(export(module_store, [text, module_store.add_text("user", text.encode(), (text,))]))
    at = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.binary(max_size=9))
    damaged = whole[:at] + change + whole[at + data.draw(st.integers(0, 9)) :]
    before = sorted(os.listdir(module_store.layout.root))
    try:
        import_stream(module_store, io.BytesIO(damaged).read)
    except DevenvError as error:
        assert str(error)
    assert sorted(os.listdir(module_store.layout.root)) == before
    assert set(os.listdir(module_store.layout.store)) == {
        os.path.basename(path) for path in module_store.objects()
    }


def test_restored_trees_can_become_ordinary(layout: Layout, tmp_path: Path) -> None:
    make_odd(tmp_path / "odd")
    tree.restore(tree.dump(str(tmp_path / "odd")), str(tmp_path / "restored"))
    tree.make_ordinary(str(tmp_path / "restored"))
    mask = os.umask(0)
    os.umask(mask)
    assert os.lstat(tmp_path / "restored/blank ").st_mode & 0o777 == 0o777 & ~mask
    assert os.lstat(tmp_path / "restored/new\nline").st_mode & 0o777 == 0o666 & ~mask
    assert os.lstat(tmp_path / "restored/dangling").st_mtime > 1000
    assert tree.scan(str(tmp_path / "restored"), ()) == tree.scan(str(tmp_path / "odd"), ())
