from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.errors import FormatError
from devenv.formats.hashes import SIZES, Algorithm, Hash, compress
from tests.formats.vectors import NAR

ALGORITHMS: tuple[Algorithm, ...] = ("md5", "sha1", "sha256", "sha384", "sha512")
EMPTY: dict[Algorithm, Hash] = {algorithm: Hash.of(algorithm, b"") for algorithm in ALGORITHMS}
ONE = Hash.of("sha512", b"1")
SRI = EMPTY["sha256"].sri


@st.composite
def hashes(draw: st.DrawFn) -> Hash:
    algorithm = draw(st.sampled_from(ALGORITHMS))
    size = SIZES[algorithm]
    return Hash(algorithm, draw(st.binary(min_size=size, max_size=size)))


@pytest.mark.parametrize("name", NAR)
def test_the_three_spellings_of_nix_are_one_hash(name: str) -> None:
    expected = NAR[name]
    hash = Hash.parse_sri(expected["narHash_sri"])
    assert hash.hex == expected["narHash_base16"]
    assert hash.nix32 == expected["narHash_base32"]
    assert hash.sri == expected["narHash_sri"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hashing_is_that_of_the_standard_library(algorithm: Algorithm) -> None:
    assert Hash.of(algorithm, b"abc") == Hash(algorithm, hashlib.new(algorithm, b"abc").digest())


@given(hashes())
def test_every_spelling_comes_back(hash: Hash) -> None:
    assert Hash.parse_sri(hash.sri) == hash
    assert Hash.parse_typed(hash.typed_hex) == hash
    assert Hash.parse_typed(hash.typed_nix32) == hash
    assert Hash.parse_typed(hash.sri.replace("-", ":", 1)) == hash
    assert Hash.from_hex(hash.algorithm, hash.hex.upper()) == hash


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"{EMPTY['sha1'].sri} {ONE.sri}", ONE, id="strongest-last"),
        pytest.param(f"{ONE.sri} {EMPTY['md5'].sri}", ONE, id="strongest-first"),
        pytest.param(f"  {ONE.sri}\n{EMPTY['sha384'].sri}\t", ONE, id="any-blanks"),
        pytest.param(f"{ONE.sri} {EMPTY['sha512'].sri}", ONE, id="first-of-equal-ones"),
        pytest.param(f"sha3-AAAA {ONE.sri} blake2b", ONE, id="unknown-ones-passed-over"),
        pytest.param(f"{ONE.sri}?type=x?y", ONE, id="options"),
        pytest.param(EMPTY["sha384"].sri, EMPTY["sha384"], id="sha384"),
    ],
)
def test_the_strongest_known_integrity_value_counts(text: str, expected: Hash) -> None:
    assert Hash.parse_sri(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" \n", id="blank"),
        pytest.param("sha3-AAAA", id="only-unknown"),
        pytest.param("SHA256-" + SRI[7:], id="capitals"),
        pytest.param("sha256", id="no-dash"),
        pytest.param("sha256-", id="no-digest"),
        pytest.param("sha256:" + SRI[7:], id="colon"),
        pytest.param(SRI[:-1], id="padding-missing"),
        pytest.param(SRI + "=", id="padding-doubled"),
        pytest.param(SRI[:-3] + "V=", id="bits-after-the-last-byte"),
        pytest.param(SRI.replace("/", "_"), id="url-alphabet"),
        pytest.param(SRI[:20] + "é" + SRI[21:], id="not-ascii"),
        pytest.param(SRI[:20] + "!" + SRI[21:], id="not-base-64"),
        pytest.param("sha512-" + SRI[7:], id="size-of-another"),
        pytest.param("sha512-oops " + SRI, id="damaged-beside-good"),
    ],
)
def test_damaged_integrity_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Hash.parse_sri(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("sha256", id="no-colon"),
        pytest.param("sha256:", id="no-digest"),
        pytest.param("sha3:" + "0" * 64, id="unknown"),
        pytest.param("sha256:" + "0" * 63, id="short"),
        pytest.param("sha256:" + "0" * 63 + "g", id="not-hexadecimal"),
        pytest.param("sha256:" + "00 " * 21 + "0", id="blanks-in-hexadecimal"),
        pytest.param("sha256:" + "e" * 52, id="not-base-32"),
        pytest.param("sha256:" + "!" * 44, id="not-base-64"),
        pytest.param("sha1:" + "\N{FULLWIDTH DIGIT ONE}" * 40, id="digits-that-are-not-ascii"),
    ],
)
def test_damaged_typed_hashes_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Hash.parse_typed(text)


@given(st.text(max_size=120))
def test_any_text_is_a_hash_or_our_error(text: str) -> None:
    for parse in (Hash.parse_sri, Hash.parse_typed):
        for prefix in ("", "sha1-", "md5:", "sha256:"):
            try:
                found = parse(prefix + text)
            except FormatError:
                continue
            assert len(found.digest) == SIZES[found.algorithm]


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        pytest.param("sha256", b"\0" * 31, id="short"),
        pytest.param("sha1", b"\0" * 32, id="long"),
        pytest.param("crc32", b"\0" * 4, id="unknown"),
    ],
)
def test_no_hash_is_made_of_parts_that_do_not_fit(algorithm: Algorithm, digest: bytes) -> None:
    with pytest.raises(FormatError):
        Hash(algorithm, digest)


@pytest.mark.parametrize(
    ("digest", "size", "expected"),
    [
        pytest.param(b"", 4, b"\0\0\0\0", id="nothing"),
        pytest.param(b"\x01\x02", 4, b"\x01\x02\0\0", id="shorter"),
        pytest.param(b"\x01\x02\x04\x08", 4, b"\x01\x02\x04\x08", id="equal"),
        pytest.param(b"\x01\x02\x04\x08\x10", 2, b"\x15\x0a", id="uneven"),
    ],
)
def test_folding_is_exclusive_or(digest: bytes, size: int, expected: bytes) -> None:
    assert compress(digest, size) == expected
