"""Clear-signed texts: what counts as signed, and above all what does not."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.errors import FormatError
from devenv.formats.openpgp import SignatureError, read_keyring, verify_clear_signed
from tests.support.openpgp import (
    CERTIFY,
    CREATED,
    SIGN,
    Key,
    armored,
    canonical,
    certificate,
    clear_signed,
    ed25519_key,
    old_packet,
    packet,
    rsa_key,
    signed_by,
    subkey,
)
from tests.support.programs import program

NOW = CREATED + 10_000
TEXT = "Origin: Test\nSuite: stable\n- with a dash\n\nlast\n"
RSA, OTHER, EDWARDS = rsa_key("one"), rsa_key("two"), ed25519_key("three")


def verify(signed: bytes, keyring: bytes, now: int = NOW) -> str:
    return verify_clear_signed(signed, read_keyring(keyring), now=now).text


@pytest.mark.parametrize("key", [RSA, EDWARDS], ids=["RSA", "Ed25519"])
@pytest.mark.parametrize("algorithm", [8, 9, 10], ids=["SHA-256", "SHA-384", "SHA-512"])
def test_a_text_signed_by_a_trusted_key_is_given_back(key: Key, algorithm: int) -> None:
    signed = verify_clear_signed(
        signed_by(TEXT, key, hash_algorithm=algorithm), read_keyring(certificate(key)), now=NOW
    )
    assert signed.text == TEXT
    assert signed.certificate == signed.key == key.fingerprint
    assert signed.created == CREATED + 1000


def test_a_subkey_that_is_bound_both_ways_signs_for_its_certificate() -> None:
    keyring = certificate(RSA, flags=CERTIFY, more=[subkey(RSA, EDWARDS)])
    signed = verify_clear_signed(signed_by(TEXT, EDWARDS), read_keyring(keyring), now=NOW)
    assert (signed.certificate, signed.key) == (RSA.fingerprint, EDWARDS.fingerprint)


def test_one_known_signer_among_unknown_ones_is_enough() -> None:
    assert verify(signed_by(TEXT, OTHER, RSA), certificate(RSA)) == TEXT


def test_a_keyring_may_be_armored_and_hold_several_certificates() -> None:
    keyring = armored(certificate(OTHER) + certificate(RSA), "PUBLIC KEY BLOCK").encode()
    assert verify(signed_by(TEXT, RSA), keyring) == TEXT


def test_trailing_blanks_and_line_ends_are_not_what_is_signed() -> None:
    signed = signed_by("a  \nb\t\n", RSA).replace(b"\n", b"\r\n")
    assert verify_clear_signed(signed, read_keyring(certificate(RSA)), now=NOW).text.split() == ["a", "b"]


EXPIRED = certificate(RSA, lasts=500)
REVOKED = certificate(RSA, more=[packet(2, RSA.sign(0x20, RSA.hashed))])
REVOKED_SUBKEY = subkey(RSA, EDWARDS) + packet(2, RSA.sign(0x28, RSA.hashed + EDWARDS.hashed))
# keyring, who signs, what is said
REFUSED: dict[str, tuple[bytes, Key, str]] = {
    "unknown key": (certificate(OTHER), RSA, "not trusted"),
    "key without a self-signature": (packet(6, RSA.body), RSA, "not trusted"),
    "key signed by another only": (
        packet(6, RSA.body) + packet(13, b"x") + packet(2, OTHER.sign(0x13, RSA.hashed + b"\xb4\0\0\0\1x")),
        RSA,
        "not trusted",
    ),
    "key that may not sign": (certificate(RSA, flags=CERTIFY), RSA, "not trusted"),
    "key expired before it signed": (EXPIRED, RSA, "when this key was not valid"),
    "revoked key": (REVOKED, RSA, "not trusted"),
    "certificate by SHA-1": (certificate(RSA, hash_algorithm=2), RSA, "not trusted"),
    "subkey not bound back": (
        certificate(RSA, more=[subkey(RSA, EDWARDS, back=False)]),
        EDWARDS,
        "not trusted",
    ),
    "subkey bound back by another": (
        certificate(RSA, more=[subkey(RSA, EDWARDS, back=OTHER)]),
        EDWARDS,
        "not trusted",
    ),
    "subkey bound by another": (
        certificate(RSA, more=[subkey(RSA, EDWARDS, binder=OTHER)]),
        EDWARDS,
        "not trusted",
    ),
    "subkey that may not sign": (
        certificate(RSA, more=[subkey(RSA, EDWARDS, flags=b"\x0c")]),
        EDWARDS,
        "not trusted",
    ),
    "subkey bound by SHA-1": (
        certificate(RSA, more=[subkey(RSA, EDWARDS, hash_algorithm=2)]),
        EDWARDS,
        "not trusted",
    ),
    "revoked subkey": (certificate(RSA, more=[REVOKED_SUBKEY]), EDWARDS, "not trusted"),
    "expired subkey": (certificate(RSA, more=[subkey(RSA, EDWARDS, lasts=500)]), EDWARDS, "was not valid"),
    "subkey of an expired certificate": (
        certificate(RSA, lasts=500, more=[subkey(RSA, EDWARDS)]),
        EDWARDS,
        "was not valid",
    ),
    "key too short": (certificate(rsa_key("short", bits=1024)), rsa_key("short", bits=1024), "not trusted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_signature_by_a_key_that_does_not_count_is_refused(name: str) -> None:
    keyring, key, message = REFUSED[name]
    with pytest.raises(SignatureError, match=message):
        verify(signed_by(TEXT, key), keyring)


SIGNED = signed_by(TEXT, RSA)
TAMPERED: dict[str, tuple[bytes, str]] = {
    "changed word": (SIGNED.replace(b"stable", b"stably"), "is not the one"),
    "line more": (SIGNED.replace(b"last\n", b"last\nmore\n"), "is not the one"),
    "line less": (SIGNED.replace(b"last\n", b""), "is not the one"),
    "text before": (b"Origin: Evil\n" + SIGNED, "before or after"),
    "text after": (SIGNED + b"Origin: Evil\n", "before or after"),
    "blank text before": (b" \n" + SIGNED, "before or after"),
    "another message behind": (SIGNED + SIGNED, "before or after|another place"),
    "header for a field": (
        SIGNED.replace(b"Hash: SHA256", b"Hash: SHA256\nSuite: evil"),
        "a header that none",
    ),
    "no empty line": (SIGNED.replace(b"Hash: SHA256\n\n", b"Hash: SHA256\n"), "a header|empty line|dash"),
    "unescaped dash": (SIGNED.replace(b"- - with", b"- with").replace(b"\n- with", b"\n-with"), "dash"),
    "no signature": (SIGNED.partition(b"-----BEGIN PGP SIGNATURE")[0], "no clear-signed"),
    "empty signature": (clear_signed(TEXT, []), "base 64|no trusted key|no whole"),
    "only the text": (TEXT.encode(), "no clear-signed"),
    "nothing": (b"", "no clear-signed"),
    "not text": (b"\xff\xfe\x00", "not UTF-8"),
    "armor that is none": (
        SIGNED.replace(b"\nw", b"\n!"),
        "base 64|is not the one|no trusted|cut short|no OpenPGP",
    ),
    "SHA-1": (signed_by(TEXT, RSA, hash_algorithm=2), "too weak"),
    "signature about a key": (clear_signed(TEXT, [RSA.sign(0x13, canonical(TEXT))]), "not about a text"),
    "expired signature": (
        clear_signed(TEXT, [RSA.sign(1, canonical(TEXT), hashed={3: (60).to_bytes(4, "big")})]),
        "expired",
    ),
    "signature older than its key": (
        clear_signed(TEXT, [RSA.sign(1, canonical(TEXT), created=5)]),
        "was not valid",
    ),
    "critical thing unknown": (
        clear_signed(TEXT, [RSA.sign(1, canonical(TEXT), hashed={99: b"x"}, critical=frozenset({99}))]),
        "does not know",
    ),
    "one good and one wrong signature of the same": (
        clear_signed(TEXT, [RSA.sign(1, canonical(TEXT)), RSA.sign(1, b"something else")]),
        "is not the one",
    ),
    "public key for a signature": (
        SIGNED.partition(b"-----BEGIN PGP SIGNATURE")[0] + armored(certificate(RSA), "SIGNATURE").encode(),
        "something else than signatures",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_text_that_was_tampered_with_is_refused(name: str) -> None:
    data, message = TAMPERED[name]
    with pytest.raises(FormatError, match=message):
        verify(data, certificate(RSA))


def test_only_what_was_signed_is_given_back_when_the_signature_has_a_nested_message() -> None:
    text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Test\n"
    assert verify(signed_by(text, RSA), certificate(RSA)) == text


@pytest.mark.parametrize("make", [certificate, lambda key: SIGNED], ids=["keyring", "text"])
@given(data=st.data())
def test_any_damage_gives_our_error_or_changes_nothing_that_counts(
    make: Callable[[Key], bytes], data: st.DataObject
) -> None:
    whole = bytearray(make(RSA))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        try:
            text = verify(SIGNED, damaged) if make is certificate else verify(damaged, certificate(RSA))
        except FormatError:
            continue
        assert canonical(text) == canonical(TEXT)


@given(st.binary(max_size=200))
def test_anything_is_a_keyring_or_our_error(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert isinstance(read_keyring(data), tuple)


def test_the_archive_keyring_that_comes_with_devenv_is_whole() -> None:
    from devenv.debian.keyring import FINGERPRINTS

    keys = read_keyring((files("devenv.debian") / "debian-archive-keyring.asc").read_bytes())
    assert {key.certificate for key in keys} == FINGERPRINTS
    # Each signs by itself, and most have a subkey for it.
    assert len(keys) > len(FINGERPRINTS)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of GnuPG's. Its agent ends when it is gone."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def gpg(home: Path, *arguments: str, text: bytes = b"") -> bytes:
    agent = program("gpg-agent")
    options = ("--homedir", str(home), "--batch", "--quiet", "--no-tty", "--agent-program", agent)
    done = subprocess.run(
        [program("gpg"), *options, *arguments],
        input=text,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_gpg_believes_what_the_tests_sign(home: Path) -> None:
    """Else the tests above would be about signatures that nobody makes."""
    keyring = certificate(RSA, flags=CERTIFY, more=[subkey(RSA, EDWARDS)])
    gpg(home, "--import", text=keyring)
    assert gpg(home, "--decrypt", text=signed_by(TEXT, EDWARDS)).decode() == TEXT


@pytest.mark.parametrize("kind", ["rsa2048", "ed25519"])
def test_what_gpg_signs_is_believed(home: Path, kind: str) -> None:
    options = ("--passphrase", "", "--pinentry-mode", "loopback")
    gpg(home, *options, "--quick-generate-key", "Test <t@example.test>", kind, "cert", "1y")
    (fingerprint,) = [
        line.split(":")[9]
        for line in gpg(home, "--list-keys", "--with-colons").decode().splitlines()
        if line.startswith("fpr")
    ]
    gpg(home, *options, "--quick-add-key", fingerprint, kind, "sign", "1y")
    signed = gpg(home, *options, "--clearsign", text=TEXT.encode())
    for keyring in (gpg(home, "--export"), gpg(home, "--armor", "--export")):
        found = verify_clear_signed(signed, read_keyring(keyring), now=int(time.time()))
        assert (found.text, found.certificate) == (TEXT, fingerprint)
        assert found.key != fingerprint
    with pytest.raises(SignatureError):
        verify(signed.replace(b"stable", b"stably"), gpg(home, "--export"))


def test_packets_with_old_headers_are_read() -> None:
    user = b"x"
    itself = RSA.sign(0x13, RSA.hashed + b"\xb4\0\0\0\1x", hashed={27: SIGN})
    keyring = old_packet(6, RSA.body) + old_packet(13, user) + old_packet(2, itself)
    assert verify(SIGNED, keyring) == TEXT
