from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devenv
from devenv.formats.errors import FormatError, StorePathError
from devenv.formats.hashes import Hash
from devenv.formats.nix32 import ALPHABET
from devenv.formats.store_path import (
    NAME_CHARACTERS,
    StoreDir,
    StorePath,
    check_name,
    check_store_path,
    digest_of,
    name_of,
    sanitize_name,
)
from tests.formats.vectors import NAR, STORE_DIRS, STORES, TREES, contents

DIGEST = "gwina1sjk7g95wq6fxc6b7s1hza53h74"
STORE = StoreDir("/nix/store")
SHA256 = Hash.of("sha256", b"")


def cases(kind: str) -> list[Any]:
    """A parameter (store directory, vector) for each vector of `kind`."""
    return [
        pytest.param(StoreDir(directory), vector, id=f"{directory}-{index}")
        for directory in STORE_DIRS
        for index, vector in enumerate(STORES[directory][kind])
    ]


@pytest.mark.parametrize("directory", STORE_DIRS)
@pytest.mark.parametrize("name", TREES)
def test_an_added_tree_lies_where_nix_puts_it(directory: str, name: str) -> None:
    hash = Hash.parse_sri(NAR[name]["narHash_sri"])
    expected = STORES[directory]["add"][name]
    assert StoreDir(directory).source_path(name, hash) == expected
    assert StoreDir(directory).fixed_path(name, hash, recursive=True) == expected


@pytest.mark.parametrize(("store", "vector"), cases("to_file"))
def test_a_text_lies_where_nix_puts_it(store: StoreDir, vector: dict[str, Any]) -> None:
    hash = Hash.of("sha256", vector["contents"].encode())
    assert f"text:{hash.typed_nix32}" == vector["ca"]
    references = [StorePath(path) for path in vector["references"]]
    expected = vector["path"]
    assert store.text_path(vector["name"], hash, references) == expected
    assert store.text_path(vector["name"], hash, [*reversed(references), *references]) == expected


@pytest.mark.parametrize(("store", "vector"), cases("add_fixed"))
def test_a_fixed_file_or_tree_lies_where_nix_puts_it(store: StoreDir, vector: dict[str, Any]) -> None:
    kind, _, typed = vector["ca"].partition("r:" if vector["recursive"] else ":")
    assert kind in ("fixed", "fixed:")
    hash = Hash.parse_typed(typed)
    name = vector["input"]
    if not vector["recursive"]:
        assert hash == Hash.of(hash.algorithm, contents(TREES[name]))
    assert store.fixed_path(name, hash, vector["recursive"]) == vector["path"]


@pytest.mark.parametrize("directory", STORE_DIRS)
def test_a_tree_that_refers_to_itself_lies_where_nix_puts_it(directory: str) -> None:
    vector = STORES[directory]["ca_self_reference"]
    hash = Hash.parse_typed(vector["ca"].removeprefix("fixed:r:"))
    others = [path for path in vector["references"] if path != vector["path"]]
    assert StoreDir(directory).source_path("selfref", hash, others, self_reference=True) == vector["path"]
    assert StoreDir(directory).source_path("selfref", hash, others) != vector["path"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_only_sha256_names_texts_trees_and_outputs(algorithm: Any) -> None:
    weak = Hash.of(algorithm, b"")
    makers: list[Callable[[], StorePath]] = [
        lambda: STORE.text_path("x", weak, ()),
        lambda: STORE.source_path("x", weak),
        lambda: STORE.output_path("out", weak, "x"),
    ]
    for make in makers:
        with pytest.raises(StorePathError, match="sha256"):
            make()


def test_a_hash_that_nix_does_not_know_names_nothing() -> None:
    with pytest.raises(StorePathError, match="sha384"):
        STORE.fixed_path("x", Hash.of("sha384", b""), recursive=False)


def test_a_path_has_a_digest_and_a_name() -> None:
    path = STORE.join(DIGEST, "hello-1.0")
    assert path == f"/nix/store/{DIGEST}-hello-1.0"
    assert digest_of(path) == DIGEST
    assert name_of(path) == "hello-1.0"
    assert STORE.parse(path) == check_store_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("/nix/store", id="store-itself"),
        pytest.param("/nix/store/", id="slash-only"),
        pytest.param(f"/other/store/{DIGEST}-x", id="another-store"),
        pytest.param(f"/nix/store2/{DIGEST}-x", id="longer-store"),
        pytest.param(f"{DIGEST}-x", id="relative"),
        pytest.param(f"/nix/store/{DIGEST}-x/bin", id="inside"),
        pytest.param(f"/nix/store/{DIGEST}-x/", id="slash-at-the-end"),
        pytest.param(f"/nix/store//{DIGEST}-x", id="two-slashes"),
        pytest.param(f"/nix/store/../store/{DIGEST}-x", id="up-and-down"),
        pytest.param(f"/nix/store/{DIGEST}", id="no-dash"),
        pytest.param(f"/nix/store/{DIGEST}-", id="no-name"),
        pytest.param(f"/nix/store/{DIGEST[1:]}-x", id="short-digest"),
        pytest.param(f"/nix/store/0{DIGEST}-x", id="long-digest"),
        pytest.param(f"/nix/store/{'e' + DIGEST[1:]}-x", id="digest-outside-the-alphabet"),
        pytest.param(f"/nix/store/{DIGEST.upper()}-x", id="digest-in-capitals"),
        pytest.param(f"/nix/store/{DIGEST}-a b", id="blank"),
        pytest.param(f"/nix/store/{DIGEST}-a\n", id="newline"),
        pytest.param(f"/nix/store/{DIGEST}-a\0", id="nul"),
        pytest.param(f"/nix/store/{DIGEST}-é", id="not-ascii"),
        pytest.param(f"/nix/store/{DIGEST}-..", id="dots"),
        pytest.param(f"/nix/store/{DIGEST}-{'x' * 212}", id="long-name"),
    ],
)
def test_what_is_no_path_of_the_store_is_refused(text: str) -> None:
    with pytest.raises(StorePathError) as caught:
        STORE.parse(text)
    assert caught.value.text in text


@given(st.text(alphabet="/.-abe0\n é" + ALPHABET, max_size=60))
def test_any_text_is_a_store_path_or_our_error(text: str) -> None:
    for candidate in (text, f"/nix/store/{text}", f"/nix/store/{DIGEST}-{text}"):
        try:
            path = STORE.parse(candidate)
        except StorePathError:
            continue
        assert STORE.join(digest_of(path), name_of(path)) == path


@pytest.mark.parametrize("name", ["x", ".gitignore", "a+b-c.d_e?f=g", "-", "9", "..a", "x" * 211])
def test_names_that_nix_allows(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".-x", "..-x", "a/b", "a b", "@a", "ü", "x\n", "x" * 212])
def test_names_that_nix_refuses(name: str) -> None:
    with pytest.raises(StorePathError):
        check_name(name)
    with pytest.raises(StorePathError):
        STORE.source_path(name, SHA256)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@babel/core-7.0", "babel-core-7.0"),
        ("left-pad-1.3.0.tgz", "left-pad-1.3.0.tgz"),
        ("a--b..c", "a--b..c"),
        (".hidden", "hidden"),
        ("../../etc/passwd", "etc-passwd"),
        ("a  b\t\nc", "a-b-c"),
        ("snow \N{SNOWMAN} man", "snow-man"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("\N{SNOWMAN}", "unnamed"),
        ("x" * 1000, "x" * 200),
    ],
    ids=repr,
)
def test_texts_become_names_that_resemble_them(text: str, expected: str) -> None:
    assert sanitize_name(text) == expected


@given(st.text(max_size=300) | st.text(alphabet=NAME_CHARACTERS + " /@", max_size=300))
def test_any_text_becomes_a_name_with_room_for_suffixes(text: str) -> None:
    name = sanitize_name(text)
    assert check_name(f"{name}-lib.drv")
    assert check_name(name)[0] != "."
    assert sanitize_name(name) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "nix/store",
        "./store",
        "/nix/store/",
        "/nix//store",
        "/nix/../store",
        "/a:b",
        "/a\nb",
        "/a\0b",
    ],
    ids=repr,
)
def test_store_directories_are_absolute_and_normalised(path: str) -> None:
    with pytest.raises(StorePathError):
        StoreDir(path)


def test_store_directories_are_values() -> None:
    assert StoreDir("/nix/store") == STORE
    assert hash(StoreDir("/nix/store")) == hash(STORE)
    assert StoreDir("/other") != STORE
    assert pickle.loads(pickle.dumps(STORE)) == STORE
    with pytest.raises(AttributeError):
        STORE.path = "/other"


def test_a_store_directory_may_have_any_other_bytes_in_its_name() -> None:
    odd = StoreDir("/home/\udcff ü/store")
    assert odd.parse(odd.source_path("x", SHA256)) != STORE.source_path("x", SHA256)


def test_errors_of_store_paths_are_errors_of_formats() -> None:
    assert issubclass(StorePathError, FormatError)


def test_reading_a_path_loads_nothing_heavy() -> None:
    root = str(Path(devenv.__file__).parent.parent)
    code = (
        f"import sys; sys.path.insert(0, {root!r}); import devenv.formats.store_path as m;"
        f"m.StoreDir('/nix/store').parse('/nix/store/{DIGEST}-x'); print(*sys.modules)"
    )
    # Without site, whose .pth files may have loaded anything before.
    command = [sys.executable, "-I", "-S", "-c", code]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "devenv.formats.store_path" in loaded
    assert not {"re", "typing", "dataclasses", "hashlib", "base64"} & set(loaded)
