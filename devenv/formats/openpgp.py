"""Whether a clear-signed text was signed by a key that is trusted. After RFC 4880 and RFC 9580.

    text      = "-----BEGIN PGP SIGNED MESSAGE-----" { "Hash: " names } empty-line { line }
                "-----BEGIN PGP SIGNATURE-----" ... "-----END PGP SIGNATURE-----"
    line      = [ "- " ] contents                             # "- " where the contents begin with "-"

RSA with PKCS#1 v1.5 and Ed25519, by SHA-256, SHA-384 or SHA-512; SHA-1 and weaker hashes count for nothing. A subkey
counts when its certificate's own key says that it may sign, and when it says itself that it belongs there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from devenv.formats import ed25519
from devenv.formats.errors import FormatError
from devenv.formats.openpgp_packets import (
    EMBEDDED,
    EXPIRES,
    KEY_EXPIRES,
    KEY_FLAGS,
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SIGNATURE,
    USER_ID,
    KeyPacket,
    SignaturePacket,
    packets,
    read_key,
    read_number,
    read_signature,
    unarmored,
)

_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
# What stands before the digest in an RSA signature: RFC 8017, section 9.2, note 1.
_DIGEST_INFO = {
    8: bytes.fromhex("3031300d060960864801650304020105000420"),
    9: bytes.fromhex("3041300d060960864801650304020205000430"),
    10: bytes.fromhex("3051300d060960864801650304020305000440"),
}
_RSA = frozenset({1, 3})
_EDDSA_LEGACY, _ED25519 = 22, 27
_ED25519_CURVE = bytes.fromhex("092b06010401da470f01")  # the length of its object identifier, and that
_SMALLEST_RSA = 2048  # bits
_LARGEST_RSA = 16384

# Kinds of signatures
_TEXT_KINDS = frozenset({0, 1})
_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
_BINDING, _BACK, _DIRECT, _KEY_REVOKED, _SUBKEY_REVOKED = 0x18, 0x19, 0x1F, 0x20, 0x28
_MAY_SIGN = 0x02


class SignatureError(FormatError):
    """A text carries no signature that counts. `found` has one sentence for each signature looked at."""

    def __init__(self, message: str, *, found: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__("\n  ".join([message, *found]), hint=hint)
        self.found = found


class SigningKey(NamedTuple):
    """A key whose signatures count, between `key.created` and `expires` (seconds since 1970, 0: for ever)."""

    key: KeyPacket
    expires: int
    certificate: str  # the fingerprint of the primary key


class Signed(NamedTuple):
    """A text and who signed it: fingerprints of certificate and key, and when (seconds since 1970)."""

    text: str
    certificate: str
    key: str
    created: int


# Certificates


def read_keyring(data: bytes) -> tuple[SigningKey, ...]:
    """All keys that may sign, of all certificates in a keyring, binary or armored. Raises `FormatError`.

    What is expired is kept: a signature made before counts. What is revoked, or not bound rightly, is left out.
    """
    found: list[SigningKey] = []
    certificate: list[tuple[int, bytes]] = []
    for tag, body in packets(unarmored(data, "PUBLIC KEY BLOCK")):
        if tag == PUBLIC_KEY and certificate:
            found += _signing_keys(certificate)
            certificate = []
        certificate.append((tag, body))
    return tuple(found + _signing_keys(certificate))


def _signing_keys(certificate: Sequence[tuple[int, bytes]]) -> list[SigningKey]:
    primary = read_key(certificate[0][1]) if certificate and certificate[0][0] == PUBLIC_KEY else None
    if primary is None:
        return []
    own: list[SignaturePacket] = []
    subkeys: list[tuple[KeyPacket, list[SignaturePacket]]] = []
    subject, where = b"", own
    for tag, body in certificate[1:]:
        if tag == PUBLIC_SUBKEY:
            subkey = read_key(body)
            subject, where = (subkey.hashed if subkey else b""), []
            if subkey:
                subkeys.append((subkey, where))
        elif tag == SIGNATURE:
            signature = read_signature(body)
            if signature and _is_by(signature, primary, _signed(signature.kind, primary, subject)):
                where.append(signature)
        else:
            subject, where = (_user_id(body) if tag == USER_ID else b"\0"), own
    return _usable(primary, own, subkeys)


def _signed(kind: int, primary: KeyPacket, subject: bytes) -> bytes:
    """What a signature of this kind is about; `subject` is the user or subkey that it stands behind."""
    return primary.hashed if kind in (_DIRECT, _KEY_REVOKED) else primary.hashed + subject


def _user_id(body: bytes) -> bytes:
    return b"\xb4" + len(body).to_bytes(4, "big") + body


def _usable(
    primary: KeyPacket,
    own: Sequence[SignaturePacket],
    subkeys: Sequence[tuple[KeyPacket, list[SignaturePacket]]],
) -> list[SigningKey]:
    """The keys of one certificate that may sign; the signatures are verified already."""
    # A direct signature often says one thing more, and leaves the rest to those about users.
    about_itself = [each for each in own if each.kind in _CERTIFICATIONS]
    about_itself = about_itself or [each for each in own if each.kind == _DIRECT]
    if not about_itself or any(each.kind == _KEY_REVOKED for each in own):
        return []
    newest = max(about_itself, key=lambda each: each.created)
    limit = _expiry(primary, newest)
    found = []
    if _may_sign(newest, default=True):
        found.append(SigningKey(primary, limit, primary.fingerprint))
    for subkey, signatures in subkeys:
        bindings = [each for each in signatures if each.kind == _BINDING]
        if not bindings or any(each.kind == _SUBKEY_REVOKED for each in signatures):
            continue
        binding = max(bindings, key=lambda each: each.created)
        if _may_sign(binding, default=False) and _is_bound_back(binding, primary, subkey):
            ends = [each for each in (limit, _expiry(subkey, binding)) if each]
            found.append(SigningKey(subkey, min(ends, default=0), primary.fingerprint))
    return found


def _expiry(key: KeyPacket, signature: SignaturePacket) -> int:
    duration = signature.seconds(KEY_EXPIRES)
    return key.created + duration if duration else 0


def _may_sign(signature: SignaturePacket, *, default: bool) -> bool:
    flags = signature.hashed.get(KEY_FLAGS)
    return default if flags is None else bool(flags[:1]) and bool(flags[0] & _MAY_SIGN)


def _is_bound_back(binding: SignaturePacket, primary: KeyPacket, subkey: KeyPacket) -> bool:
    """Whether the subkey itself agrees: else anybody could claim another's signatures as their own."""
    embedded = binding.hashed.get(EMBEDDED) or binding.hints.get(EMBEDDED)
    back = read_signature(embedded) if embedded else None
    return back is not None and back.kind == _BACK and _is_by(back, subkey, primary.hashed + subkey.hashed)


# Signatures


def _is_by(signature: SignaturePacket, key: KeyPacket, signed: bytes) -> bool:
    """Whether the numbers are right: `key` signed `signed`."""
    name = _HASHES.get(signature.hash_algorithm)
    if name is None or signature.algorithm != key.algorithm:
        return False
    digest = hashlib.new(name, signed + signature.trailer).digest()
    if digest[:2] != signature.left:
        return False
    try:
        if key.algorithm in _RSA:
            return _is_rsa(signature, key, digest)
        if key.algorithm == _EDDSA_LEGACY:
            return _is_eddsa(signature, key, digest)
        if key.algorithm == _ED25519:
            return ed25519.verify(key.material, digest, signature.numbers)
    except FormatError:
        return False
    return False


def _is_rsa(signature: SignaturePacket, key: KeyPacket, digest: bytes) -> bool:
    """RFC 8017, section 8.2.2: the whole padded message is made and compared, nothing is parsed."""
    modulus, at = read_number(key.material, 0)
    exponent, _ = read_number(key.material, at)
    value, _ = read_number(signature.numbers, 0)
    size = (modulus.bit_length() + 7) // 8
    if not _SMALLEST_RSA <= modulus.bit_length() <= _LARGEST_RSA or not modulus & exponent & 1:
        return False
    if exponent < 3 or exponent.bit_length() > 64 or value >= modulus:
        return False
    tail = b"\0" + _DIGEST_INFO[signature.hash_algorithm] + digest
    expected = b"\0\1" + b"\xff" * (size - 2 - len(tail)) + tail
    return pow(value, exponent, modulus).to_bytes(size, "big") == expected


def _is_eddsa(signature: SignaturePacket, key: KeyPacket, digest: bytes) -> bool:
    """The form that GnuPG wrote first: a curve by its identifier, numbers without leading zeros."""
    curve, rest = key.material[: len(_ED25519_CURVE)], key.material[len(_ED25519_CURVE) :]
    point, _ = read_number(rest, 0)
    first, at = read_number(signature.numbers, 0)
    second, _ = read_number(signature.numbers, at)
    if curve != _ED25519_CURVE or point >> 256 != 0x40 or max(first, second) >> 256:
        return False
    public = (point & (1 << 256) - 1).to_bytes(32, "big")
    return ed25519.verify(public, digest, first.to_bytes(32, "big") + second.to_bytes(32, "big"))


# Clear-signed texts

_BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----"
_BEGIN_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_END_SIGNATURE = "-----END PGP SIGNATURE-----"


def verify_clear_signed(data: bytes, keys: Iterable[SigningKey], *, now: int) -> Signed:
    """The text between the marks, if a trusted key signed it. `now`: seconds since 1970, for expired signatures.

    Raises `SignatureError` where nobody trusted did, or where one of them signed something else, and `FormatError`
    for what is no clear-signed text: one with anything before or after the marks among them.
    """
    lines, armor = _split(data)
    signed = "\r\n".join(line.rstrip(" \t\r") for line in lines).encode()
    by_id: dict[str, list[SigningKey]] = {}
    for key in keys:
        fingerprint = key.key.fingerprint
        by_id.setdefault(fingerprint, []).append(key)
        by_id.setdefault(fingerprint[-16:], []).append(key)
    good: Signed | None = None
    found: list[str] = []
    for tag, body in packets(unarmored(armor, "SIGNATURE")):
        if tag != SIGNATURE:
            raise FormatError("there is something else than signatures behind the signed text")
        signature = read_signature(body)
        verdict = _judged(signature, by_id, signed, now)
        if isinstance(verdict, SigningKey) and signature is not None:
            text = "".join(f"{line}\n" for line in lines)
            good = good or Signed(text, verdict.certificate, verdict.key.fingerprint, signature.created)
        elif isinstance(verdict, str):
            found.append(verdict)
    if good is None or any(each.startswith(_BAD) for each in found):
        raise SignatureError("no trusted key signed this text", found=tuple(found))
    return good


_BAD = "wrong"


def _judged(
    signature: SignaturePacket | None, keys: dict[str, list[SigningKey]], signed: bytes, now: int
) -> SigningKey | str:
    """The key that made a signature, or why it does not count."""
    if signature is None:
        return "a signature of a kind that devenv does not know"
    candidates = [key for issuer in signature.issuers for key in keys.get(issuer, ())]
    name = signature.issuers[0] if signature.issuers else "an unnamed key"
    if not candidates:
        return f"a signature by {name}, which is not trusted"
    if signature.hash_algorithm not in _HASHES:
        return f"a signature by {name} with a hash that is too weak, or not known"
    if signature.kind not in _TEXT_KINDS:
        return f"a signature by {name} that is not about a text"
    for key in candidates:
        if _is_by(signature, key.key, signed):
            return _in_time(signature, key, now)
    return f"{_BAD}: the text is not the one that {name} signed"


def _in_time(signature: SignaturePacket, key: SigningKey, now: int) -> SigningKey | str:
    created, lasts = signature.created, signature.seconds(EXPIRES)
    name = key.key.fingerprint
    if created < key.key.created or (key.expires and created >= key.expires):
        return f"a signature by {name} that was made when this key was not valid"
    if lasts and now >= created + lasts:
        return f"a signature by {name} that is expired"
    return key


def _split(data: bytes) -> tuple[list[str], bytes]:
    """The signed lines without dash escapes, and the armored signatures."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("the signed text is not UTF-8", offset=error.start) from None
    lines = text.strip("\r\n").split("\n")
    bare = [line.rstrip(" \t\r") for line in lines]
    if bare[0] != _BEGIN or bare[-1] != _END_SIGNATURE or bare.count(_BEGIN) > 1:
        raise FormatError("this is no clear-signed text, or there is something before or after it")
    try:
        start, cut = bare.index("", 1) + 1, bare.index(_BEGIN_SIGNATURE)
    except ValueError:
        raise FormatError("this clear-signed text lacks its empty line or its signature") from None
    if cut < start or bare.count(_BEGIN_SIGNATURE) > 1 or bare.count(_END_SIGNATURE) > 1:
        raise FormatError("this clear-signed text has its signature in another place than at the end")
    for header in bare[1 : start - 1]:
        if not re.fullmatch(r"Hash: *[A-Za-z0-9, -]+", header):
            raise FormatError(f"this clear-signed text has a header that none may have: {header[:80]!r}")
    return [_unescaped(line) for line in lines[start:cut]], "\n".join(bare[cut:]).encode()


def _unescaped(line: str) -> str:
    if line.startswith("- "):
        return line[2:]
    if line.startswith("-"):
        raise FormatError("a line of this clear-signed text begins with an unescaped dash")
    return line
