from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.nix32 import ALPHABET
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.references import ReferenceScanner

STORE = "/s/store"
A, B, C = (StorePath(f"{STORE}/{digit * 32}-name") for digit in "0az")


def found_in(pieces: list[bytes], candidates: list[StorePath]) -> tuple[StorePath, ...]:
    scanner = ReferenceScanner(candidates)
    for piece in pieces:
        scanner.feed(piece)
    return scanner.found


def test_a_hash_counts_without_its_name_and_at_any_offset() -> None:
    text = b"\0x" + digest_of(B).encode() + b"!" + digest_of(A).encode()
    assert found_in([text], [A, B, C]) == (A, B)


def test_a_hash_cut_by_the_end_of_a_piece_is_found() -> None:
    text = b"see " + digest_of(A).encode() + b" there"
    for cut in range(len(text)):
        assert found_in([text[:cut], text[cut:]], [A]) == (A,)
    assert found_in([bytes([byte]) for byte in text], [A]) == (A,)


def test_one_character_less_is_no_reference() -> None:
    assert found_in([b"0" * 31, b"e" + b"0" * 31], [A]) == ()


digests = st.text(alphabet=ALPHABET, min_size=32, max_size=32)
# Bytes in which runs of hash characters are frequent.
noise = st.lists(
    st.one_of(
        st.text(alphabet=ALPHABET, max_size=80).map(str.encode),
        st.binary(max_size=8),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(st.lists(digests, min_size=1, max_size=4, unique=True), noise, st.integers(1, 200))
def test_what_is_found_is_what_occurs(wanted: list[str], parts: list[bytes | int], size: int) -> None:
    data = b"".join(
        part if isinstance(part, bytes) else wanted[part % len(wanted)].encode() for part in parts
    )
    candidates = [StorePath(f"{STORE}/{digest}-x") for digest in wanted]
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    expected = tuple(sorted(path for path in candidates if digest_of(path).encode() in data))
    assert found_in(pieces, candidates) == expected
