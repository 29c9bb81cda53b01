from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.formats import aterm
from devenv.formats.aterm import Reader
from devenv.formats.errors import FormatError

# Every text that a file can hold: bytes that are not UTF-8 come as surrogate escapes.
TEXTS = st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
NASTY = st.lists(st.sampled_from(list('ab\\"\n\r\tnrt,()[]é\udcff')), max_size=20).map("".join)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        pytest.param("", b'""', id="empty"),
        pytest.param("a b", b'"a b"', id="plain"),
        pytest.param('\\"\n\r\t', rb'"\\\"\n\r\t"', id="all-escapes"),
        pytest.param("\\n", rb'"\\n"', id="backslash-and-letter"),
        pytest.param("\x01\x7f\x85", b'"\x01\x7f\xc2\x85"', id="other-controls-as-they-are"),
        pytest.param("é\udcff", b'"\xc3\xa9\xff"', id="bytes-that-are-not-utf-8"),
    ],
)
def test_strings_are_escaped_as_nix_escapes_them(text: str, token: bytes) -> None:
    assert aterm.encode(aterm.quote(text)) == token
    reader = Reader(token, "x")
    assert reader.string() == text
    reader.end()


@given(st.lists(TEXTS | NASTY, max_size=6))
def test_lists_of_strings_come_back(texts: list[str]) -> None:
    data = aterm.encode(aterm.quote_list(texts))
    reader = Reader(data, "x")
    found = reader.strings()
    reader.end()
    # Two escaped bytes side by side may be one character: what counts is the bytes.
    assert [aterm.byte_order(text) for text in found] == [aterm.byte_order(text) for text in texts]
    assert aterm.encode(aterm.quote_list(found)) == data


@given(st.lists(st.sampled_from(list('"\\nx\n,[]é')), max_size=12).map(lambda parts: "".join(parts).encode()))
def test_what_is_read_is_written_back_or_refused_with_its_place(data: bytes) -> None:
    reader = Reader(b"[" + data + b"]", "x")
    try:
        found = reader.strings()
        reader.end()
    except FormatError as error:
        assert error.offset is not None
        assert 0 <= error.offset <= len(data) + 2
        return
    assert aterm.encode(aterm.quote_list(found)) == b"[" + data + b"]"


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"x", 0, id="no-quote"),
        pytest.param(b'"abc', 4, id="unterminated"),
        pytest.param(b'"abc\\', 5, id="ends-in-a-backslash"),
        pytest.param(b'"abc\\"', 6, id="quote-is-escaped"),
        pytest.param(b'"ab\\qc"', 3, id="unknown-escape"),
        pytest.param('"é\\0"'.encode(), 3, id="offset-counts-bytes"),
        pytest.param(b'"ab\nc"', 3, id="raw-newline"),
        pytest.param(b'"ab\\n\tc"', 5, id="raw-tab-beside-an-escape"),
        pytest.param(b'"\r"', 1, id="raw-return"),
        pytest.param(b'"a\xff\\n\\x"', 5, id="offset-counts-bytes-that-are-not-utf-8"),
    ],
)
def test_damaged_strings_are_refused_with_their_place(data: bytes, offset: int) -> None:
    with pytest.raises(FormatError) as caught:
        Reader(data, "x").string()
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b'["a"', b'["a",', b'["a",]', b'[,"a"]', b"[a]", b'["a" ]', b'["a""b"]', b'("a")'],
    ids=repr,
)
def test_damaged_lists_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Reader(data, "x").strings()


def test_nul_is_neither_read_nor_written() -> None:
    with pytest.raises(FormatError) as caught:
        Reader(b'"\xc3\xa9\0"', "x")
    assert caught.value.offset == 3
    with pytest.raises(FormatError):
        aterm.encode('"\0"')


def test_text_that_has_no_bytes_is_refused() -> None:
    with pytest.raises(FormatError):
        aterm.encode("\ud800")


def test_order_is_that_of_bytes_not_of_characters() -> None:
    texts = ["\udcff", "\uffff", "\U0001f600", "é", "z"]
    assert sorted(texts, key=aterm.byte_order) == ["z", "é", "\uffff", "\U0001f600", "\udcff"]


def test_a_long_string_of_escapes_is_read_at_once() -> None:
    text = '\\"\n' * 200_000
    data = aterm.encode(aterm.quote(text))
    assert Reader(data, "x").string() == text
    with pytest.raises(FormatError):
        Reader(data[:-1], "x").string()
