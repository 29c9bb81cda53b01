from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats.nix32 import ALPHABET
from devenv.formats.store_path import StorePath, digest_of
from devenv.store.references import ReferenceScanner

STORE = "/s/store"
A, B, C = (StorePath(f"{STORE}/{digit * 32}-name") for digit in "0az")


OTHERS = [StorePath(f"{STORE}/{letter}{'x' * 31}-other") for letter in "0123456789"]


def found_in(pieces: list[bytes], candidates: list[StorePath]) -> tuple[StorePath, ...]:
    scanner = ReferenceScanner(candidates)
    for piece in pieces:
        scanner.feed(piece)
    return scanner.found


many = pytest.mark.parametrize("others", [[], OTHERS], ids=["few", "many"])


@many
def test_a_hash_counts_without_its_name_and_at_any_offset(others: list[StorePath]) -> None:
    text = b"\0x" + digest_of(B).encode() + b"!" + digest_of(A).encode()
    assert found_in([text], [A, B, C, *others]) == (A, B)


@many
def test_a_hash_cut_by_the_end_of_a_piece_is_found(others: list[StorePath]) -> None:
    text = b"see " + digest_of(A).encode() + b" there"
    for cut in range(len(text)):
        assert found_in([text[:cut], text[cut:]], [A, *others]) == (A,)
    assert found_in([bytes([byte]) for byte in text], [A, *others]) == (A,)


@many
def test_one_character_less_is_no_reference(others: list[StorePath]) -> None:
    assert found_in([b"0" * 31, b"e" + b"0" * 31], [A, *others]) == ()


def test_long_runs_of_hash_characters_take_no_long_time() -> None:
    text = b"a" * 500_000 + digest_of(B).encode()[1:]
    assert found_in([text, b"a"] * 4, [A, B, *OTHERS]) == (B,)


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


@pytest.mark.parametrize("count", [3, 12], ids=["few", "many"])
@given(data=st.data(), parts=noise, size=st.integers(1, 200))
def test_what_is_found_is_what_occurs(
    count: int, data: st.DataObject, parts: list[bytes | int], size: int
) -> None:
    wanted = data.draw(st.lists(digests, min_size=count, max_size=count, unique=True))
    stream = b"".join(
        part if isinstance(part, bytes) else wanted[part % len(wanted)].encode() for part in parts
    )
    candidates = [StorePath(f"{STORE}/{digest}-x") for digest in wanted]
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    expected = tuple(sorted(path for path in candidates if digest_of(path).encode() in stream))
    assert found_in(pieces, candidates) == expected
