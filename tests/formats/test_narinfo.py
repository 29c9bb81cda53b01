from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats import narinfo
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.narinfo import CacheInfo, NarInfo
from devenv.formats.signing import SecretKey
from devenv.formats.store_path import StoreDir

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "nix_store_vectors.json").read_text())["stores"]
STORE = StoreDir("/opt/devenv/store")
TEXT: str = VECTORS["/opt/devenv/store"]["narinfo"]["text"]


@pytest.mark.parametrize("store", sorted(VECTORS))
def test_what_nix_wrote_is_read_and_written_the_same(store: str) -> None:
    expected = VECTORS[store]["narinfo"]
    found = narinfo.parse(expected["text"], StoreDir(store))
    assert found.path == expected["path"]
    assert found.to_text() == expected["text"]
    assert found.is_self_certifying(StoreDir(store))
    signed = VECTORS[store]["signature"]
    assert found.references == tuple(signed["references"]) and found.signatures == (signed["signature"],)
    assert not replace(found, references=()).is_self_certifying(StoreDir(store))


@pytest.mark.parametrize("store", sorted(VECTORS))
def test_what_a_cache_of_nix_says_about_itself_is_read(store: str) -> None:
    found = CacheInfo.parse(VECTORS[store]["narinfo"]["nix_cache_info"])
    assert found.store_dir == store
    assert CacheInfo.parse(found.to_text()) == found


def test_the_name_of_a_file_is_the_digest() -> None:
    path = STORE.parse(VECTORS["/opt/devenv/store"]["narinfo"]["path"])
    assert narinfo.info_name(path) == "bfpha09iaih9gagm5giazv4pfx2bglbq.narinfo"


def changed(field: str, value: str | None) -> str:
    """The good text with one field set, or taken out."""
    lines = [line for line in TEXT.splitlines() if not line.startswith(f"{field}:")]
    return "\n".join([*lines, *([] if value is None else [f"{field}: {value}"])]) + "\n"


REFUSED = {
    "no path": (changed("StorePath", None), "StorePath"),
    "path of another store": (changed("StorePath", "/nix/store/" + "a" * 32 + "-x"), "not in the store"),
    "path outside": (changed("StorePath", "/opt/devenv/store/../x"), "store"),
    "no url": (changed("URL", None), "URL"),
    "url above": (changed("URL", "../../etc/passwd"), "URL"),
    "url above, hidden": (changed("URL", "nar/%2e%2e/%2e%2e/secret"), "URL"),
    "url above, in the middle": (changed("URL", "nar/../../secret"), "URL"),
    "absolute url": (changed("URL", "/etc/passwd"), "URL"),
    "url of another host": (changed("URL", "https://evil.test/x.nar"), "URL"),
    "url of no scheme": (changed("URL", "//evil.test/x.nar"), "URL"),
    "file url": (changed("URL", "file:///etc/passwd"), "URL"),
    "url with a backslash": (changed("URL", "nar\\..\\x"), "URL"),
    "url with a blank": (changed("URL", "nar/x y"), "URL"),
    "url with NUL": (changed("URL", "nar/%00"), "URL"),
    "url with a fragment": (changed("URL", "nar/x#y"), "URL"),
    "long url": (changed("URL", "nar/" + "x" * 5000), "URL"),
    "no hash": (changed("NarHash", None), "NarHash"),
    "other hash": (changed("NarHash", Hash.of("sha512", b"").typed_nix32), "sha512"),
    "bad hash": (changed("NarHash", "sha256:short"), "hash"),
    "no size": (changed("NarSize", None), "NarSize"),
    "size zero": (changed("NarSize", "0"), "NarSize"),
    "negative size": (changed("NarSize", "-5"), "NarSize"),
    "huge size": (changed("NarSize", "9" * 19), "NarSize"),
    "absurd size": (changed("NarSize", "9" * 5000), "NarSize"),
    "size in other digits": (changed("NarSize", "٣"), "NarSize"),
    "bad file size": (changed("FileSize", "1e9"), "FileSize"),
    "bad file hash": (changed("FileHash", "sha256:x"), "hash"),
    "reference outside": (changed("References", "../../etc"), "store"),
    "bad reference": (changed("References", "short-name"), "store"),
    "bad deriver": (changed("Deriver", "nonsense"), "store"),
    "bad signature": (changed("Sig", "key:abc"), "signature"),
    "bad claim": (changed("CA", "nonsense"), "content address"),
    "field twice": (TEXT + "NarSize: 5\n", "twice"),
    "no field": (TEXT + "nonsense\n", "no field"),
    "control character": (TEXT + "X: \x1b[2J\n", "no field"),
    "cut off": (TEXT[:-1], "middle of a line"),
    "html": ("<!DOCTYPE html>\n<p>Not found\n", "no field"),
    "nothing": ("", "StorePath"),
    "many signatures": (
        TEXT + f"Sig: {SecretKey('k', b'1' * 32).sign('x')}\n" * 1000,
        "signatures",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_and_damaged_ones_are_refused(name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(FormatError, match=words) as caught:
        narinfo.parse(text, STORE)
    assert len(str(caught.value)) < 1000


def test_what_a_narinfo_need_not_say_may_be_absent() -> None:
    text = TEXT
    for field in ("FileHash", "FileSize", "Sig", "CA", "References"):
        text = "".join(line + "\n" for line in text.splitlines() if not line.startswith(field))
    found = narinfo.parse(text, STORE)
    assert (found.file_hash, found.file_size, found.signatures, found.references) == (None, None, (), ())
    assert narinfo.parse(changed("Compression", None), STORE).compression == "bzip2"
    assert narinfo.parse(changed("Deriver", "unknown-deriver"), STORE).deriver is None
    assert narinfo.parse(changed("Later", "anything at all"), STORE).path == found.path


def test_a_url_may_have_a_query() -> None:
    assert narinfo.parse(changed("URL", "nar/x.nar?hash=1"), STORE).url == "nar/x.nar?hash=1"


@pytest.mark.parametrize(
    "text", ["", "Priority: 1\n", "StoreDir: /x\nPriority: first\n", "StoreDir: /x", "<html>\n"]
)
def test_what_is_no_cache_info_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        CacheInfo.parse(text)


@given(
    st.text(alphabet=st.characters(codec="utf-8"))
    | st.lists(st.sampled_from(TEXT.splitlines())).map("\n".join)
)
def test_any_text_is_a_value_or_our_error(text: str) -> None:
    for parse in (lambda text: narinfo.parse(text, STORE), CacheInfo.parse):
        with contextlib.suppress(FormatError):
            parse(text)


NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-_", min_size=1, max_size=20).filter(
    lambda name: name[0] != "."
)
PATHS = st.builds(
    lambda name, data: STORE.text_path(name, Hash.of("sha256", data), ()), NAMES, st.binary(max_size=8)
)


@given(
    st.builds(
        NarInfo,
        path=PATHS,
        url=NAMES.map(lambda name: f"nar/{name}"),
        compression=st.sampled_from(["none", "xz", "br"]),
        file_hash=st.none() | st.binary().map(lambda data: Hash.of("sha256", data)),
        file_size=st.none() | st.integers(0, 2**63 - 1),
        nar_hash=st.binary().map(lambda data: Hash.of("sha256", data)),
        nar_size=st.integers(1, 2**63 - 1),
        references=st.sets(PATHS, max_size=3).map(lambda paths: tuple(sorted(paths))),
        deriver=st.none() | PATHS,
    )
)
def test_whatever_is_written_is_read_the_same(info: NarInfo) -> None:
    assert narinfo.parse(info.to_text(), STORE) == info


def test_a_fingerprint_names_all_that_is_relied_on() -> None:
    found = narinfo.parse(TEXT, STORE)
    other = Hash.of("sha256", b"other")
    variants = {
        found.fingerprint,
        replace(found, nar_hash=other).fingerprint,
        replace(found, nar_size=found.nar_size + 1).fingerprint,
        replace(found, references=found.references[:1]).fingerprint,
        replace(found, path=STORE.text_path("x", other, ())).fingerprint,
    }
    assert len(variants) == 5
    assert replace(found, references=found.references[::-1]).fingerprint == found.fingerprint
