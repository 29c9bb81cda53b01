from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.narinfo import fingerprint
from devenv.formats.signing import PublicKey, SecretKey, TrustedKeys, check_signature
from devenv.formats.store_path import StoreDir

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "nix_store_vectors.json").read_text())["stores"]
STORES = sorted(VECTORS)
SECRET = VECTORS[STORES[0]]["signature"]["secretKey"]


@pytest.fixture(params=["wheel", "own"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the wheel, and as if it were not installed."""
    if request.param == "own":
        for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, "cryptography", None)


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("store", STORES)
def test_nix_signs_the_same(store: str) -> None:
    expected = VECTORS[store]["signature"]
    key = SecretKey.parse(expected["secretKey"])
    where = StoreDir(store)
    text = fingerprint(
        where.parse(expected["path"]),
        Hash.parse_sri(expected["narHash"]),
        expected["narSize"],
        [where.parse(path) for path in expected["references"]],
    )
    assert key.sign(text) == expected["signature"]
    assert key.public.to_text() == expected["publicKey"]
    assert PublicKey.parse(expected["publicKey"]).verifies(text, expected["signature"])
    assert not key.public.verifies(text + " ", expected["signature"])


@pytest.mark.usefixtures("implementation")
def test_keys_are_written_as_they_were_read() -> None:
    key = SecretKey.parse(f"{SECRET}\n")
    assert key.to_text() == SECRET
    assert PublicKey.parse(key.public.to_text()) == key.public


def test_a_secret_key_does_not_show_itself() -> None:
    key = SecretKey.parse(SECRET)
    secret = SECRET.partition(":")[2]
    assert secret[:20] not in repr(key) and str(key.seed) not in repr(key)
    for broken in (SECRET[:-4], SECRET.replace(":", ""), SECRET[:-4] + "AA==", f"bad name:{secret}"):
        with pytest.raises(FormatError) as caught:
            SecretKey.parse(broken)
        assert secret[:20] not in f"{caught.value} {caught.value.hint}"


def test_halves_of_two_keys_are_no_key() -> None:
    one, other = SecretKey("a", b"1" * 32), SecretKey("a", b"2" * 32)
    import base64

    mixed = base64.b64encode(one.seed + other.public.data).decode()
    with pytest.raises(FormatError, match="halves"):
        SecretKey.parse(f"a:{mixed}")


DAMAGED = {
    "nothing": "",
    "no name": ":A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "no colon": "keyA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "blank in the name": "my key:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
    "too short": "key:A6EHv/POEL4=",
    "no base 64": "key:!!!!",
    "not canonical": "key:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbh=",
    "newline inside": "key:A6EHv/POEL4dcN0Y50vA\nmWfk1jCbpQ1fHdyGZBJVMbg=",
    "a secret key": SECRET,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_public_key_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        PublicKey.parse(DAMAGED[name])


@given(st.text())
def test_any_text_is_a_key_or_our_error(text: str) -> None:
    for parse in (PublicKey.parse, SecretKey.parse, check_signature):
        with contextlib.suppress(FormatError):
            parse(text)


def test_only_trusted_keys_sign_for_something() -> None:
    mine, other = SecretKey("mine", b"1" * 32), SecretKey("other", b"2" * 32)
    impostor = SecretKey("mine", b"3" * 32)
    trusted = TrustedKeys([mine.public])
    assert trusted.signer("text", [other.sign("text"), mine.sign("text")]) == "mine"
    assert trusted.signer("text", [other.sign("text"), impostor.sign("text")]) is None
    assert trusted.signer("text", [mine.sign("another")]) is None
    assert trusted.signer("text", []) is None
    assert trusted and not TrustedKeys([])


def test_a_name_may_have_several_keys() -> None:
    old, new = SecretKey("team", b"1" * 32), SecretKey("team", b"2" * 32)
    assert TrustedKeys([old.public, new.public]).signer("text", [new.sign("text")]) == "team"
