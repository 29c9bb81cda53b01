from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats import nix32
from devenv.formats.errors import FormatError
from tests.formats.vectors import FLAT, TREES, contents


@pytest.mark.parametrize("name", FLAT)
def test_hashes_are_spelled_as_nix_spells_them(name: str) -> None:
    data = contents(TREES[name])
    for algorithm, expected in FLAT[name].items():
        digest = hashlib.new(algorithm, data).digest()
        assert nix32.encode(digest) == expected
        assert nix32.decode(expected, len(digest)) == digest


@given(st.binary(max_size=80))
def test_what_is_encoded_decodes_to_itself(data: bytes) -> None:
    text = nix32.encode(data)
    assert len(text) == nix32.length(len(data))
    assert nix32.decode(text, len(data)) == data


@given(st.text(alphabet=nix32.ALPHABET + "eE!=é_ ", min_size=7, max_size=8), st.sampled_from([4, 5]))
def test_any_text_is_refused_or_the_spelling_of_its_bytes(text: str, size: int) -> None:
    try:
        data = nix32.decode(text, size)
    except FormatError:
        return
    assert nix32.encode(data) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("", 20, id="empty"),
        pytest.param("0" * 31, 20, id="short"),
        pytest.param("0" * 33, 20, id="long"),
        pytest.param("e" + "0" * 31, 20, id="letter-e"),
        pytest.param("0" * 31 + "u", 20, id="letter-u"),
        pytest.param("A" + "0" * 31, 20, id="capital"),
        pytest.param("é" + "0" * 31, 20, id="not-ascii"),
        pytest.param("\udc80" + "0" * 31, 20, id="surrogate"),
        pytest.param("0_" * 16, 20, id="digits-as-python-groups-them"),
        pytest.param(" " + "0" * 31, 20, id="blank"),
        pytest.param("-" + "0" * 31, 20, id="sign"),
        pytest.param("2" + "0" * 51, 32, id="greater-than-32-bytes"),
        pytest.param("z" * 26, 16, id="greater-than-16-bytes"),
    ],
)
def test_other_text_is_refused(text: str, size: int) -> None:
    with pytest.raises(FormatError):
        nix32.decode(text, size)
