"""Pushing and pulling over directories and the web, and everything that a cache may have wrong."""

from __future__ import annotations

import bz2
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.formats import nar, narinfo
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StorePath
from devenv.store import compression
from devenv.store.cache_files import CacheError
from devenv.store.layout import Layout
from devenv.store.local import Store
from devenv.store.misses import Misses
from devenv.store.receiving import RefusedError
from devenv.store.tree import remove
from tests.store.caches import KEY, OTHER_KEY, Heard, Objects, bring, messages, push, set_aside
from tests.store.trees import listing
from tests.support.cache_server import CacheServer, serve_directory


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def url(cache: Path) -> str:
    return f"file://{cache}"


@pytest.fixture
def server(cache: Path) -> Iterator[CacheServer]:
    cache.mkdir()
    with serve_directory(cache) as running:
        yield running


class Sent:
    """What a first store pushed; another one is at its place now."""

    def __init__(self, objects: Objects, layout: Layout) -> None:
        self.objects = objects
        self.listings = {path: listing(path) for path in objects.all}
        with Store.open(layout) as store:
            self.infos = {path: store.info(path) for path in objects.all}


def send(layout: Layout, tmp_path: Path, url: str, **options: object) -> Sent:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / f"scratch-{os.urandom(3).hex()}")
        push(store, url, objects.all, tmp_path, **options)  # type: ignore[arg-type]
    sent = Sent(objects, layout)
    set_aside(layout)
    return sent


@pytest.mark.parametrize("name", compression.available())
def test_objects_arrive_as_they_were_sent(
    layout: Layout, tmp_path: Path, url: str, cache: Path, name: str
) -> None:
    sent = send(layout, tmp_path, url, compression=name)
    with Store.open(layout) as store:
        found = bring(
            store,
            [url],
            [sent.objects.app, sent.objects.tree, sent.objects.flat, sent.objects.selfish],
            tmp_path,
        )
        assert not found.problems
        assert store.valid_paths(sent.objects.all) == set(sent.objects.all), "what they refer to came along"
        for path in sent.objects.all:
            info, before = store.info(path), sent.infos[path]
            assert info is not None and before is not None
            assert (info.nar_hash, info.nar_size, info.references, info.content_address) == (
                before.nar_hash,
                before.nar_size,
                before.references,
                before.content_address,
            )
            assert [each.partition(":")[0] for each in info.signatures] == ["test-1"], "signatures are kept"
            assert listing(path) == sent.listings[path]
    assert not os.listdir(layout.tmp) or os.listdir(layout.tmp) == ["downloads"]
    assert all(f".nar{compression.EXTENSIONS[name]}" in file for file in os.listdir(cache / "nar"))


def test_objects_arrive_over_the_web(layout: Layout, tmp_path: Path, server: CacheServer) -> None:
    sent = send(layout, tmp_path, server.url, compression="gzip")
    with Store.open(layout) as store:
        assert bring(store, [server.url], sent.objects.all, tmp_path).valid == set(sent.objects.all)
        for path in sent.objects.all:
            assert listing(path) == sent.listings[path]


def test_an_archive_is_there_before_its_narinfo_and_what_it_refers_to_as_well(
    layout: Layout, tmp_path: Path, server: CacheServer
) -> None:
    sent = send(layout, tmp_path, server.url)
    puts = [line.removeprefix("PUT /") for line in server.requests if line.startswith("PUT")]
    for path in sent.objects.all:
        text = (server.directory / narinfo.info_name(path)).read_text()
        info = next(line.removeprefix("URL: ") for line in text.splitlines() if line.startswith("URL"))
        at = puts.index(narinfo.info_name(path))
        assert puts.index(info) < at
        before = sent.infos[path]
        assert before is not None
        for reference in before.references:
            assert puts.index(narinfo.info_name(reference)) <= at


def test_what_is_there_is_not_pushed_again(layout: Layout, tmp_path: Path, url: str, cache: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        first = push(store, url, [objects.lib], tmp_path)
        assert first.written == tuple(sorted([objects.lib, objects.text])) and not first.present
        files = {file: os.stat(file).st_ino for file in cache.rglob("*")}
        second = push(store, url, [objects.lib], tmp_path)
        assert not second.written and second.present == first.written
        assert {file: os.stat(file).st_ino for file in cache.rglob("*")} == files
        third = push(store, url, [objects.lib], tmp_path, again=True)
        assert third.written == first.written


def test_a_signature_is_added_to_what_is_there(layout: Layout, tmp_path: Path, url: str, cache: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        push(store, url, [objects.lib], tmp_path, keys=[])
        done = push(store, url, [objects.lib], tmp_path)
        assert done.signed == tuple(sorted([objects.lib, objects.text])) and not done.written
        push(store, url, [objects.lib], tmp_path, keys=[OTHER_KEY])
    text = (cache / narinfo.info_name(objects.lib)).read_text()
    assert "Sig: test-1:" in text and "Sig: other-1:" in text


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_damaged_archive_in_a_directory_is_replaced(
    layout: Layout, tmp_path: Path, url: str, cache: Path, damage: str
) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        push(store, url, [objects.text], tmp_path)
        archive = next((cache / "nar").iterdir())
        whole = archive.read_bytes()
        archive.unlink()
        if damage == "shorter":
            archive.write_bytes(whole[:-8])
        assert push(store, url, [objects.text], tmp_path).written == (objects.text,)
    assert archive.read_bytes() == whole


def test_an_object_that_was_altered_is_not_pushed(
    layout: Layout, tmp_path: Path, url: str, cache: Path
) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        os.chmod(objects.text, 0o644)
        Path(objects.text).write_text("A TEXT\n")
        with pytest.raises(DevenvError) as caught:
            push(store, url, [objects.app, objects.flat], tmp_path)
        assert objects.text in messages(caught.value) and "registered" in messages(caught.value)
    there = {name for name in os.listdir(cache) if name.endswith(".narinfo")}
    assert there == {narinfo.info_name(objects.flat)}, "nor what refers to it; but the others are"
    assert not [name for name in os.listdir(cache / "nar") if name.endswith(".tmp")]


def test_equal_pushes_make_equal_caches(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        for name in ("one", "two"):
            push(store, f"file://{tmp_path}/{name}", objects.all, tmp_path, compression="gzip")

    def contents(root: Path) -> dict[str, bytes]:
        return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}

    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for file in (tmp_path / "one").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o044 == 0o044 or file.is_dir(), "for others to read"


# Whom to believe


def test_objects_by_content_need_no_signature(layout: Layout, tmp_path: Path, url: str) -> None:
    sent = send(layout, tmp_path, url, keys=[])
    with Store.open(layout) as store:
        found = bring(store, [url], sent.objects.all, tmp_path, trusted=[])
        assert found.valid == {sent.objects.text, sent.objects.tree, sent.objects.flat, sent.objects.selfish}
        assert set(found.problems) == {sent.objects.lib, sent.objects.app}
        assert not os.path.lexists(sent.objects.lib)


UNTRUSTED = {
    "unsigned": ([], [KEY.public], "nobody signed it"),
    "another key": ([OTHER_KEY], [KEY.public], "other-1, and no key of that name is trusted"),
    "no key is trusted": ([KEY], [], "test-1, and no key of that name is trusted"),
    "impostor": ([type(KEY)("test-1", b"i" * 32)], [KEY.public], "signature by test-1 is not right"),
}


@pytest.mark.parametrize("name", UNTRUSTED)
@pytest.mark.parametrize("strict", [False, True])
def test_who_is_not_trusted_is_not_believed(
    layout: Layout, tmp_path: Path, url: str, name: str, strict: bool
) -> None:
    keys, trusted, words = UNTRUSTED[name]
    sent = send(layout, tmp_path, url, keys=keys)
    heard = Heard()
    with Store.open(layout) as store:
        found = bring(
            store, [url], [sent.objects.lib], tmp_path, trusted=trusted, reporter=heard, strict=strict
        )
        assert not found.valid
        problem = str(found.problems[sent.objects.lib])
        assert words in problem and sent.objects.lib in problem and url in problem
        assert not store.valid_paths([sent.objects.lib])
    assert bool(heard.notices) != strict
    assert not os.path.lexists(sent.objects.lib)


# What a cache may have wrong


def rewrite(cache: Path, path: StorePath, field: str, value: str | None) -> None:
    """Set a field of a narinfo, or take it out."""
    file = cache / narinfo.info_name(path)
    lines = [line for line in file.read_text().splitlines() if not line.startswith(f"{field}:")]
    file.write_text("\n".join([*lines, *([] if value is None else [f"{field}: {value}"])]) + "\n")


def archive_of(cache: Path, path: StorePath) -> Path:
    text = (cache / narinfo.info_name(path)).read_text()
    return cache / next(line.removeprefix("URL: ") for line in text.splitlines() if line.startswith("URL: "))


def flip(cache: Path, path: StorePath, at: float) -> None:
    archive = archive_of(cache, path)
    data = bytearray(archive.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1
    archive.write_bytes(data)


def replace_archive(cache: Path, path: StorePath, data: bytes) -> None:
    """With all that is not signed made to fit."""
    archive_of(cache, path).write_bytes(data)
    rewrite(cache, path, "FileSize", None)
    rewrite(cache, path, "FileHash", None)


def bomb(cache: Path, path: StorePath) -> None:
    replace_archive(
        cache, path, bz2.compress(nar.MAGIC + nar.FILE + (1 << 40).to_bytes(8, "little") + bytes(1 << 25))
    )
    rewrite(cache, path, "Compression", "bzip2")


def another_file_hash(cache: Path, path: StorePath) -> None:
    replace_archive(cache, path, bz2.compress(archive_of(cache, path).read_bytes()))
    rewrite(cache, path, "Compression", "bzip2")
    rewrite(cache, path, "FileHash", ABOUT)


ABOUT = Hash.of("sha256", b"something else").typed_nix32

Damage = Callable[[Path, StorePath], object]

# What is done to the narinfo or archive of an input-addressed object, and what the refusal says.
DAMAGES: dict[str, tuple[Damage, str]] = {
    "first bytes": (lambda cache, path: flip(cache, path, 0), "damaged"),
    "a byte in the middle": (lambda cache, path: flip(cache, path, 0.5), "damaged|hash|expected"),
    "a byte of contents": (
        lambda cache, path: archive_of(cache, path).write_bytes(
            archive_of(cache, path).read_bytes().replace(b"uses", b"USES")
        ),
        "has the hash .* was announced",
    ),
    "cut off": (
        lambda cache, path: archive_of(cache, path).write_bytes(archive_of(cache, path).read_bytes()[:-40]),
        "were announced|too early",
    ),
    "cut off, and so said": (
        lambda cache, path: replace_archive(cache, path, archive_of(cache, path).read_bytes()[:-40]),
        "ends too early",
    ),
    "longer": (
        lambda cache, path: archive_of(cache, path).write_bytes(archive_of(cache, path).read_bytes() + b"x"),
        "larger than",
    ),
    "longer, and so said": (
        lambda cache, path: replace_archive(cache, path, archive_of(cache, path).read_bytes() + bytes(8)),
        "larger than the .* bytes announced",
    ),
    "another archive": (
        lambda cache, path: replace_archive(cache, path, nar.MAGIC + nar.FILE + bytes(8) + nar.CLOSE),
        "archive has .* bytes, .* were announced",
    ),
    "no archive": (lambda cache, path: archive_of(cache, path).unlink(), "No such file"),
    "a bomb": (bomb, "larger than the .* bytes announced"),
    "damaged compression": (
        lambda cache, path: rewrite(cache, path, "Compression", "xz"),
        "xz data is damaged",
    ),
    "unknown compression": (lambda cache, path: rewrite(cache, path, "Compression", "rot13"), "rot13"),
    "another NarHash": (
        lambda cache, path: rewrite(cache, path, "NarHash", ABOUT),
        "signature by test-1 is not right",
    ),
    "another NarSize": (
        lambda cache, path: rewrite(cache, path, "NarSize", "1"),
        "signature by test-1 is not right",
    ),
    "fewer references": (
        lambda cache, path: rewrite(cache, path, "References", ""),
        "signature by test-1 is not right",
    ),
    "other references": (
        lambda cache, path: rewrite(cache, path, "References", os.path.basename(path)),
        "signature by test-1 is not right",
    ),
    "a false claim": (
        lambda cache, path: rewrite(cache, path, "CA", f"text:{ABOUT}"),
        "claims the content address",
    ),
    "another FileHash": (another_file_hash, "has the hash"),
    "another FileSize": (
        lambda cache, path: rewrite(cache, path, "FileSize", "5"),
        "larger than the 5 bytes",
    ),
    "url outside": (
        lambda cache, path: rewrite(cache, path, "URL", "../../../../etc/hostname"),
        "inside the cache",
    ),
    "url of another host": (
        lambda cache, path: rewrite(cache, path, "URL", "http://evil.test/x"),
        "inside the cache",
    ),
    "another path": (
        lambda cache, path: rewrite(cache, path, "StorePath", path.replace("lib", "bil")),
        "narinfo is about",
    ),
    "no narinfo": (
        lambda cache, path: (cache / narinfo.info_name(path)).write_text("<html></html>\n"),
        "no field",
    ),
    "narinfo cut off": (
        lambda cache, path: (cache / narinfo.info_name(path)).write_text(
            (cache / narinfo.info_name(path)).read_text()[:-1]
        ),
        "middle of a line",
    ),
    "no text": (
        lambda cache, path: (cache / narinfo.info_name(path)).write_bytes(b"\xff\xfe\n"),
        "decode",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_or_tampered_with_is_refused(
    layout: Layout, tmp_path: Path, url: str, cache: Path, name: str
) -> None:
    sent = send(layout, tmp_path, url)
    damage, words = DAMAGES[name]
    damage(cache, sent.objects.lib)
    heard = Heard()
    with Store.open(layout) as store:
        found = bring(store, [url], [sent.objects.app, sent.objects.tree], tmp_path, reporter=heard)
        assert found.valid == {sent.objects.tree}, "the others are not concerned"
        with pytest.raises(
            RefusedError if name not in ("no archive", "unknown compression") else DevenvError, match=words
        ):
            raise bring(store, [url], [sent.objects.lib], tmp_path, strict=True).problems[sent.objects.lib]
        assert not store.valid_paths([sent.objects.lib, sent.objects.app])
        assert not os.path.lexists(sent.objects.lib) and not os.path.lexists(sent.objects.app)
    assert any(sent.objects.lib in notice and url in notice for notice in heard.notices), heard.notices
    assert sorted(os.listdir(layout.tmp)) in ([], ["downloads"])


def hostile(*names: bytes) -> bytes:
    file = nar.FILE + nar.frame(b"x") + nar.CLOSE
    entries = b"".join(nar.ENTRY + nar.frame(name) + nar.NODE + file + nar.CLOSE for name in names)
    return nar.MAGIC + nar.DIRECTORY + entries + nar.CLOSE


HOSTILE = {
    "above": hostile(b"../../escaped"),
    "dots": hostile(b".."),
    "absolute": hostile(b"/tmp/escaped"),
    "twice": hostile(b"a", b"a"),
    "order": hostile(b"b", b"a"),
    "NUL": hostile(b"a\0b"),
    "through a link": nar.MAGIC
    + nar.DIRECTORY
    + nar.ENTRY
    + nar.frame(b"a")
    + nar.NODE
    + nar.SYMLINK
    + nar.frame(b"/tmp")
    + nar.CLOSE
    + nar.CLOSE
    + nar.ENTRY
    + nar.frame(b"a")
    + nar.NODE
    + nar.DIRECTORY
    + nar.CLOSE
    + nar.CLOSE
    + nar.CLOSE,
    "depth": nar.MAGIC + nar.DIRECTORY + (nar.ENTRY + nar.frame(b"d") + nar.NODE + nar.DIRECTORY) * 2100,
    "junk": b"\0" * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_even_if_it_is_signed(
    layout: Layout, tmp_path: Path, url: str, cache: Path, name: str
) -> None:
    """Whoever has the key cannot write outside the store's own temporary directory, either."""
    sent = send(layout, tmp_path, url)
    data = HOSTILE[name]
    with Store.open(layout) as store:
        file = cache / narinfo.info_name(sent.objects.lib)
        replace_archive(cache, sent.objects.lib, data)
        rewrite(cache, sent.objects.lib, "NarSize", str(len(data)))
        rewrite(cache, sent.objects.lib, "NarHash", Hash.of("sha256", data).typed_nix32)
        info = narinfo.parse(file.read_text(), store.store_dir)
        rewrite(cache, sent.objects.lib, "Sig", KEY.sign(info.fingerprint))
        found = bring(store, [url], [sent.objects.lib], tmp_path)
        assert "archive" in str(found.problems[sent.objects.lib])
        assert not store.valid_paths([sent.objects.lib])
    assert not Path("/tmp/escaped").exists() and not list(tmp_path.rglob("escaped"))


def test_a_narinfo_without_end_is_not_read_to_it(
    layout: Layout, tmp_path: Path, url: str, cache: Path
) -> None:
    sent = send(layout, tmp_path, url)
    with open(cache / narinfo.info_name(sent.objects.lib), "wb") as file:
        file.truncate(1 << 34)
    with Store.open(layout) as store, pytest.raises(CacheError, match="larger than"):
        bring(store, [url], [sent.objects.lib], tmp_path, strict=True)


def test_contents_are_held_against_the_claim_for_each_kind(
    layout: Layout, tmp_path: Path, url: str, cache: Path
) -> None:
    """A cache that makes hash, size and archive fit each other still cannot put them behind another path."""
    sent = send(layout, tmp_path, url, keys=[])
    for path in (sent.objects.text, sent.objects.flat, sent.objects.selfish, sent.objects.tree):
        archive = archive_of(cache, path)
        data = archive.read_bytes()
        at = data.index(b"text") if path == sent.objects.text else len(data) - 60
        data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        replace_archive(cache, path, data)
        rewrite(cache, path, "NarHash", Hash.of("sha256", data).typed_nix32)
    with Store.open(layout) as store:
        found = bring(store, [url], sent.objects.all, tmp_path)
        assert not found.valid
        assert {*found.problems} >= {
            sent.objects.text,
            sent.objects.flat,
            sent.objects.selfish,
            sent.objects.tree,
        }


def test_a_program_is_no_plain_file(layout: Layout, tmp_path: Path, url: str, cache: Path) -> None:
    sent = send(layout, tmp_path, url)
    data = archive_of(cache, sent.objects.flat).read_bytes().replace(nar.FILE, nar.EXECUTABLE)
    replace_archive(cache, sent.objects.flat, data)
    rewrite(cache, sent.objects.flat, "NarHash", Hash.of("sha256", data).typed_nix32)
    rewrite(cache, sent.objects.flat, "NarSize", str(len(data)))
    with Store.open(layout) as store:
        found = bring(store, [url], [sent.objects.flat], tmp_path)
        assert "plain file" in str(found.problems[sent.objects.flat])


def test_references_in_a_circle_come_to_an_end(layout: Layout, tmp_path: Path, url: str, cache: Path) -> None:
    sent = send(layout, tmp_path, url)
    lib, app = sent.objects.lib, sent.objects.app
    with Store.open(layout) as store:
        rewrite(cache, lib, "References", os.path.basename(app))
        info = narinfo.parse((cache / narinfo.info_name(lib)).read_text(), store.store_dir)
        rewrite(cache, lib, "Sig", KEY.sign(info.fingerprint))
        assert not bring(store, [url], [app], tmp_path).valid
        assert not os.path.lexists(lib) and not os.path.lexists(app)


def test_what_refers_to_something_missing_does_not_come(
    layout: Layout, tmp_path: Path, url: str, cache: Path
) -> None:
    sent = send(layout, tmp_path, url)
    (cache / narinfo.info_name(sent.objects.text)).unlink()
    with Store.open(layout) as store:
        found = bring(store, [url], [sent.objects.app], tmp_path)
        assert not found.valid and "text, which no cache offers" in str(found.problems[sent.objects.app])


# Other stores


def test_a_cache_for_another_store_directory_is_not_used(
    layout: Layout, tmp_path: Path, url: str, cache: Path
) -> None:
    sent = send(layout, tmp_path, url)
    (cache / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    heard = Heard()
    with Store.open(layout) as store:
        assert not bring(store, [url], [sent.objects.lib], tmp_path, reporter=heard).valid
        assert any("/nix/store" in text and layout.store in text for text in heard.notices)
        with pytest.raises(CacheError, match="for stores in '/nix/store'"):
            bring(store, [url], [sent.objects.lib], tmp_path, strict=True)
        text = store.add_text("mine", b"x")
        with pytest.raises(CacheError, match="for stores in '/nix/store'"):
            push(store, url, [text], tmp_path)
    assert not (cache / narinfo.info_name(text)).exists()


@pytest.mark.parametrize("text", [None, "", "<html>\n", "Priority: 5\n", "StoreDir /x\n"])
def test_what_is_no_cache_is_not_taken_for_one(
    layout: Layout, tmp_path: Path, url: str, cache: Path, text: str | None
) -> None:
    cache.mkdir()
    if text is not None:
        (cache / "nix-cache-info").write_text(text)
    with Store.open(layout) as store, pytest.raises(CacheError, match="no binary cache"):
        bring(store, [url], [store.store_dir.join("a" * 32, "x")], tmp_path, strict=True)


@pytest.mark.parametrize(
    "bad",
    ["ftp://x.test/", "x", "./here", "http://", "file://host/x", "https://x.test/?a=b", "s3://bucket", ""],
)
def test_what_cannot_be_a_cache_is_an_error(layout: Layout, tmp_path: Path, bad: str) -> None:
    with Store.open(layout) as store, pytest.raises(DevenvError):
        push(store, bad, [store.add_text("x", b"x")], tmp_path)


# Several caches


def test_the_cache_with_the_lowest_number_is_asked_first(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        for name in ("late", "soon"):
            push(store, f"file://{tmp_path}/{name}", [objects.lib], tmp_path)
    set_aside(layout)
    info = tmp_path / "soon" / "nix-cache-info"
    info.write_text(info.read_text().replace("Priority: 40", "Priority: 10"))
    shutil.rmtree(tmp_path / "late" / "nar")
    with Store.open(layout) as store:
        urls = [f"file://{tmp_path}/{name}" for name in ("late", "soon")]
        heard = Heard()
        assert bring(store, urls, [objects.lib], tmp_path, reporter=heard).valid and not heard.notices


def test_a_damaged_object_comes_from_another_cache(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        urls = [f"file://{tmp_path}/{name}" for name in ("one", "two")]
        for url in urls:
            push(store, url, [objects.lib], tmp_path)
    set_aside(layout)
    flip(tmp_path / "one", objects.lib, 0.5)
    heard = Heard()
    with Store.open(layout) as store:
        assert bring(store, urls, [objects.lib], tmp_path, reporter=heard).valid == {objects.lib}
    assert any("instead" in text and urls[0] in text and urls[1] in text for text in heard.notices)


def test_what_one_cache_must_not_say_another_may(layout: Layout, tmp_path: Path) -> None:
    with Store.open(layout) as store:
        objects = Objects(store, tmp_path / "scratch")
        push(store, f"file://{tmp_path}/unsigned", [objects.lib], tmp_path, keys=[])
        push(store, f"file://{tmp_path}/signed", [objects.lib], tmp_path)
    set_aside(layout)
    heard = Heard()
    with Store.open(layout) as store:
        urls = [f"file://{tmp_path}/{name}" for name in ("unsigned", "signed")]
        assert bring(store, urls, [objects.lib], tmp_path, reporter=heard).valid
        assert not heard.notices


def test_a_cache_that_cannot_be_reached_costs_a_notice(layout: Layout, tmp_path: Path, url: str) -> None:
    sent = send(layout, tmp_path, url)
    heard = Heard()
    with Store.open(layout) as store:
        urls = ["http://127.0.0.1:1", url]
        assert bring(store, urls, [sent.objects.lib], tmp_path, reporter=heard).valid
    assert any("127.0.0.1:1 is not used" in text for text in heard.notices)


# The web


def test_misses_are_remembered_for_a_while(layout: Layout, tmp_path: Path, server: CacheServer) -> None:
    now = 1000.0
    misses = Misses(str(tmp_path / "misses"), lifetime=60, clock=lambda: now)
    with Store.open(layout) as store:
        push(store, server.url, [], tmp_path)
        absent = store.store_dir.join("a" * 32, "absent")
        for _ in range(2):
            assert not bring(store, [server.url], [absent], tmp_path, misses=misses).valid
        assert server.asked(".narinfo") == 1
        now += 61
        bring(store, [server.url], [absent], tmp_path, misses=misses)
        assert server.asked(".narinfo") == 2
        misses.forget(server.url)
        bring(store, [server.url], [absent], tmp_path, misses=misses)
        assert server.asked(".narinfo") == 3


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without ranges"])
def test_a_broken_connection_is_gone_on_with(
    layout: Layout, tmp_path: Path, server: CacheServer, ranges: bool
) -> None:
    sent = send(layout, tmp_path, server.url)
    server.cut, server.cuts, server.ranges = 100_000, 2, ranges
    with Store.open(layout) as store:
        assert bring(store, [server.url], [sent.objects.tree], tmp_path).valid
        assert listing(sent.objects.tree) == sent.listings[sent.objects.tree]
    assert server.cuts == 0


def test_an_upload_that_fails_for_a_moment_is_tried_again(
    layout: Layout, tmp_path: Path, server: CacheServer
) -> None:
    with Store.open(layout) as store:
        text = store.add_text("text", b"x")
        name = f"/{narinfo.info_name(text)}"
        server.statuses[f"PUT {name}"] = 503
        with pytest.raises(DevenvError, match="503"):
            push(store, server.url, [text], tmp_path)
        assert server.asked(name, "PUT") == 3
        server.statuses.clear()
        assert push(store, server.url, [text], tmp_path).written == (text,)


def test_a_server_that_takes_nothing_is_named(layout: Layout, tmp_path: Path, server: CacheServer) -> None:
    server.takes_put = False
    with Store.open(layout) as store, pytest.raises(DevenvError, match="405") as caught:
        push(store, server.url, [store.add_text("text", b"x")], tmp_path)
    assert "PUT" in str(caught.value.hint)


def test_a_login_in_the_url_is_used_and_never_shown(
    layout: Layout, tmp_path: Path, server: CacheServer
) -> None:
    server.login = "Basic dXNlcjpzZWNyZXQ="
    with_login = server.url.replace("://", "://user:secret@")
    with Store.open(layout) as store:
        text = store.add_text("text", b"x")
        heard = Heard()
        assert not bring(store, [server.url], [text[:-1] + "y"], tmp_path, reporter=heard).valid  # type: ignore[list-item]
        assert any("401" in notice for notice in heard.notices)
        push(store, with_login, [text], tmp_path)
        wanted = store.store_dir.parse(text)
        heard = Heard()
        remove(text)
        flip(server.directory, text, 0.9)
        found = bring(store, [with_login], [wanted], tmp_path, reporter=heard)
        assert not found.valid
        assert "secret" not in " ".join(map(str, heard.events)) + str(found.problems[wanted])


def test_a_full_disk_is_one_error(
    layout: Layout, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    sent = send(layout, tmp_path, url)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Store.open(layout) as store:
        with monkeypatch.context() as patched:
            patched.setattr(os, "utime", full)
            with pytest.raises(DevenvError, match="No space left") as caught:
                bring(store, [url], sent.objects.all, tmp_path)
        assert "\n" not in messages(caught.value)
        assert not store.valid_paths(sent.objects.all)
        assert bring(store, [url], sent.objects.all, tmp_path).valid == set(sent.objects.all), "it goes on"
