"""Ed25519 signatures in plain Python, for machines without the `cryptography` wheel. After RFC 8032.

A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z on -x^2 + y^2 = 1 + d*x^2*y^2 modulo P. Some milliseconds for
each signature. The time that signing takes depends on the key, so where somebody could measure that, use the wheel.
"""

from __future__ import annotations

from hashlib import sha512

KEY_LENGTH = 32
SIGNATURE_LENGTH = 64

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point: L in the RFC
_D = -121665 * pow(121666, -1, P) % P
_ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

_Point = tuple[int, int, int, int]
_ZERO: _Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The public key of a secret key, both of 32 bytes."""
    return _encode(_sum_of_products(((_secret_number(sha512(seed).digest()), _base()),)))


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature, 64 bytes, of `message` by a secret key. RFC 8032, section 5.1.6."""
    digest = sha512(seed).digest()
    number = _secret_number(digest)
    public = public_key(seed)
    nonce = _number_of(digest[32:], message) % ORDER
    commitment = _encode(_sum_of_products(((nonce, _base()),)))
    challenge = _number_of(commitment, public, message) % ORDER
    return commitment + ((nonce + challenge * number) % ORDER).to_bytes(32, "little")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` of `message` is by the holder of `public`. Section 5.1.7, without the cofactor."""
    if len(public) != KEY_LENGTH or len(signature) != SIGNATURE_LENGTH:
        return False
    point = _decode(public)
    response = int.from_bytes(signature[32:], "little")
    if point is None or response >= ORDER:  # a greater one would be a second signature of the same
        return False
    x, y, z, t = point
    challenge = _number_of(signature[:32], public, message) % ORDER
    expected = _sum_of_products(((response, _base()), (challenge, (P - x, y, z, P - t))))
    return _encode(expected) == signature[:32]


def _secret_number(digest: bytes) -> int:
    number = int.from_bytes(digest[:32], "little")
    return number & ~7 & ~(1 << 255) | 1 << 254  # a multiple of the cofactor, of fixed length


def _number_of(*parts: bytes) -> int:
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little")


def _base() -> _Point:
    y = 4 * pow(5, -1, P) % P
    point = _decode(y.to_bytes(32, "little"))
    assert point is not None
    return point


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> _Point | None:
    """The point that 32 bytes stand for, None if they stand for none. Section 5.1.3."""
    number = int.from_bytes(data, "little")
    y, odd = number & ~(1 << 255), number >> 255
    if y >= P:
        return None
    above, below = y * y - 1, _D * y * y + 1
    square = above * pow(below, -1, P) % P  # `below` is never zero: -1/d is not a square
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * _ROOT_OF_MINUS_ONE % P
    if x * x % P != square or (x == 0 and odd):
        return None
    if x & 1 != odd:
        x = P - x
    return x, y, 1, x * y % P


def _add(first: _Point, second: _Point) -> _Point:
    """Section 5.1.4; right for all points, equal ones as well."""
    x1, y1, z1, t1 = first
    x2, y2, z2, t2 = second
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * _D % P
    d = 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x, y * y
    h = a + b
    e = h - (x + y) * (x + y)
    g = a - b
    f = 2 * z * z % P + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _sum_of_products(terms: tuple[tuple[int, _Point], ...]) -> _Point:
    """The sum of number * point, four bits of all numbers at a time; they are below 2^256."""
    tables = [(number, _multiples(point)) for number, point in terms]
    total = _ZERO
    for shift in range(252, -1, -4):
        if total is not _ZERO:
            total = _double(_double(_double(_double(total))))
        for number, table in tables:
            digit = number >> shift & 15
            if digit:
                total = _add(total, table[digit])
    return total


def _multiples(point: _Point) -> list[_Point]:
    """0 to 15 times `point`."""
    found = [_ZERO]
    for _ in range(15):
        found.append(_add(found[-1], point))
    return found
