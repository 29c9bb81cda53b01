from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.content_address import ContentAddress
from devenv.formats.errors import FormatError
from devenv.formats.hashes import Hash
from devenv.formats.store_path import StoreDir

STORE = StoreDir("/opt/devenv/store")
SHA256 = Hash.of("sha256", b"contents")
OTHER = STORE.text_path("other", Hash.of("sha256", b"others"), ())

GOOD = {
    "text": ContentAddress("text", SHA256),
    "flat": ContentAddress("flat", SHA256),
    "recursive": ContentAddress("recursive", SHA256),
    "flat sha1": ContentAddress("flat", Hash.of("sha1", b"")),
    "recursive sha512": ContentAddress("recursive", Hash.of("sha512", b"")),
}


@pytest.mark.parametrize("name", GOOD)
def test_claims_are_read_as_they_are_written(name: str) -> None:
    assert ContentAddress.parse(str(GOOD[name])) == GOOD[name]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text:",
        "text:sha1:" + "0" * 32,
        "fixed:r:r:sha256:x",
        "nar:sha256:" + "0" * 52,
        "fixed:sha384:x",
        "text:sha256:!",
    ],
)
def test_other_claims_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        ContentAddress.parse(text)


@given(st.text())
def test_any_text_is_a_claim_or_our_error(text: str) -> None:
    with contextlib.suppress(FormatError):
        ContentAddress.parse(text)


@pytest.mark.parametrize("name", GOOD)
def test_a_claim_explains_its_own_path_and_no_other(name: str) -> None:
    claim = GOOD[name]
    path = claim.path(STORE, "thing", (), False)
    assert claim.explains(STORE, path, ())
    assert not claim.explains(STORE, OTHER, ())
    assert not claim.explains(StoreDir("/elsewhere"), path, ())
    assert not claim.explains(STORE, path, (OTHER,)), "references are part of a path, or not allowed"


def test_references_to_itself_are_told_from_others() -> None:
    claim = GOOD["recursive"]
    path = claim.path(STORE, "thing", (OTHER,), True)
    assert claim.explains(STORE, path, (OTHER, path))
    assert not claim.explains(STORE, path, (OTHER,))
