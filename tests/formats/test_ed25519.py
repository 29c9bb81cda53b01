from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from devenv.formats import ed25519

# RFC 8032, section 7.1: seed, public key, message, signature.
RFC = {
    "empty": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "one byte": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "two bytes": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
}


def wheel_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", RFC)
def test_the_values_of_the_rfc_come_out(name: str) -> None:
    seed, public, message, signature = (bytes.fromhex(text) for text in RFC[name])
    assert ed25519.public_key(seed) == public
    assert ed25519.sign(seed, message) == signature
    assert ed25519.verify(public, message, signature)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_it_does_what_the_wheel_does(seed: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    assert ed25519.public_key(seed) == public
    signature = ed25519.sign(seed, message)
    assert signature == key.sign(message)
    assert ed25519.verify(public, message, signature)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 64 * 8 - 1), st.binary(max_size=40))
def test_a_signature_with_one_other_bit_is_none(bit: int, message: bytes) -> None:
    seed = b"s" * 32
    signature = bytearray(ed25519.sign(seed, message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not ed25519.verify(ed25519.public_key(seed), message, bytes(signature))


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), st.binary(max_size=20))
def test_anything_gets_an_answer_the_same_as_the_wheels(
    public: bytes, signature: bytes, message: bytes
) -> None:
    assert ed25519.verify(public, message, signature) == wheel_verifies(public, message, signature)


def test_a_response_beyond_the_order_is_no_second_signature() -> None:
    seed, message = b"k" * 32, b"message"
    signature = ed25519.sign(seed, message)
    response = int.from_bytes(signature[32:], "little") + ed25519.ORDER
    forged = signature[:32] + response.to_bytes(32, "little")
    assert not ed25519.verify(ed25519.public_key(seed), message, forged)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (b"", b"\0" * 64),
        (b"\0" * 31, b"\0" * 64),
        (b"\0" * 32, b""),
        (b"\0" * 32, b"\0" * 63),
        (b"\xff" * 32, b"\0" * 64),  # y is not below P
        (b"\x02" + b"\0" * 31, b"\0" * 64),  # no such point
        ((1 | 1 << 255).to_bytes(32, "little"), b"\0" * 64),  # x is zero and odd
    ],
)
def test_what_is_no_key_or_signature_verifies_nothing(public: bytes, signature: bytes) -> None:
    assert not ed25519.verify(public, b"message", signature)
